"""How the CPU kernel is called: memory layout, and planes shared out to threads."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from litescene.ops.pooling.windows import Windows


def takes(x: Tensor, windows: Windows) -> bool:
    """Whether the kernel computes this: up to float32, with any windows."""
    del windows
    return x.dtype != torch.float64


def dense(x: Tensor) -> Tensor:
    """x as float32, contiguous."""
    return x.float().contiguous()


def forward(x: Tensor, beta: Tensor, windows: Windows, mode: int) -> Tensor:
    """float32 N×C×out of a `dense` x N×C×size."""
    from litescene.ops.pooling.cpu_kernel import forward_planes

    out = windows.output_size(tuple(x.shape[2:]))
    y = x.new_empty(*x.shape[:2], *out)
    given = _planes(x), _planes(y), _shares(beta, out), _shape(windows), mode
    _by_planes(forward_planes, x.shape[0] * x.shape[1], *given)
    return y


def backward(
    x: Tensor, g: Tensor, beta: Tensor, windows: Windows, mode: int, exact: bool, learn: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, if it is learned, of β."""
    from litescene.ops.pooling.cpu_kernel import backward_planes

    g = g.contiguous()
    to_x, to_beta = torch.empty_like(x), torch.empty_like(g)
    out = tuple(g.shape[2:])
    given = (
        _planes(x), _planes(g), _shares(beta, out), _shape(windows), mode, exact,
        _planes(to_x), _planes(to_beta),
    )  # fmt: skip
    _by_planes(backward_planes, x.shape[0] * x.shape[1], *given)
    return to_x, to_beta.sum_to_size(beta.shape) if learn else None


def _planes(t: Tensor) -> Any:
    """N×C×size as planes×D×H×W in the same memory."""
    lengths = [1] * (5 - t.ndim) + list(t.shape[2:])
    return t.detach().reshape(t.shape[0] * t.shape[1], *lengths).numpy()


def _shares(beta: Tensor, out: tuple[int, ...]) -> Any:
    """β as channels×positions, each 1 where it is the same for all."""
    whole = beta.detach().reshape(*(1,) * (len(out) + 1 - beta.ndim), *beta.shape)
    if whole.numel() != whole.shape[0]:
        whole = whole.expand(whole.shape[0], *out)
    return np.ascontiguousarray(whole.reshape(whole.shape[0], -1).numpy())


def _shape(windows: Windows) -> tuple[tuple[int, ...], ...]:
    """Kernel, stride, padding and dilation for depth, rows and columns."""
    ones = (1,) * (3 - len(windows.kernel))
    zeros = (0,) * len(ones)
    return (
        ones + windows.kernel,
        ones + windows.stride,
        zeros + windows.padding,
        ones + windows.dilation,
    )


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="litescene-pooling")


def _by_planes(kernel: Callable[..., None], planes: int, *given: Any) -> None:
    """Call a kernel for all planes, shared out among PyTorch's number of threads."""
    threads = max(1, min(torch.get_num_threads(), planes))
    ends = [planes * (i + 1) // threads for i in range(threads)]
    ranges = list(zip([0, *ends], ends, strict=False))
    others = [_pool(threads - 1).submit(kernel, *given, *r) for r in ranges[1:]]
    kernel(*given, *ranges[0])
    for other in others:
        other.result()
