"""The fused kernels in PyTorch's graph: which inputs they take, and gradients.

Those of the CPU are called here, with their layouts and threads; those of GPUs by `triton_launch`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.ops.flat import WIDTH
from litescene.ops.pooling import triton_launch
from litescene.ops.pooling.plans import Plan, plan
from litescene.ops.pooling.windows import Windows, around, traced
from litescene.ops.threads import shared_out

Reference = Callable[[Tensor, Tensor, Windows], Tensor]
"""From x, β and the windows to the output; for gradients of gradients."""

FEW_CHANNELS = WIDTH // 2
"""With fewer channels, vectors over channels are emptier than rearranging x is slow."""


def takes(x: Tensor, windows: Windows, delta: float | None = None) -> bool:
    """Whether there are kernels for this: up to float32, no graph being traced, no `torch.func`."""
    if traced() or torch.compiler.is_compiling() or x.dtype == torch.float64:
        return False
    if torch._C._are_functorch_transforms_active():  # what `Function.apply` itself asks
        return False
    return triton_launch.takes(windows, delta) if _on_gpu(x) else x.device.type == "cpu"


def _on_gpu(x: Tensor) -> bool:
    return x.is_cuda


def pool(
    x: Tensor,
    beta: Tensor,
    windows: Windows,
    mode: int,
    exact: bool,
    reference: Reference,
    delta: float | None = None,
) -> Tensor:
    """N×C×out of x N×C×size, in its type or float32; β broadcasts to C×out.

    `mode` is a sum of `weighting`'s bits; `delta` is None, or for inverse distances the
    pseudo-Huber distance's, 0 for the distance itself.
    """
    if windows.count_include_pad:
        none = (0,) * len(windows.kernel)
        # Padding that becomes part of the input must not make room for a window more.
        spare = windows.spare(tuple(x.shape[2:])) if windows.ceil_mode else none
        x = F.pad(x, around(windows.padding, tuple(-s for s in spare)))
        windows = Windows(windows.kernel, windows.stride, none, windows.dilation, windows.ceil_mode)
    if _on_gpu(x):
        x = triton_launch.dense(x)
    else:
        x = x if x.dtype == torch.bfloat16 else x.float()
        x = x.contiguous(memory_format=_form(x))
    y: Tensor = _Fused.apply(  # type: ignore[no-untyped-call]
        x, beta.float(), windows, mode, delta, exact, reference
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
        delta: float | None,
        exact: bool,
        reference: Reference,
    ) -> Tensor:
        ctx.save_for_backward(x, beta)
        ctx.how = windows, mode, delta, exact, reference
        if _on_gpu(x):
            return triton_launch.forward(x, beta, windows, mode)
        out = windows.output_size(tuple(x.shape[2:]))
        form = _form(x)
        y = torch.empty(*x.shape[:2], *out, memory_format=form)
        call = _planes if form == torch.contiguous_format else _pixels
        call(plan(tuple(x.shape[2:]), windows), beta, (x, y), (mode, delta))
        return y.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, beta = ctx.saved_tensors
        windows, mode, delta, exact, reference = ctx.how
        g, form = grads[0], _form(x)
        if torch.is_grad_enabled():
            return (*_twice(x, beta, windows, reference, g), *(None,) * 5)
        learn = bool(ctx.needs_input_grad[1])
        if _on_gpu(x):
            return (
                *triton_launch.backward(x, g, beta, windows, mode, exact, learn), *(None,) * 5
            )  # fmt: skip
        g = g.contiguous(memory_format=form)
        to_x = torch.empty_like(x, dtype=torch.float32)
        call = _planes if form == torch.contiguous_format else _pixels
        given = plan(tuple(x.shape[2:]), windows), beta, (x, g), (mode, delta)
        to_beta = call(*given, (exact, to_x, learn))
        return to_x.to(x.dtype), to_beta, *(None,) * 5


def _twice(
    x: Tensor, beta: Tensor, windows: Windows, reference: Reference, g: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated again: those of the reference."""
    y = reference(x, beta, windows)
    wanted = [t for t in (x, beta) if t.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, g, create_graph=True, allow_unused=True))
    return tuple(next(found) if t.requires_grad else None for t in (x, beta))


def _form(x: Tensor) -> torch.memory_format:
    """The layout to compute in: channels last where x has it, else planes."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    if (
        last is None
        or x.is_contiguous()
        or x.shape[1] < FEW_CHANNELS
        or not x.is_contiguous(memory_format=last)
    ):
        return torch.contiguous_format
    return last


Pair = tuple[Tensor, Tensor]
Weights = tuple[int, float | None]
Wanted = tuple[bool, Tensor, bool]
"""Exact gradients, where to put x's, and whether β's is asked for."""


def _planes(
    plan: Plan, beta: Tensor, pair: Pair, weights: Weights, wanted: Wanted | None = None
) -> Tensor | None:
    """Compute the second of a pair from the first; or, `wanted`, gradients from both."""
    from litescene.ops.pooling import cpu_kernel

    x, y = pair
    planes, out = x.shape[0] * x.shape[1], tuple(y.shape[2:])
    (starts, counts), blocks = plan.forward if wanted is None else (plan.lines, plan.blocks)
    share = _shares(beta, out, channels_minor=False)
    taps = starts.shape[1] * plan.row[1]
    scratch = cpu_kernel.scratch_size(taps, out[-1], int(plan.turns[-1, 1]))
    given = (
        _array(x).reshape(planes, plan.sizes[0]),
        _array(y).reshape(planes, counts.size, plan.sizes[1] // counts.size), share,
        (starts, counts, *blocks, plan.turns), plan.row,
    )  # fmt: skip
    if wanted is None:
        _in_parts(cpu_kernel.forward_planes, planes, scratch, *given, *weights)
        return None
    exact, to_x, of_beta = wanted
    sums, each = _sums_or_each(planes, share[1][1], y, of_beta)
    _in_parts(
        cpu_kernel.backward_planes, planes, scratch, *given, plan.written, *weights, exact,
        (_array(to_x).reshape(-1), sums, _array(each).reshape(-1)),
    )  # fmt: skip
    return _gradient(sums.sum(1), each, beta) if of_beta else None


def _pixels(
    plan: Plan, beta: Tensor, pair: Pair, weights: Weights, wanted: Wanted | None = None
) -> Tensor | None:
    """As `_planes`, of tensors whose channels come last."""
    from litescene.ops.pooling import pixel_kernel

    x, y = pair
    images, channels, *out = y.shape
    blocks = -(-channels // WIDTH)
    starts, columns = plan.lines[0], plan.columns[0]
    share = _shares(beta, tuple(out), channels_minor=True)
    scratch = pixel_kernel.scratch_size(starts.shape[1] * columns.shape[1], channels)
    given = (
        _array(x).reshape(images, plan.sizes[0], channels),
        _array(y).reshape(images, starts.shape[0], out[-1], channels), share,
        (*plan.lines, *plan.columns),
    )  # fmt: skip
    parts = images * blocks
    if wanted is None:
        _in_parts(pixel_kernel.forward_pixels, parts, scratch, *given, *weights)
        return None
    exact, to_x, of_beta = wanted
    sums, each = _sums_or_each(parts, share[1][0], y, of_beta)
    _in_parts(
        pixel_kernel.backward_pixels, parts, scratch, *given, plan.written, *weights, exact,
        (_array(to_x).reshape(-1), sums, _array(each).reshape(-1)),
    )  # fmt: skip
    in_blocks = sums.reshape(-1, blocks * WIDTH)
    return _gradient(in_blocks[:, :channels], each, beta) if of_beta else None


def _sums_or_each(parts: int, positions: int, g: Tensor, of_beta: bool) -> tuple[Any, Tensor]:
    """Room for β's gradient: sums where β is the same at all positions, else one per output."""
    summing = of_beta and positions == 1
    sums = np.zeros((parts if summing else 0, WIDTH))
    each = torch.empty_like(g if of_beta and not summing else g[:0], dtype=torch.float32)
    return sums, each


def _gradient(sums: Any, each: Tensor, beta: Tensor) -> Tensor:
    """β's gradient from one number per image and channel, or from one per output."""
    if not sums.size:
        return each.sum_to_size(beta.shape)
    whole = torch.from_numpy(sums).reshape(-1, each.shape[1], *(1,) * (each.ndim - 2))
    return whole.sum_to_size(beta.shape).float()


def _array(t: Tensor) -> Any:
    """Elements in the order in which they lie in memory; bfloat16 as uint16."""
    t = t.detach()
    if not t.is_contiguous():
        t = t.permute(0, *range(2, t.ndim), 1)
    return t.view(torch.int16).numpy().view(np.uint16) if t.dtype == torch.bfloat16 else t.numpy()


def _shares(
    beta: Tensor, out: tuple[int, ...], *, channels_minor: bool
) -> tuple[Any, tuple[int, int]]:
    """β as channels×positions or the other way round, each 1 where it is the same for all.

    Flat, with room for a vector behind.
    """
    whole = beta.detach().reshape(*(1,) * (len(out) + 1 - beta.ndim), *beta.shape)
    if whole.numel() != whole.shape[0]:
        whole = whole.expand(whole.shape[0], *out)
    table = whole.reshape(whole.shape[0], -1).numpy()
    if channels_minor:
        table = table.T
    return np.append(table, np.zeros(WIDTH, np.float32)), table.shape


def _in_parts(kernel: Callable[..., None], parts: int, scratch: int, *given: Any) -> None:
    """Call a kernel for all parts, with scratch memory for each of PyTorch's threads."""

    def some(low: int, high: int) -> None:
        kernel(*given, np.zeros(scratch, np.float32), low, high)

    shared_out(some, parts)
