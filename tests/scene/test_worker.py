"""The thread that works in order."""

from __future__ import annotations

import threading

import pytest

from litescene.scene.worker import InOrder


def test_functions_run_one_after_another_in_order() -> None:
    worker, done = InOrder("test"), []
    for i in range(50):
        worker.submit(lambda i=i: done.append(i))  # type: ignore[misc]
    worker.close()
    assert done == list(range(50))


def test_the_first_error_ends_the_work_and_is_raised_to_who_submits() -> None:
    worker, done = InOrder("test", capacity=2), []

    def fail() -> None:
        raise OSError("first")

    def feed() -> None:
        while True:
            worker.submit(fail)
            worker.submit(lambda: done.append(1))

    with pytest.raises(OSError, match="first"):
        feed()
    with pytest.raises(OSError, match="first"):
        worker.close()
    assert done == []
    assert "litescene-test" not in [t.name for t in threading.enumerate()]


def test_an_error_of_the_last_function_is_raised_by_close() -> None:
    worker = InOrder("test")
    worker.submit(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        worker.close()
    worker.close()


def test_submitting_waits_while_the_queue_is_full() -> None:
    worker, go, submitted = InOrder("test", capacity=1), threading.Event(), []
    full = threading.Event()

    def feed() -> None:
        for i in range(3):
            worker.submit(go.wait)
            submitted.append(i)
            if i == 1:
                full.set()

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert full.wait(60)
    feeder.join(timeout=0.2)
    assert feeder.is_alive()
    assert submitted == [0, 1]  # one at work, one waiting
    go.set()
    feeder.join(timeout=60)
    worker.close()
    assert submitted == [0, 1, 2]


def test_a_closed_worker_takes_nothing() -> None:
    worker = InOrder("test")
    worker.close()
    with pytest.raises(ValueError, match="close"):
        worker.submit(lambda: None)
    with pytest.raises(ValueError, match="at least one"):
        InOrder("test", capacity=0)
