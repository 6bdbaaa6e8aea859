"""Progress of long work on stderr, with the time left; silent where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress


class Report(Protocol):
    """Takes the steps done, how many there are (None: unknown), and a word on the state."""

    def __call__(self, done: int, total: int | None, state: str = "") -> None:
        """Show it."""


@contextmanager
def progress(what: str) -> Iterator[Report]:
    """A bar with the time left; nothing at all where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield _silent
        return
    with _bar() as bar:
        task = bar.add_task(what, total=None)

        def report(done: int, total: int | None, state: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{what} {state}".strip())

        yield report


def _silent(done: int, total: int | None, state: str = "") -> None:
    """Show nothing."""


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


@contextmanager
def keeps(what: str) -> Iterator[None]:
    """Inside the block Ctrl-C ends the program with a line that says `what` was kept."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(what) from stop
