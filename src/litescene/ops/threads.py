"""Kernels that let go of the interpreter, on PyTorch's own threads.

Those of its OpenMP runtime wait for more work by running in circles: for a few milliseconds after
any of PyTorch's operators they take the cores from threads of another pool, and a kernel on such
took twice as long (measured after `avg_pool2d` on two cores: 4.2 ms, against 1.9 ms alone). So
where PyTorch brings GNU's runtime along, kernels run as one of its parallel regions; elsewhere a
pool of threads does.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

_BODY = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@functools.cache
def _parallel() -> Any:
    """`GOMP_parallel` of the runtime that PyTorch has loaded; None without."""
    for file in sorted(Path(torch.__file__).parent.glob("lib/libgomp*.so*")):
        parallel = ctypes.CDLL(str(file)).GOMP_parallel
        parallel.argtypes = (_BODY, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        parallel.restype = None
        return parallel
    return None


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="litescene-ops")


def shared_out(kernel: Callable[..., None], count: int, *given: Any) -> None:
    """`kernel(*given, begin, end)` for all of 0..count, shared out among PyTorch's threads."""
    threads = max(1, min(torch.get_num_threads(), count))
    ends = [count * (i + 1) // threads for i in range(threads)]
    ranges = list(zip([0, *ends], ends, strict=False))
    parallel = _parallel() if threads > 1 else None
    if parallel is not None:
        _in_region(parallel, kernel, given, ranges)
        return
    others = [_pool(threads - 1).submit(kernel, *given, *r) for r in ranges[1:]]
    kernel(*given, *ranges[0])
    for other in others:
        other.result()


def _in_region(
    parallel: Any, kernel: Callable[..., None], given: Any, ranges: list[tuple[int, int]]
) -> None:
    """Every thread of a region takes ranges until none is left; an error comes out at its end."""
    turn = itertools.count()
    errors: list[BaseException] = []

    def body(_: int | None) -> None:
        try:
            while (index := next(turn)) < len(ranges):
                kernel(*given, *ranges[index])
        except BaseException as error:  # nothing may leave a function that C calls
            errors.append(error)

    parallel(_BODY(body), None, len(ranges), 0)
    if errors:
        raise errors[0]
