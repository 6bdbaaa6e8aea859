"""The decoders of RTSeg; `rtseg.py` tells of the whole.

All take the maps of an encoder by stride and give logits of at least the picture's size. A
transposed convolution doubles a side exactly, so that it is cut to the skip that it meets.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from torch import Tensor, nn

from litescene.models.backbones.maps import StageMaps, StageWidths, biased_conv
from litescene.models.backbones.vgg import conv_relu
from litescene.models.blocks import crop_to

Maps = Mapping[int, StageMaps]
Widths = Mapping[int, StageWidths]


def _linear(in_channels: int, out_channels: int, norm: bool = True) -> nn.Module:
    """1×1 convolution, with batch norm or not, without activation."""
    if norm:
        return biased_conv(in_channels, out_channels, 1, activation=None)
    return nn.Conv2d(in_channels, out_channels, 1)


def _double(in_channels: int, out_channels: int, norm: bool = True) -> nn.Sequential:
    """Transposed 4×4 convolution of stride 2, with batch norm or not, without activation."""
    up = nn.Sequential(nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1))
    return up.append(_norm(out_channels)) if norm else up


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def _eightfold(channels: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, channels, 16, 8, 4)


class SkipNet(nn.Module):
    """FCN8s: scores of strides 32, 16, 8, each doubled and added to the next, then eightfold."""

    def __init__(self, widths: Widths, num_classes: int, *, norm: bool) -> None:
        super().__init__()
        self.score32 = nn.Conv2d(widths[32].last, num_classes, 1)
        self.up32 = _double(num_classes, num_classes, norm)
        self.score16 = _linear(widths[16].first, num_classes, norm)
        self.up16 = _double(num_classes, num_classes, norm)
        self.score8 = _linear(widths[8].first, num_classes, norm)
        self.up8 = _eightfold(num_classes)

    def forward(self, maps: Maps) -> Tensor:
        """Maps of strides 8, 16, 32 to N×classes×H×W."""
        x = self.score32(maps[32].last)
        for stride, up, score in ((16, self.up32, self.score16), (8, self.up16, self.score8)):
            x = up(x)
            skip = score(maps[stride].first)
            x = crop_to(x, skip) + skip
        return self.up8(x)


class DilationFrontEnd(nn.Module):
    """Score of a dilated encoder's last map, eightfold."""

    def __init__(self, widths: Widths, num_classes: int, *, norm: bool) -> None:
        super().__init__()
        self.score = _linear(widths[8].last, num_classes, norm)
        self.up = _eightfold(num_classes)

    def forward(self, maps: Maps) -> Tensor:
        """Map of stride 8 to N×classes×H×W."""
        return self.up(self.score(maps[8].last))


class _PlainLevel(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = _linear(in_channels, out_channels)
        self.up = _double(out_channels, out_channels)
        self.mix = _linear(out_channels, out_channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.mix(crop_to(self.up(self.reduce(x)), skip) + skip)


class PlainUNet(nn.Module):
    """U-Net of light encoders: 1×1, doubling, plus the skip, 1×1, all without activation.

    `last_width` is the width before the classifier.
    """

    strides = (16, 8, 4, 2)

    def __init__(self, widths: Widths, num_classes: int, last_width: int) -> None:
        super().__init__()
        channels = [widths[s].last for s in (32, *self.strides)]
        self.levels = nn.ModuleList(_PlainLevel(a, b) for a, b in pairwise(channels))
        self.up = _double(channels[-1], channels[-1])
        self.reduce = _linear(channels[-1], last_width)
        self.classify = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(last_width, num_classes, 1))

    def forward(self, maps: Maps) -> Tensor:
        """Maps of strides 2 to 32 to N×classes×H×W."""
        x = maps[32].last
        for stride, level in zip(self.strides, self.levels, strict=True):
            x = level(x, maps[stride].last)
        return self.classify(self.reduce(self.up(x)))


class VGGUNet(nn.Module):
    """U-Net of VGG: doubling, plus the skip, two 3×3 convolutions; without batch norms.

    The skips are the pooled maps, and at full size that of the first convolution.
    """

    strides = (16, 8, 4, 2, 1)

    def __init__(self, widths: Widths, num_classes: int) -> None:
        super().__init__()
        channels = [widths[s].first for s in (32, *self.strides)]
        pairs = list(pairwise(channels))
        self.ups = nn.ModuleList(_double(a, b, norm=False) for a, b in pairs)
        self.mixes = nn.ModuleList(
            nn.Sequential(conv_relu(b, b), conv_relu(b, b)) for _, b in pairs
        )
        self.classify = nn.Conv2d(channels[-1], num_classes, 1)

    def forward(self, maps: Maps) -> Tensor:
        """Maps of strides 1 to 32 to N×classes×H×W."""
        x = maps[32].last
        for stride, up, mix in zip(self.strides, self.ups, self.mixes, strict=True):
            skip = maps[stride].first
            x = mix(crop_to(up(x), skip) + skip)
        return self.classify(x)


def _up3(in_channels: int, out_channels: int, stride: int = 2) -> nn.Sequential:
    """Transposed 3×3 convolution with batch norm and ReLU, to `stride` times the size."""
    up = nn.ConvTranspose2d(in_channels, out_channels, 3, stride, 1, output_padding=stride - 1)
    return nn.Sequential(up, _norm(out_channels), nn.ReLU())


class _Link(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 2) -> None:
        super().__init__()
        middle = in_channels // 4
        self.reduce = biased_conv(in_channels, middle, 1)
        self.up = _up3(middle, middle, stride)
        self.expand = biased_conv(middle, out_channels, 1)

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        return self.expand(crop_to(self.up(self.reduce(x)), like))


class LinkNet(nn.Module):
    """U-Net of ResNet: four narrow links, the last without doubling, and a head of 32 channels."""

    strides = (16, 8, 4)

    def __init__(self, widths: Widths, num_classes: int) -> None:
        super().__init__()
        channels = [widths[s].last for s in (32, *self.strides)]
        self.links = nn.ModuleList(_Link(a, b) for a, b in pairwise(channels))
        self.last = _Link(channels[-1], channels[-1], 1)
        self.head = nn.Sequential(
            _up3(channels[-1], 32),
            biased_conv(32, 32, 3),
            nn.ConvTranspose2d(32, num_classes, 2, 2),
        )

    def forward(self, maps: Maps) -> Tensor:
        """Maps of strides 4 to 32 to N×classes×H×W."""
        x = maps[32].last
        for stride, link in zip(self.strides, self.links, strict=True):
            skip = maps[stride].last
            x = link(x, skip) + skip
        return self.head(self.last(x, x))
