"""The log of a run in TensorBoard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from litescene.media.atomic import output_error


@contextmanager
def shown_in_tensorboard(
    folder: Path, log: Sequence[Mapping[str, Any]], writes: bool
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Gives a function that adds the record of an epoch; its numbers become curves.

    `log` are the records of the finished epochs, empty for a new run. They replace what earlier
    parts of the run wrote, some of which may have been lost with them. A process that does not
    write gets a function that does nothing.

    Raises `OutputError` where the system has something against the file, such as a full disk.
    """
    if not writes:
        yield lambda record: None
        return
    from torch.utils.tensorboard import SummaryWriter

    def show(record: Mapping[str, Any]) -> None:
        with _told(folder):
            for name, value in record.items():
                if isinstance(value, float):
                    writer.add_scalar(name, value, record["epoch"])

    def close() -> None:
        with _told(folder):
            writer.close()

    with ExitStack() as afterwards:
        afterwards.enter_context(_silent_threads())
        with _told(folder):
            writer = SummaryWriter(str(folder), purge_step=0 if log else None)
        afterwards.callback(close)
        for record in log:
            show(record)
        yield show


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise output_error(folder, error) from error


@contextmanager
def _silent_threads() -> Iterator[None]:
    """Keep the writer's thread from printing a traceback of what it also tells the caller."""
    before = threading.excepthook

    def hook(said: threading.ExceptHookArgs) -> None:
        if not issubclass(said.exc_type, OSError):
            before(said)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
