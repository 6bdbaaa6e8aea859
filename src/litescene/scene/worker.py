"""A thread that works through functions in order, with a bounded queue before it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

Work = Callable[[], object]


class InOrder:
    """Runs functions one after another in a thread of its own; a bounded number waits.

    The first error of one of them ends the work: what waits is dropped, and the error is raised
    by the next `submit`, or by `close`.
    """

    def __init__(self, name: str, capacity: int = 4) -> None:
        if capacity < 1:
            raise ValueError(f"the queue holds at least one function, not {capacity}")
        self._capacity = capacity
        self._waiting: deque[Work] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"litescene-{name}", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> None:
        """Queue `work`; waits while `capacity` others do."""
        with self._changed:
            if self._closing:
                raise ValueError("nothing can be submitted after `close`")
            self._changed.wait_for(
                lambda: len(self._waiting) < self._capacity or self._error is not None
            )
            if self._error is not None:
                raise self._error
            self._waiting.append(work)
            self._changed.notify_all()

    def close(self) -> None:
        """Finish what waits, end the thread, and raise the first error; once is enough."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except BaseException as error:  # handed to the one who submits, whatever it is
                with self._changed:
                    self._error = error
                    self._waiting.clear()
                    self._changed.notify_all()
                return

    def _next(self) -> Work | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if not self._waiting:
                return None
            work = self._waiting.popleft()
            self._changed.notify_all()
            return work
