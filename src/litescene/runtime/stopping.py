"""Ctrl-C and SIGTERM end a job between two frames, never in the middle of one."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self, TypeVar

from litescene.runtime.stream import BoundedStream

Item = TypeVar("Item")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_POLL_SECONDS = 0.2
_log = logging.getLogger("litescene")


class StopSignals:
    """While it is entered, the first SIGINT or SIGTERM sets `stopped` instead of raising.

    Nothing is ever torn from its work, so that nothing is left half done; later signals are only
    answered with a log line. Outside the main thread Python gives no signals to anybody, and
    nothing is done.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
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
