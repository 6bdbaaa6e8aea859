"""What the rooms say while they work ("compiling ... once"), on stderr."""

from __future__ import annotations

import logging
import sys


class StderrHandler(logging.Handler):
    """Writes to whatever stderr is at the moment, so that a live progress bar can step aside."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        print(self.format(record), file=sys.stderr)


def log_to_stderr() -> None:
    """Show the messages of litescene's logger; safe to call twice."""
    logger = logging.getLogger("litescene")
    if not any(isinstance(handler, StderrHandler) for handler in logger.handlers):
        logger.addHandler(StderrHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False
