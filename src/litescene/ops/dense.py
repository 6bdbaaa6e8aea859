"""Convolution of one group whose weight gradient is right in bf16 and fast in float32 on the CPU.

On processors with AVX512-BF16 but without AMX, oneDNN's bf16 weight gradient of a dilated
convolution (PyTorch 2.13) reads and writes beyond its memory when the input has more than 16
channels and their number is no multiple of 16: the result is rubbish, and the program may crash.
With channels of zeros up to the next multiple it is right; those weigh nothing and are cut off
again.

In float32 and channels-last memory oneDNN's weight gradient for AVX2 is two to seven times slower
than the forward, which multiplies as often. There it is a kernel of our own: measured on two cores
(3×3, 8×260×90×120 to 130 channels, stride 2), 170 ms instead of 830; (3×1, 8×40×90×120 to 40
channels) 11 ms instead of 20.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.ops.convolution import OwnConv2d, Pair, as_autocast
from litescene.ops.flat import as_flat
from litescene.ops.threads import shared_out

_BLOCK = 16
"""Channels that oneDNN's kernel handles together."""
_MORE, _FEWER = 16, 6
"""Channels that our kernel needs on one side of the convolution and on the other."""
_CAPABILITY = torch.backends.cpu.get_cpu_capability()
_SUMS = 2**21
"""What the parts of our kernel's work may sum up in, about: 8 MB."""


class _Dense(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None,
        stride: Pair, padding: Pair, dilation: Pair,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(x, weight)
        ctx.how = stride, padding, dilation
        to_add = None if bias is None else bias.to(x.dtype)
        return F.conv2d(x, weight, to_add, stride, padding, dilation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        g = grads[0]
        to_x = to_weight = to_bias = None
        if ctx.needs_input_grad[0]:
            to_x = _pytorchs(g, x, weight, ctx.how, (True, False))[0]
        if ctx.needs_input_grad[1]:
            to_weight = _weight_gradient(g, x, weight, ctx.how)
        if ctx.needs_input_grad[2]:
            to_bias = g.sum((0, 2, 3), dtype=torch.promote_types(g.dtype, torch.float32))
        return to_x, to_weight, to_bias, None, None, None


def _weight_gradient(g: Tensor, x: Tensor, weight: Tensor, how: tuple[Pair, ...]) -> Tensor:
    if _is_slow(x, weight) and not torch.is_grad_enabled():
        return _by_kernel(g, x, weight, how)
    more = -x.shape[1] % _BLOCK if _is_endangered(x, how[2]) else 0
    wide_x = F.pad(x, (0, 0, 0, 0, 0, more)).contiguous(memory_format=torch.channels_last)
    wide_weight = F.pad(weight, (0, 0, 0, 0, 0, more))
    wide: Tensor = _pytorchs(g, wide_x, wide_weight, how, (False, True))[1]
    return wide[:, : x.shape[1]]


def _by_kernel(g: Tensor, x: Tensor, weight: Tensor, how: tuple[Pair, ...]) -> Tensor:
    """Many sums leave few parts of the pixels, whose work the tiles then share."""
    from litescene.ops import dense_kernel as kernel

    of_x, of_g = x.shape[1], g.shape[1]
    kept, swapped = kernel.sums(of_x, of_g), kernel.sums(of_g, of_x)
    turned = not kept or 0 < swapped < kept
    taps, size = weight.shape[2:].numel(), swapped if turned else kept
    parts = kernel.UNITS
    while parts > 1 and parts * taps * size > _SUMS:
        parts //= 2
    sums = np.zeros(parts * taps * size, np.float32)
    shape = (*x.shape[2:], *g.shape[2:], of_x, of_g)
    steps = tuple(weight.shape[2:]), *how
    shared_out(
        kernel.weight_gradient, kernel.UNITS, as_flat(x), as_flat(g), sums, turned, shape, steps
    )
    found = np.empty((taps, of_x, of_g) if turned else (taps, of_g, of_x), np.float32)
    shared_out(kernel.gathered, taps, sums, found, parts)
    last = torch.from_numpy(found).permute(*((2, 1, 0) if turned else (1, 2, 0)))
    return last.reshape(weight.shape).contiguous(memory_format=torch.channels_last)


def _pytorchs(
    g: Tensor, x: Tensor, weight: Tensor, how: tuple[Pair, ...], wanted: tuple[bool, bool]
) -> Any:
    """PyTorch's own gradients of the input and the weight, as far as they are wanted."""
    return torch.ops.aten.convolution_backward(
        g, x, weight, None, *how, False, (0, 0), 1, (*wanted, False)
    )


def _is_endangered(x: Tensor, dilation: Pair) -> bool:
    """Whether PyTorch's own weight gradient may be wrong."""
    channels = x.shape[1]
    return (
        x.dtype == torch.bfloat16
        and dilation != (1, 1)
        and channels > _BLOCK
        and channels % _BLOCK != 0
    )


def _is_slow(x: Tensor, weight: Tensor) -> bool:
    """Whether PyTorch's own weight gradient is slow; that of 1×1 is not."""
    fewer, more = sorted(weight.shape[:2])
    return (
        _CAPABILITY == "AVX2"
        and weight.shape[2:].numel() > 1
        and x.dtype == torch.float32
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.numel() > 0
        and fewer >= _FEWER
        and more >= _MORE
        and not torch.compiler.is_compiling()
    )


def dense_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Tensor:
    """`conv2d` of one group; x N×C×H×W, weight D×C×k×l, bias D.

    PyTorch's own, but for the gradient that it may have wrong or slow (see the module).
    """
    x, weight = as_autocast(x, weight)
    trains = x.device.type == "cpu" and torch.is_grad_enabled()
    if not (trains and (_is_endangered(x, dilation) or _is_slow(x, weight))):
        return F.conv2d(x, weight, bias, stride, padding, dilation)
    y: Tensor = _Dense.apply(x, weight, bias, stride, padding, dilation)  # type: ignore[no-untyped-call]
    return y


class DenseConv2d(OwnConv2d):
    """`dense_conv2d` as a layer: one group, zeros as padding."""

    operator = staticmethod(dense_conv2d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel, stride, padding, dilation, groups=1, bias=bias
        )
