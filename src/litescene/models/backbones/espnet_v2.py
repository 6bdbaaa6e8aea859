"""ESPNetv2 encoder, as far as segmentation uses it.

Paper: Mehta et al., "ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional
Neural Network", CVPR 2019, arXiv 1811.11431. Official code: EdgeNets (MIT). Built from its facts;
no code was taken.

Differences: the official unit with stride 2 builds a PReLU that never runs; it is left out.

    stage   output stride   channels s 0.5 / 1 / 1.25 / 1.5 / 2   content
    x2      2               16 / 32 / 32 / 32 / 32                conv 3×3 s2
    x4      4               32 / 64 / 80 / 96 / 128               strided unit
    x8      8               64 / 128 / 160 / 192 / 256            strided unit, 3 units
    x16     16              128 / 256 / 320 / 384 / 512           strided unit, 7 units
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.blocks import ConvNormAct, NormAct
from litescene.ops import DepthwiseConv2d, PReLU

GROUPS = 4


def _dilations(limit: int) -> list[int]:
    """Those of the four branches; a branch that would see more than `limit` pixels has none."""
    return sorted(d if 2 * d + 1 <= limit else 1 for d in (1, 2, 3, 4))


class EESP(nn.Module):
    """Extremely efficient spatial pyramid, section 3.1: grouped 1×1, four dilated depthwise 3×3
    with running sums against gridding, grouped 1×1.

    The input is added where the shape stays. With stride 2 the last activation is left to the
    caller.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, limit: int) -> None:
        super().__init__()
        width = out_channels // GROUPS
        self.reduce = ConvNormAct(in_channels, width, 1, groups=GROUPS, activation=PReLU)
        self.branches = nn.ModuleList(
            [DepthwiseConv2d(width, (3, 3), stride, (d, d), (d, d)) for d in _dilations(limit)]
        )
        self.mix = NormAct(out_channels, PReLU)
        self.expand = ConvNormAct(out_channels, out_channels, 1, groups=GROUPS, activation=None)
        self.act = PReLU(out_channels) if stride == 1 else nn.Identity()
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×out×⌈H/stride⌉×⌈W/stride⌉."""
        reduced = self.reduce(x)
        parts: list[Tensor] = []
        for branch in self.branches:
            part = branch(reduced)
            parts.append(part + parts[-1] if parts else part)
        y = self.expand(self.mix(torch.cat(parts, 1)))
        return self.act(x + y if self.residual else y)


class StridedEESP(nn.Module):
    """Section 3.2: average pooling beside a strided EESP, and the picture at that size added."""

    def __init__(self, in_channels: int, out_channels: int, limit: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(3, 2, 1)
        self.eesp = EESP(in_channels, out_channels - in_channels, 2, limit)
        self.picture = nn.Sequential(
            ConvNormAct(3, 3, activation=PReLU),
            ConvNormAct(3, out_channels, 1, activation=None),
        )
        self.act = PReLU(out_channels)

    def forward(self, x: Tensor, picture: Tensor) -> Tensor:
        """N×in×H×W and N×3×⌈H/2⌉×⌈W/2⌉ to N×out×⌈H/2⌉×⌈W/2⌉."""
        y = torch.cat([self.pool(x), self.eesp(x)], 1)
        return self.act(y + self.picture(picture))


class ESPNetV2Encoder(nn.Module):
    """The encoder of scale `scale`; `forward` returns the maps x2, x4, x8, x16."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        base = round(64 * scale)
        stem = min(base // 2, 32)
        self.channels = (stem, base, 2 * base, 4 * base)
        self.pool = nn.AvgPool2d(3, 2, 1)
        self.stem = ConvNormAct(3, stem, 3, 2, activation=PReLU)
        self.downs = nn.ModuleList()
        self.levels = nn.ModuleList()
        width = stem
        for out, count, first, rest in zip(
            self.channels[1:], (0, 3, 7), (13, 11, 9), (0, 9, 7), strict=True
        ):
            self.downs.append(StridedEESP(width, out, first))
            self.levels.append(nn.Sequential(*(EESP(out, out, 1, rest) for _ in range(count))))
            width = out

    def forward(self, x: Tensor) -> list[Tensor]:
        """N×3×H×W to four maps of strides 2, 4, 8, 16."""
        picture = self.pool(x)
        maps = [self.stem(x)]
        for down, level in zip(self.downs, self.levels, strict=True):
            picture = self.pool(picture)
            maps.append(level(down(maps[-1], picture)))
        return maps
