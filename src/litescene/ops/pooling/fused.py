"""The fused CPU kernel in PyTorch's graph: which inputs it takes, threads, and gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.ops.pooling.windows import Windows, around, traced

Reference = Callable[[Tensor, Tensor, Windows], Tensor]
"""From x, β and the windows to the output; for gradients of gradients."""


def takes(x: Tensor) -> bool:
    """Whether the kernel computes this: on the CPU, up to float32, and no graph being traced."""
    return (
        x.device.type == "cpu"
        and x.dtype != torch.float64
        and not traced()
        and not torch.compiler.is_compiling()
    )


def pool(
    x: Tensor, beta: Tensor, windows: Windows, mode: int, exact: bool, reference: Reference
) -> Tensor:
    """float32 N×C×out of x N×C×size; β broadcasts to C×out; `mode` is a sum of `lanes`' bits."""
    if windows.count_include_pad:
        x = F.pad(x, around(windows.padding))
        none = (0,) * len(windows.kernel)
        windows = Windows(windows.kernel, windows.stride, none, windows.dilation, windows.ceil_mode)
    y: Tensor = _Fused.apply(  # type: ignore[no-untyped-call]
        x.float().contiguous(), beta.float(), windows, mode, exact, reference
    )
    return y


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        beta: Tensor,
        windows: Windows,
        mode: int,
        exact: bool,
        reference: Reference,
    ) -> Tensor:
        ctx.save_for_backward(x, beta)
        ctx.how = windows, mode, exact, reference
        out = windows.output_size(tuple(x.shape[2:]))
        y = x.new_empty(*x.shape[:2], *out)
        from litescene.ops.pooling.cpu_kernel import forward_planes

        given = _planes(x), _planes(y), _shares(beta, out), _shape(windows), mode
        _by_planes(forward_planes, x.shape[0] * x.shape[1], *given)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, beta = ctx.saved_tensors
        windows, mode, exact, reference = ctx.how
        g = grads[0]
        if torch.is_grad_enabled():
            return (*_twice(x, beta, windows, reference, g), None, None, None, None)
        from litescene.ops.pooling.cpu_kernel import backward_planes

        g = g.contiguous()
        to_x, to_beta = torch.empty_like(x), torch.empty_like(g)
        out = tuple(g.shape[2:])
        given = (
            _planes(x), _planes(g), _shares(beta, out), _shape(windows), mode, exact,
            _planes(to_x), _planes(to_beta),
        )  # fmt: skip
        _by_planes(backward_planes, x.shape[0] * x.shape[1], *given)
        return to_x, to_beta.sum_to_size(beta.shape), None, None, None, None


def _twice(
    x: Tensor, beta: Tensor, windows: Windows, reference: Reference, g: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated again: those of the reference."""
    y = reference(x, beta, windows)
    wanted = [t for t in (x, beta) if t.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, g, create_graph=True, allow_unused=True))
    return tuple(next(found) if t.requires_grad else None for t in (x, beta))


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
