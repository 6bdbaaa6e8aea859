"""PReLU that is fast on the CPU in training.

He et al., "Delving Deep into Rectifiers", ICCV 2015: y = max(x, 0) + a·min(x, 0). PyTorch's own
broadcasts the slopes element by element in channels-last memory: measured on one core (bf16,
8×16×180×240), 33 ms forward and 37 ms backward, against 6 and 9 ms of plain passes. For bf16 and
float32 in channels-last memory a kernel takes one pass for each: measured on another core (bf16,
8×16×120×160), 0.8 ms for both, against 4.6 ms of plain passes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.ops.flat import KERNEL_TYPES, as_flat
from litescene.ops.threads import shared_out

_BLOCK = 512
"""Values that the kernel takes in one run, about."""


class _PReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        if _kernel_takes(x):
            return _forward_by_kernel(x, slope)
        falling = x * slope.to(x.dtype)[:, None, None]
        if bool((slope <= 1).all()):  # then the larger one is right, in half the passes
            return torch.maximum(x, falling)
        return torch.where(x > 0, x, falling)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        g = grads[0]
        if _kernel_takes(x) and not torch.is_grad_enabled():
            to_x, to_slope = _backward_by_kernel(x, slope, g)
        else:
            below = torch.ops.aten.threshold_backward(g, -x, 0)  # g where x < 0, else 0
            to_x = (g - below) + below * slope.to(x.dtype)[:, None, None]
            exact = torch.promote_types(x.dtype, torch.float32)
            to_slope = (below * x).sum((0, 2, 3), dtype=exact)
        if slope.numel() == 1:
            to_slope = to_slope.sum(0, keepdim=True)
        return to_x, to_slope.to(slope.dtype)


def _kernel_takes(x: Tensor) -> bool:
    return (
        x.dtype in KERNEL_TYPES
        and x.numel() > 0
        and x.is_contiguous(memory_format=torch.channels_last)
        and not torch.compiler.is_compiling()
    )


def _forward_by_kernel(x: Tensor, slope: Tensor) -> Tensor:
    from litescene.ops.prelu_kernel import PARTS, forward

    y = _like(x)
    shared_out(forward, PARTS, as_flat(x), _tiled(slope, x.shape[1]), as_flat(y))
    return y


def _backward_by_kernel(x: Tensor, slope: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    from litescene.ops.prelu_kernel import PARTS, backward

    slopes, to_x = _tiled(slope, x.shape[1]), _like(x)
    sums = np.zeros((PARTS, slopes.size), np.float32)
    shared_out(backward, PARTS, as_flat(x), as_flat(g.to(x.dtype)), slopes, as_flat(to_x), sums)
    return to_x, torch.from_numpy(sums).double().sum(0).reshape(-1, x.shape[1]).sum(0)


def _like(x: Tensor) -> Tensor:
    """New memory for such a tensor, in channels-last strides even where a side is 1."""
    n, c, height, width = x.shape
    return x.new_empty(n, height, width, c).permute(0, 3, 1, 2)


def _tiled(slope: Tensor, channels: int) -> Any:
    """Slopes for a block of rows of so many channels."""
    row = slope.detach().float().expand(channels)
    return row.repeat(max(1, _BLOCK // channels)).numpy()


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """max(x, 0) + slope·min(x, 0) for N×C×H×W and a slope per channel (C) or one for all (1).

    At 0 the gradient is that of the positive side.
    """
    if x.device.type != "cpu" or not torch.is_grad_enabled():
        return F.prelu(x, slope.to(x.dtype))
    y: Tensor = _PReLU.apply(x, slope)  # type: ignore[no-untyped-call]
    return y


class PReLU(nn.PReLU):
    """`prelu` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to the same shape."""
        return prelu(x, self.weight)
