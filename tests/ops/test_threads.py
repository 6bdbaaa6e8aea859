"""Kernels on PyTorch's own threads, and on a pool's where those cannot be had."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from litescene.ops import threads
from litescene.ops.threads import shared_out


@pytest.fixture(params=["region", "pool"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pool":
        monkeypatch.setattr(threads, "_parallel", lambda: None)
    elif threads._parallel() is None:
        pytest.skip("this PyTorch brings no GNU OpenMP along")
    return str(request.param)


@pytest.fixture(params=[1, 2, 5])
def count(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("total", [1, 3, 100])
def test_every_part_is_done_once(count: int, total: int) -> None:
    done = np.zeros(total, int)

    def kernel(step: int, begin: int, end: int) -> None:
        done[begin:end] += step

    for _ in range(20):
        shared_out(kernel, total, 2)
    assert (done == 40).all()


def test_all_threads_work_at_the_same_time(count: int) -> None:
    """Each waits for all others: with fewer of them the barrier would break."""
    barrier = threading.Barrier(count)

    def kernel(begin: int, end: int) -> None:
        barrier.wait(timeout=20)

    shared_out(kernel, count)


def test_an_error_in_a_kernel_comes_out(count: int) -> None:
    def kernel(begin: int, end: int) -> None:
        if end == 7:
            raise ZeroDivisionError("the last part")

    with pytest.raises(ZeroDivisionError, match="the last part"):
        shared_out(kernel, 7)


def test_pytorchs_operators_work_after_a_kernel_and_within_one(count: int) -> None:
    x = torch.randn(4, 8, 64, 64)
    expected = torch.nn.functional.avg_pool2d(x.double(), 2)
    found = {}

    def kernel(begin: int, end: int) -> None:
        found[begin] = torch.nn.functional.avg_pool2d(x, 2)

    shared_out(kernel, 4)
    found[-1] = torch.nn.functional.avg_pool2d(x, 2)
    for y in found.values():
        torch.testing.assert_close(y.double(), expected, rtol=1e-5, atol=1e-6)
