"""Kernels that let go of the interpreter, on several threads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="litescene-ops")


def shared_out(kernel: Callable[..., None], count: int, *given: Any) -> None:
    """`kernel(*given, begin, end)` for all of 0..count, shared out among PyTorch's threads."""
    threads = max(1, min(torch.get_num_threads(), count))
    ends = [count * (i + 1) // threads for i in range(threads)]
    ranges = list(zip([0, *ends], ends, strict=False))
    others = [_pool(threads - 1).submit(kernel, *given, *r) for r in ranges[1:]]
    kernel(*given, *ranges[0])
    for other in others:
        other.result()
