"""PP-LCNet as YOLOv5-Lite-c uses it.

Paper: Cui et al., "PP-LCNet: A Lightweight CPU Convolutional Neural Network", arXiv 2109.15099.
Written from the paper and a fact sheet of YOLOv5-Lite, not from code. Differences of that variant
to the paper: the gate of squeeze and excitation is SiLU, not the hard sigmoid, and so it is not
held within 0 and 1; the last 1×1 convolution ("Dense") keeps 512 channels and the map's size.

| stage | output stride | channels | depthwise kernels | squeeze and excitation |
|---|---|---|---|---|
| stem (conv 3×3 s2) | 2 | 32 | - | - |
| stage 2 | 4 | 64 | 3, 3 | - |
| stage 3 | 8 | 128 | 3, 3, 3, 3 | - |
| stage 4 | 16 | 256 | 3, 5, 5, 5, 5, 5 | - |
| stage 5 | 32 | 512 | 5, 5, 5, 5 | yes |
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.csp_blocks import batch_norm
from litescene.ops import DepthwiseConv2d

_STAGES: tuple[tuple[int, tuple[int, ...], bool], ...] = (
    (64, (3, 3), False),
    (128, (3, 3, 3, 3), False),
    (256, (3, 5, 5, 5, 5, 5), False),
    (512, (5, 5, 5, 5), True),
)
"""Channels, depthwise kernels, and whether there is squeeze and excitation."""
_DROPOUT = 0.2


_OPEN = 1.2785
"""Where SiLU is 1."""


class SqueezeExcitation(nn.Module):
    """A gate per channel from the map's mean: 1×1 to a quarter, ReLU, 1×1, SiLU.

    Without an upper bound the gate of a map twice as large is twice as open, so that four blocks in
    a row can raise a map to its sixteenth power. In training batch norms take that back; in
    evaluation they know the average picture only, and one with much plain sky had boxes everywhere.
    The gates begin at 1, whatever the map, and the recipe of YOLOv5-Lite-c lets them learn slowly;
    trained at the full rate they opened until nothing was found any more.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, channels // 4, 1)
        self.expand = nn.Conv2d(channels // 4, channels, 1)
        with torch.no_grad():
            self.expand.weight.normal_(std=1e-3)
        self.expand.bias = nn.Parameter(torch.full((channels,), _OPEN))

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×C×H×W."""
        mean = x.mean((2, 3), keepdim=True)
        return x * F.silu(self.expand(F.relu(self.reduce(mean))))


class LCBlock(nn.Module):
    """Depthwise k×k and pointwise convolution, each with batch norm and hard swish."""

    def __init__(
        self, c_in: int, c_out: int, kernel: int, stride: int = 1, *, excited: bool = False
    ) -> None:
        super().__init__()
        pad = kernel // 2
        self.depthwise = DepthwiseConv2d(c_in, (kernel, kernel), stride, (pad, pad))
        self.bn1 = batch_norm(c_in)
        self.gate = SqueezeExcitation(c_in) if excited else nn.Identity()
        self.pointwise = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.bn2 = batch_norm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×⌈H/stride⌉×⌈W/stride⌉."""
        x = self.gate(F.hardswish(self.bn1(self.depthwise(x))))
        return F.hardswish(self.bn2(self.pointwise(x)))


class PPLCNet(nn.Module):
    """Feature pyramid of strides 8, 16 and 32; `channels` holds the widths of the three maps."""

    channels: Sequence[int] = (128, 256, 512)

    def __init__(self) -> None:
        super().__init__()
        width = 32
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, 2, 1, bias=False), batch_norm(width), nn.Hardswish()
        )
        stages = []
        for channels, kernels, excited in _STAGES:
            first = LCBlock(width, channels, kernels[0], 2, excited=excited)
            rest = (LCBlock(channels, channels, k, excited=excited) for k in kernels[1:])
            stages.append(nn.Sequential(first, *rest))
            width = channels
        self.stage2, self.stage3, self.stage4, self.stage5 = stages
        self.dense = nn.Sequential(
            nn.Conv2d(width, width, 1, bias=False), nn.Hardswish(), nn.Dropout(_DROPOUT)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """N×3×H×W to the maps at strides 8, 16 and 32."""
        p3 = self.stage3(self.stage2(self.stem(x)))
        p4 = self.stage4(p3)
        return p3, p4, self.dense(self.stage5(p4))
