"""Ctrl-C, SIGTERM and a closed terminal end a job between two frames, never within one."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self, TypeVar

from litescene.runtime.stream import BoundedStream

Item = TypeVar("Item")

_POLL_SECONDS = 0.2
_log = logging.getLogger("litescene")


ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""What ends a program that is asked to: Ctrl-C, the system, and a terminal that goes away."""


def endings() -> list[signal.Signals]:
    """Those of `ENDING` that the program was not told to ignore."""
    return [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]


class StopSignals:
    """While it is entered, the first of `ENDING` sets `stopped` instead of raising.

    Signals that the program was told to ignore, as `nohup` tells it, stay so. Nothing is ever
    torn from its work, so that nothing is left half done; later signals are only answered with a
    log line. Outside the main thread Python gives no signals to anybody, and nothing is done.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in endings():
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # None: it was not set from Python, and cannot be set again from there.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def until_stopped(self, stream: BoundedStream[Item]) -> Iterator[Item]:
        """The stream's items, up to its end or the first signal."""
        while not self.stopped:
            if stream.ready(_POLL_SECONDS):
                item = next(stream, None)
                if item is None:
                    return
                yield item

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again, self.stopped = self.stopped, True
        _log.warning("still writing the results" if again else "stopping; writing the results")
