"""Depthwise convolution whose gradients are fast on the CPU.

PyTorch's own backward of a depthwise convolution with stride or dilation takes a slow path there:
measured on one core in bf16 (8×32×90×120, dilation 2), 104 ms against 2 ms for the forward. Both
gradients are convolutions themselves: that of the input is the forward with the kernel turned by
180° (for stride 2 of the gradient with zeros between its values), that of the kernel a sum of
products per tap. The same takes 11 ms. In float32 PyTorch's own is slow with dilation alone.

For bf16 and float32 in channels-last memory the sums of products are a kernel of their own:
measured on another core in bf16 (8×32×30×40, dilation 4), both gradients take 0.3 ms instead of
0.9 ms, and for 5×5 windows 0.8 ms instead of PyTorch's 3.7 ms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.ops.convolution import OwnConv2d, Pair, as_autocast, with_bias
from litescene.ops.flat import KERNEL_TYPES, as_flat
from litescene.ops.threads import shared_out

_WIDEST_IN_BF16 = 13
"""oneDNN's bf16 kernel for depthwise windows of one row never returns where they are wider.

Seen for 15, 17 and 25 columns on a processor with AVX512-BF16 (PyTorch 2.13); float32 takes 0.5 ms.
"""

_SMALL = 3
"""Windows up to here have fast gradients in PyTorch, without stride and dilation."""
_TILE = 256
"""Values that the kernel sums up side by side, about."""


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = stride, padding, dilation
        return _convolved(x, weight, None, stride, padding, dilation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        to_x = _input_gradient(grads[0], x, weight, *ctx.how) if ctx.needs_input_grad[0] else None
        to_w = _kernel_gradient(grads[0], x, weight, *ctx.how) if ctx.needs_input_grad[1] else None
        return to_x, to_w, None, None, None


def _input_gradient(
    g: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """The forward with the turned kernel, of the gradient with zeros where the stride skipped."""
    if x.dtype != torch.bfloat16 and _is_fast(x, dilation):
        return _pytorchs(0, g, x, weight, stride, padding, dilation)
    height, width = x.shape[-2:]
    reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[-2:], strict=True)]
    rows = height + 2 * padding[0] - reach[0]
    columns = width + 2 * padding[1] - reach[1]
    if stride != (1, 1):
        spread = g.new_zeros(*g.shape[:2], rows, columns).to(memory_format=torch.channels_last)
        spread[:, :, :: stride[0], :: stride[1]] = g
        g = spread
    around = (reach[0] - padding[0], reach[1] - padding[1])
    return _convolved(g, weight.flip(2, 3), None, (1, 1), around, dilation)


def _kernel_gradient(
    g: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """Per tap the sum of the products of the gradient and the input that the tap saw."""
    if g.dtype == x.dtype in KERNEL_TYPES and x.numel() and not torch.is_grad_enabled():
        return _by_kernel(g, x, weight, stride, padding, dilation)
    if _is_fast(x, dilation):
        return _pytorchs(1, g, x, weight, stride, padding, dilation)
    rows, columns = g.shape[-2:]
    padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    padded = padded.contiguous(memory_format=torch.channels_last)
    taps = []
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            top, left = i * dilation[0], j * dilation[1]
            seen = padded[
                :, :, top : top + stride[0] * (rows - 1) + 1 : stride[0],
                left : left + stride[1] * (columns - 1) + 1 : stride[1],
            ]  # fmt: skip
            taps.append(
                (seen * g).sum((0, 2, 3), dtype=torch.promote_types(g.dtype, torch.float32))
            )
    return torch.stack(taps, 1).view_as(weight).to(weight.dtype)


def _is_fast(x: Tensor, dilation: Pair) -> bool:
    """Whether PyTorch's own gradient is; that of one channel it computes wrongly.

    For one channel and a window of 31 rows over 16 it writes where it must not (2.13, float32).
    """
    return dilation == (1, 1) and x.shape[1] > 1


def _pytorchs(
    which: int, g: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """PyTorch's own gradient of the input (0) or the kernel (1)."""
    mask = (which == 0, which == 1, False)
    how = None, stride, padding, dilation, False, (0, 0), x.shape[1], mask
    return torch.as_tensor(torch.ops.aten.convolution_backward(g, x, weight, *how)[which])


def _by_kernel(
    g: Tensor, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    from litescene.ops.depthwise_kernel import PARTS, weight_gradient

    channels, (tall, wide) = x.shape[1], weight.shape[2:]
    pixels = max(1, _TILE // channels)
    sums = np.zeros((PARTS, tall * wide * pixels * channels), np.float32)
    shape = (*x.shape[2:], *g.shape[2:], channels)
    how = ((tall, wide), stride, padding, dilation)
    shared_out(weight_gradient, PARTS, as_flat(x), as_flat(g), sums, shape, how)
    summed = torch.from_numpy(sums).double().sum(0).reshape(tall * wide, pixels, channels).sum(1)
    return summed.t().reshape(weight.shape).to(weight.dtype)


def _convolved(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Pair, padding: Pair, dilation: Pair
) -> Tensor:
    """PyTorch's own, in float32 where bf16 would not return."""
    how = stride, padding, dilation, x.shape[1]
    wide = weight.shape[3] > _WIDEST_IN_BF16
    if not (wide and x.device.type == "cpu" and x.dtype == torch.bfloat16):
        return F.conv2d(x, weight, bias, *how)
    exact = None if bias is None else bias.float()
    with torch.autocast("cpu", enabled=False):
        return F.conv2d(x.float(), weight.float(), exact, *how).to(x.dtype)


def _trains_on_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and torch.is_grad_enabled()


def depthwise_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Tensor:
    """`conv2d` of every channel by itself; x N×C×H×W, weight C×1×k×l, bias C.

    Equal to PyTorch's up to the order of sums. The fast gradients are used on the CPU, where a
    stride, a dilation or a large window makes PyTorch's slow and the padding does not exceed the
    kernel's reach.
    On the CPU windows wider than 13 are computed in float32 where bf16 is asked for.
    """
    x, weight = as_autocast(x, weight)
    reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[-2:], strict=True)]
    small = (stride, dilation) == ((1, 1), (1, 1)) and max(weight.shape[-2:]) <= _SMALL
    if small or padding[0] > reach[0] or padding[1] > reach[1] or not _trains_on_cpu(x):
        return _convolved(x, weight, bias, stride, padding, dilation)
    y: Tensor = _Depthwise.apply(x, weight, stride, padding, dilation)  # type: ignore[no-untyped-call]
    return with_bias(y, bias)


class DepthwiseConv2d(OwnConv2d):
    """`depthwise_conv2d` as a layer, with padding and dilation per direction."""

    operator = staticmethod(depthwise_conv2d)

    def __init__(
        self,
        channels: int,
        kernel: Pair,
        stride: int = 1,
        padding: Pair = (0, 0),
        dilation: Pair = (1, 1),
        *,
        bias: bool = False,
    ) -> None:
        super().__init__(channels, channels, kernel, stride, padding, dilation, channels, bias)
