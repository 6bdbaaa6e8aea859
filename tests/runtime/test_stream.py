from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from litescene.core import SourceError
from litescene.runtime import BoundedStream


def test_all_items_come_in_order() -> None:
    with BoundedStream(range(500), capacity=2) as stream:
        assert list(stream) == list(range(500))
        assert stream.dropped == 0


def test_a_recorded_source_is_never_read_far_ahead() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            yield i

    with BoundedStream(source(), capacity=3) as stream:
        for item in stream:
            time.sleep(0.001)
            # At most the queue, the one that waits for a place, and the one just taken.
            assert len(made) <= item + 1 + 3 + 1


def test_a_live_source_keeps_the_newest_and_counts_the_rest() -> None:
    done = threading.Event()

    def source() -> Iterator[int]:
        yield from range(100)
        done.set()

    with BoundedStream(source(), capacity=2, live=True) as stream:
        assert done.wait(5)
        assert list(stream) == [98, 99]
        assert stream.dropped == 98


def test_the_time_of_the_source_is_counted_and_that_of_the_consumer_is_not() -> None:
    def source() -> Iterator[int]:
        for i in range(4):
            time.sleep(0.01)
            yield i

    with BoundedStream(source(), capacity=1) as stream:
        began = time.perf_counter()
        for _ in stream:
            time.sleep(0.05)
        elapsed = time.perf_counter() - began
        assert 0.04 <= stream.seconds < elapsed - 0.05


def test_an_error_of_the_source_comes_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise SourceError("the file ends in the middle")

    seen = []
    stream = BoundedStream(source())

    def consume() -> None:
        seen.extend([next(stream), next(stream)])
        next(stream)

    with pytest.raises(SourceError, match="in the middle"):
        consume()
    assert seen == [1, 2]
    with pytest.raises(StopIteration):
        next(stream)


def test_leaving_by_an_interrupt_stops_the_thread_and_closes_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            i = 0
            while True:
                yield i
                i += 1
        finally:
            closed.set()

    stream = BoundedStream(source())

    def consume() -> None:
        with stream:
            for item in stream:
                if item == 5:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert closed.wait(5)
    assert not stream._thread.is_alive()
    assert list(stream) == []
    stream.close()


def test_an_empty_source_gives_nothing() -> None:
    assert list(BoundedStream([])) == []


def test_a_queue_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        BoundedStream([], capacity=0)
