"""Dilated convolution whose weight gradient is right in bf16 on the CPU.

On processors with AVX512-BF16 but without AMX, oneDNN's bf16 weight gradient of a dilated
convolution (PyTorch 2.13) reads and writes beyond its memory when the input has more than 16
channels and their number is no multiple of 16: the result is rubbish, and the program may crash.
With channels of zeros up to the next multiple it is right; those weigh nothing and are cut off
again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.ops.convolution import OwnConv2d, Pair, as_autocast, with_bias

_BLOCK = 16
"""Channels that oneDNN's kernel handles together."""


class _Dilated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = stride, padding, dilation
        return F.conv2d(x, weight, None, stride, padding, dilation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        to_x = to_weight = None
        if ctx.needs_input_grad[0]:
            to_x = _gradients(grads[0], x, weight, ctx.how, (True, False))[0]
        if ctx.needs_input_grad[1]:
            more = -x.shape[1] % _BLOCK
            wide_x = F.pad(x, (0, 0, 0, 0, 0, more)).contiguous(memory_format=torch.channels_last)
            wide_weight = F.pad(weight, (0, 0, 0, 0, 0, more))
            wide = _gradients(grads[0], wide_x, wide_weight, ctx.how, (False, True))[1]
            to_weight = wide[:, : x.shape[1]]
        return to_x, to_weight, None, None, None


def _gradients(
    g: Tensor, x: Tensor, weight: Tensor, how: tuple[Pair, Pair, Pair], wanted: tuple[bool, bool]
) -> Any:
    """PyTorch's own gradients of the input and the weight, as far as they are wanted."""
    return torch.ops.aten.convolution_backward(
        g, x, weight, None, *how, False, (0, 0), 1, (*wanted, False)
    )


def _endangered(channels: int, dilation: Pair) -> bool:
    """Whether PyTorch's own bf16 weight gradient may be wrong."""
    return dilation != (1, 1) and channels > _BLOCK and channels % _BLOCK != 0


def dilated_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Tensor:
    """`conv2d` of one group; x N×C×H×W, weight D×C×k×l, bias D.

    PyTorch's own, but for the gradient that it may have wrong (see the module).
    """
    x, weight = as_autocast(x, weight)
    rough = x.device.type == "cpu" and x.dtype == torch.bfloat16 and torch.is_grad_enabled()
    if not (rough and _endangered(x.shape[1], dilation)):
        return F.conv2d(x, weight, bias, stride, padding, dilation)
    y: Tensor = _Dilated.apply(x, weight, stride, padding, dilation)  # type: ignore[no-untyped-call]
    return with_bias(y, bias)


class DilatedConv2d(OwnConv2d):
    """`dilated_conv2d` as a layer: one group, zeros as padding."""

    operator = staticmethod(dilated_conv2d)

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
