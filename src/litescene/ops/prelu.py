"""PReLU that is fast on the CPU in bf16.

He et al., "Delving Deep into Rectifiers", ICCV 2015: y = max(x, 0) + a·min(x, 0). PyTorch's own
broadcasts the slopes element by element in channels-last memory: measured on one core (bf16,
8×16×180×240), 33 ms forward and 37 ms backward, against 6 and 9 ms of plain passes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _PReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        falling = x * slope[:, None, None]
        if bool((slope <= 1).all()):  # then the larger one is right, in half the passes
            return torch.maximum(x, falling)
        return torch.where(x > 0, x, falling)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        g = grads[0]
        below = torch.ops.aten.threshold_backward(g, -x, 0)  # g where x < 0, else 0
        to_x = (g - below) + below * slope[:, None, None]
        exact = torch.promote_types(x.dtype, torch.float32)
        to_slope = (below * x).sum((0, 2, 3), dtype=exact)
        if slope.numel() == 1:
            to_slope = to_slope.sum(0, keepdim=True)
        return to_x, to_slope.to(slope.dtype)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """max(x, 0) + slope·min(x, 0) for N×C×H×W and a slope per channel (C) or one for all (1).

    At 0 the gradient is that of the positive side.
    """
    if x.device.type != "cpu" or not torch.is_grad_enabled():
        return F.prelu(x, slope.to(x.dtype))
    y: Tensor = _PReLU.apply(x, slope.to(x.dtype))  # type: ignore[no-untyped-call]
    return y


class PReLU(nn.PReLU):
    """`prelu` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to the same shape."""
        return prelu(x, self.weight)
