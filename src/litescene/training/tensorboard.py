"""The log of a run in TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def shown_in_tensorboard(
    folder: Path, log: Sequence[Mapping[str, Any]], writes: bool
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Gives a function that adds the record of an epoch; its numbers become curves.

    `log` are the records of the finished epochs, empty for a new run. They replace what earlier
    parts of the run wrote, some of which may have been lost with them. A process that does not
    write gets a function that does nothing.
    """
    if not writes:
        yield lambda record: None
        return
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=0 if log else None)

    def show(record: Mapping[str, Any]) -> None:
        for name, value in record.items():
            if isinstance(value, float):
                writer.add_scalar(name, value, record["epoch"])

    try:
        for record in log:
            show(record)
        yield show
    finally:
        writer.close()
