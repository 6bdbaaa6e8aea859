"""ShuffleNetV2 as YOLOv5-Lite uses it: three stages of channel-shuffle units.

Paper: Ma et al., "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design",
ECCV 2018. The detector's variant drops the last 1×1 convolution and the pooling, and rounds the
stage widths up to multiples of eight. Written from the paper and a fact sheet, not from code.

| stage | output stride | channels | units |
|---|---|---|---|
| stem (conv 3×3 s2, max pool 3 s2) | 4 | 32 | - |
| stage3 | 8 | 120 | 1 down + 3 |
| stage4 | 16 | 232 | 1 down + 7 |
| stage5 | 32 | 464 | 1 down + 1 (e) or 3 (s) |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from litescene.models.blocks import channel_halves, channel_shuffle
from litescene.models.csp_blocks import batch_norm
from litescene.ops import DepthwiseConv2d


class _Interleave(torch.autograd.Function):
    """Concatenation and two-group shuffle in one move, in channels-last memory.

    The plain form leaves the channels-last layout and hands strided gradients on; this one made
    a training step of the units a third faster on the CPU.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        pair = torch.stack((a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1)), dim=-1)
        return pair.flatten(3).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        n, c, h, w = grads[0].shape
        a, b = grads[0].permute(0, 2, 3, 1).reshape(n, h, w, c // 2, 2).unbind(-1)
        return a.contiguous().permute(0, 3, 1, 2), b.contiguous().permute(0, 3, 1, 2)


def concat_shuffle(a: Tensor, b: Tensor, *, training: bool) -> Tensor:
    """Two N×C×H×W maps to N×2C×H×W with their channels alternating: a0, b0, a1, b1 ...

    Training and evaluation differ in memory layout only; the latter traces to plain operators.
    """
    if training:
        joined: Tensor = _Interleave.apply(a, b)  # type: ignore[no-untyped-call]
        return joined
    return channel_shuffle(torch.cat((a, b), dim=1))


def _pointwise(c_in: int, c_out: int) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, 1, bias=False), batch_norm(c_out), nn.ReLU(inplace=True)]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [DepthwiseConv2d(channels, (3, 3), stride, (1, 1)), batch_norm(channels)]


class ShuffleUnit(nn.Module):
    """Unit of stride 1: half the channels pass, half go through 1×1, 3×3 depthwise, 1×1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            *_pointwise(half, half), *_depthwise(half, 1), *_pointwise(half, half)
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×C×H×W."""
        kept, worked = channel_halves(x)
        return concat_shuffle(kept, self.branch(worked), training=self.training)


class ShuffleDownUnit(nn.Module):
    """Unit of stride 2: both branches see all channels, each gives half of the output."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        half = c_out // 2
        self.shortcut = nn.Sequential(*_depthwise(c_in, 2), *_pointwise(c_in, half))
        self.branch = nn.Sequential(
            *_pointwise(c_in, half), *_depthwise(half, 2), *_pointwise(half, half)
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×⌈H/2⌉×⌈W/2⌉."""
        return concat_shuffle(self.shortcut(x), self.branch(x), training=self.training)


class ShuffleNetV2(nn.Module):
    """Feature pyramid of strides 8, 16 and 32; `channels` holds the widths of the three maps."""

    def __init__(
        self,
        stage_channels: Sequence[int] = (120, 232, 464),
        stage_repeats: Sequence[int] = (3, 7, 3),
        stem_channels: int = 32,
    ) -> None:
        super().__init__()
        if any(c % 2 for c in stage_channels) or not len(stage_channels) == len(stage_repeats) == 3:
            raise ValueError("three stages of even width with three repeats are needed")
        self.channels = tuple(stage_channels)
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem_channels, 3, 2, 1, bias=False),
            batch_norm(stem_channels),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, 1),
        )
        stages = []
        width = stem_channels
        for channels, repeats in zip(stage_channels, stage_repeats, strict=True):
            units = [ShuffleUnit(channels) for _ in range(repeats)]
            stages.append(nn.Sequential(ShuffleDownUnit(width, channels), *units))
            width = channels
        self.stage3, self.stage4, self.stage5 = stages

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """N×3×H×W to the maps at strides 8, 16 and 32."""
        p3 = self.stage3(self.stem(x))
        p4 = self.stage4(p3)
        return p3, p4, self.stage5(p4)
