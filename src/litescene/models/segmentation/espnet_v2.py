"""ESPNetv2 for segmentation.

Paper: Mehta et al., "ESPNetv2: A Light-weight, Power Efficient, and General Purpose Convolutional
Neural Network", CVPR 2019, arXiv 1811.11431. Official code: EdgeNets (MIT). Built from its facts;
no code was taken.

Differences: there are two official decoders. Ours is the one of EdgeNets (2019), with the widths
that it has for Cityscapes; the published weights belong to it, and its authors call the one of
2018 obsolete. It doubles maps and so fails on sides that are no multiple of 16; here a map is
resized to the one that it meets, which is the same on those. The first pyramid's largest map has
twice the rows of its input, as the factor says: at 360×480 46, where the reference count has 45,
which is 540·min(classes // 2, 16) multiply-accumulates less. Everything bilinear puts the outermost
centres on each other. Scale 1.25 has no published segmentation weights.

    stage     stride   channels   content
    encoder   2..16    see there
    pyramid   16       64         1×1 to few channels, 3×3 at five scales, 3×3, 1×1
    pyramid   8        48         resized, plus the gated x8; pyramid
    pyramid   4        32         plus the gated x4
    pyramid   2        classes    plus the gated x2; the last 1×1 gives the logits
"""

from __future__ import annotations

from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core import InputError
from litescene.models.backbones.espnet_v2 import ESPNetV2Encoder
from litescene.models.blocks import (
    ConvNormAct,
    NormAct,
    adaptive_average,
    channel_shuffle,
    resize_to,
)
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import PReLU

WIDTHS = (64, 48, 32)
SCALES = ((2, 1), (3, 2), (1, 1), (1, 2), (1, 10))
"""Numerators and denominators."""
SMALLEST = 5
"""Least height and width of a map at any scale."""


def _scaled(side: int, up: int, down: int) -> int:
    size = (side * up + down - 1) // down
    return (size + SMALLEST + abs(size - SMALLEST)) // 2  # the larger one; `max` cannot be traced


class PyramidPool(nn.Module):
    """Efficient pyramid pooling: depthwise 3×3 on the map resized to five scales."""

    def __init__(self, in_channels: int, width: int, out: nn.Module) -> None:
        super().__init__()
        self.reduce = ConvNormAct(in_channels, width, 1, activation=PReLU)
        self.scales = nn.ModuleList(
            [nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False) for _ in SCALES]
        )
        self.mix = NormAct(len(SCALES) * width, PReLU)
        self.merge = ConvNormAct(len(SCALES) * width, width, groups=width, activation=PReLU)
        self.out = out

    def _at_scale(self, x: Tensor, conv: nn.Module, up: int, down: int) -> Tensor:
        if up == down:
            return conv(x)
        height, width = x.shape[-2:]
        size = _scaled(height, up, down), _scaled(width, up, down)
        if up < down:
            return resize_to(conv(adaptive_average(x, size)), x, align_corners=True)
        larger = F.interpolate(x, size=size, mode="bilinear", align_corners=True)
        return adaptive_average(conv(larger), (height, width))

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×h×w."""
        x = self.reduce(x)
        parts = [
            self._at_scale(x, conv, *scale) for conv, scale in zip(self.scales, SCALES, strict=True)
        ]
        y = channel_shuffle(self.mix(torch.cat(parts, 1)), len(SCALES))
        return self.out(self.merge(y))


class GatedSkip(nn.Module):
    """Grouped 3×3 convolution, weighted per channel by the input's mean."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.expand = ConvNormAct(
            in_channels, out_channels, groups=gcd(in_channels, out_channels), activation=PReLU
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×h×w."""
        weight = torch.sigmoid(self.weigh(x.mean((2, 3), keepdim=True)))
        return self.expand(x) * weight


class ESPNetV2(SegmentationNetwork):
    """ESPNetv2 of one scale with the decoder of EdgeNets."""

    align_corners = True

    def __init__(self, num_classes: int, scale: float) -> None:
        super().__init__()
        if num_classes < 2:
            raise InputError(f"num_classes is {num_classes}; ESPNetv2 takes 2 or more")
        self.num_classes = num_classes
        self.encoder = ESPNetV2Encoder(scale)
        x2, x4, x8, x16 = self.encoder.channels
        width = min(num_classes // 2, 16)
        ends: list[nn.Module] = [ConvNormAct(width, w, 1, activation=PReLU) for w in WIDTHS]
        ends.append(nn.Conv2d(width, num_classes, 1))
        self.pyramids = nn.ModuleList(
            [PyramidPool(c, width, end) for c, end in zip((x16, *WIDTHS), ends, strict=True)]
        )
        self.skips = nn.ModuleList(
            [GatedSkip(c, w) for c, w in zip((x8, x4, x2), WIDTHS, strict=True)]
        )
        self.norms = nn.ModuleList([NormAct(w, PReLU) for w in WIDTHS])

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 2."""
        *others, last = self.encoder(x)
        first, *rest = self.pyramids
        y = first(last)
        for skip, norm, pyramid, other in zip(
            self.skips, self.norms, rest, reversed(others), strict=True
        ):
            met = skip(other)
            y = pyramid(norm(met + resize_to(y, met, align_corners=True)))
        return {"logits": y}


_PAPER = "ESPNetv2, arXiv 1811.11431"


@register(
    "espnetv2_s050",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 75_776, 19: 79_340},
    published={"cityscapes val mIoU": 53.9},
)
def espnetv2_s050(num_classes: int = 11) -> ESPNetV2:
    """ESPNetv2 of scale 0.5."""
    return ESPNetV2(num_classes, 0.5)


@register(
    "espnetv2_s100",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 228_692, 19: 232_768},
    published={"cityscapes val mIoU": 60.1},
)
def espnetv2_s100(num_classes: int = 11) -> ESPNetV2:
    """ESPNetv2 of scale 1.0."""
    return ESPNetV2(num_classes, 1.0)


@register(
    "espnetv2_s125",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 337_404, 19: 341_736},
)
def espnetv2_s125(num_classes: int = 11) -> ESPNetV2:
    """ESPNetv2 of scale 1.25."""
    return ESPNetV2(num_classes, 1.25)


@register(
    "espnetv2_s150",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 462_276, 19: 466_864},
    published={"cityscapes val mIoU": 63.8},
)
def espnetv2_s150(num_classes: int = 11) -> ESPNetV2:
    """ESPNetv2 of scale 1.5."""
    return ESPNetV2(num_classes, 1.5)


@register(
    "espnetv2_s200",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 782_388, 19: 787_488},
    published={"cityscapes val mIoU": 66.4, "cityscapes test mIoU": 66.2},
)
def espnetv2_s200(num_classes: int = 11) -> ESPNetV2:
    """ESPNetv2 of scale 2.0."""
    return ESPNetV2(num_classes, 2.0)
