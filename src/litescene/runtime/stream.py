"""A bounded stream of frames: decoding runs ahead in a thread, memory stays flat."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
_POLL_SECONDS = 0.2


class BoundedStream(Iterator[Item], Generic[Item]):
    """Items of `source`, read ahead by one thread into a queue of `capacity`.

    Items come in the order of the source. A recorded source waits while the queue is full; a
    `live` one never waits: its oldest waiting item goes and `dropped` counts it, so that the
    consumer always works on the newest ones. An exception of the source is raised to the
    consumer after the items before it. Use it as a context manager: leaving the block, by
    Ctrl-C too, stops the thread and closes the source. `seconds` is the time that the source took
    for its items, in its thread.

        with BoundedStream(frames) as stream:
            for frame in stream:
                ...
    """

    def __init__(self, source: Iterable[Item], capacity: int = 3, *, live: bool = False) -> None:
        if capacity < 1:
            raise ValueError(f"the queue holds at least one item, not {capacity}")
        self.dropped = 0
        self.seconds = 0.0
        self._capacity, self._live = capacity, live
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._finished = self._stopping = False
        self._thread = threading.Thread(
            target=self._read, args=(source,), name="litescene-frames", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> BoundedStream[Item]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __next__(self) -> Item:
        """The next item; waits for it, and stays open to Ctrl-C while it waits."""
        with self._changed:
            while not self._items and not self._finished:
                self._changed.wait(_POLL_SECONDS)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        raise StopIteration

    def ready(self, seconds: float) -> bool:
        """Whether `next` has something to give, an item or the end; waits at most so long."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._items) or self._finished, seconds)

    def close(self) -> None:
        """Stop reading and drop what waits; harmless when done twice.

        A source that is stuck in a read (a camera that went away) is not waited for.
        """
        with self._changed:
            self._stopping = self._finished = True
            self._items.clear()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _read(self, source: Iterable[Item]) -> None:
        error: BaseException | None = None
        try:
            iterator = iter(source)
            try:
                for item in self._timed(iterator):
                    if not self._offer(item):
                        break
            finally:
                # Generators hold files and devices; close them in the thread that used them.
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
        except BaseException as caught:  # handed to the consumer, whatever it is
            error = caught
        with self._changed:
            self._error, self._finished = error, True
            self._changed.notify_all()

    def _timed(self, iterator: Iterator[Item]) -> Iterator[Item]:
        """The items; adds up the time that each took."""
        while True:
            began = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - began
            yield item

    def _offer(self, item: Item) -> bool:
        """Queue an item; False when the stream is closing."""
        with self._changed:
            if self._live and len(self._items) >= self._capacity:
                self._items.popleft()
                self.dropped += 1
            while len(self._items) >= self._capacity and not self._stopping:
                self._changed.wait(_POLL_SECONDS)
            if self._stopping:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True
