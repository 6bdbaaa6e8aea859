"""ResNet encoders.

Paper: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. Bottlenecks carry
their stride on the 3×3 convolution, as in all codes that the systems here build on. Networks that
differ in the convolutions of a block change the class attributes `layer`, `groups` and `widening`.

    stage   output stride   channels 18, 34 / 50, 101, 152
    stem    4               64 (conv 7×7 s2, max pool 3×3 s2)
    x4      4               64 / 256
    x8      8               128 / 512
    x16     16              256 / 1024
    x32     32              512 / 2048
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from litescene.models.blocks import Activation, ConvNormAct, relu

RESNET18 = (2, 2, 2, 2)
RESNET34 = (3, 4, 6, 3)
RESNET50 = (3, 4, 6, 3)
RESNET101 = (3, 4, 23, 3)
RESNET152 = (3, 8, 36, 3)


def _shortcut(
    in_channels: int, out_channels: int, stride: int, norm: type[nn.Module] | None
) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    if norm is not None:
        return norm(in_channels, out_channels, 1, stride, activation=None)
    return nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)


def _stem(deep: bool, activation: Activation) -> list[nn.Module]:
    if not deep:
        return [ConvNormAct(3, 64, 7, 2, activation=activation)]
    return [
        ConvNormAct(3, 64, 3, 2, activation=activation),
        ConvNormAct(64, 64, activation=activation),
        ConvNormAct(64, 128, activation=activation),
    ]


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut; `layer` makes a convolution with its batch norm."""

    expansion = 1
    layer: ClassVar[type[nn.Module]] = ConvNormAct

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        activation: Activation = relu,
        shortcut_norm: bool = True,
    ) -> None:
        super().__init__()
        self.first = self.layer(in_channels, width, 3, stride, activation=activation)
        self.second = self.layer(width, width, activation=None)
        norm = self.layer if shortcut_norm else None
        self.shortcut = _shortcut(in_channels, width, stride, norm)
        self.out = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×width×⌈H/stride⌉×⌈W/stride⌉."""
        y = self.second(self.first(x))
        return self.out(y + self.shortcut(x))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolution to four times the width, and a shortcut.

    The 3×3 convolution has `groups` groups and `widening` times the width.
    """

    expansion = 4
    groups = 1
    widening = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        activation: Activation = relu,
        shortcut_norm: bool = True,
    ) -> None:
        super().__init__()
        out_channels, inner = self.expansion * width, self.widening * width
        self.body = nn.Sequential(
            ConvNormAct(in_channels, inner, 1, activation=activation),
            ConvNormAct(inner, inner, 3, stride, self.groups, activation=activation),
            ConvNormAct(inner, out_channels, 1, activation=None),
        )
        norm = ConvNormAct if shortcut_norm else None
        self.shortcut = _shortcut(in_channels, out_channels, stride, norm)
        self.out = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×4·width×⌈H/stride⌉×⌈W/stride⌉."""
        y = self.body(x)
        return self.out(y + self.shortcut(x))


class ResNet(nn.Module):
    """The encoder; `forward` returns the maps x4, x8, x16, x32, `channels` their widths.

    `activation` is that of the stem and inside the blocks (ReLU after the sum always);
    `shortcut_norm` whether projecting shortcuts have a batch norm; a `deep_stem` is three 3×3
    convolutions (64, 64, 128 wide) in place of the 7×7; a `stem` given replaces convolution and
    pooling, and gives 64 channels.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        repeats: Sequence[int],
        *,
        activation: Activation = relu,
        shortcut_norm: bool = True,
        deep_stem: bool = False,
        stem: nn.Sequential | None = None,
    ) -> None:
        super().__init__()
        channels = 128 if deep_stem else 64
        if stem is None:
            stem = nn.Sequential(*_stem(deep_stem, activation), nn.MaxPool2d(3, 2, 1))
        self.stem = stem
        self.stages = nn.ModuleList()
        self.channels = tuple(block.expansion * 64 * 2**i for i in range(4))
        for i, count in enumerate(repeats):
            blocks: list[nn.Module] = []
            for j in range(count):
                stride = 2 if i and not j else 1
                blocks.append(block(channels, 64 * 2**i, stride, activation, shortcut_norm))
                channels = self.channels[i]
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        """N×3×H×W to four maps of strides 4, 8, 16, 32."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


def resnet18(*, activation: Activation = relu, shortcut_norm: bool = True) -> ResNet:
    """ResNet-18."""
    return ResNet(BasicBlock, RESNET18, activation=activation, shortcut_norm=shortcut_norm)


def resnet34(*, activation: Activation = relu, shortcut_norm: bool = True) -> ResNet:
    """ResNet-34."""
    return ResNet(BasicBlock, RESNET34, activation=activation, shortcut_norm=shortcut_norm)


def resnet50() -> ResNet:
    """ResNet-50."""
    return ResNet(Bottleneck, RESNET50)


def resnet101(*, deep_stem: bool = False) -> ResNet:
    """ResNet-101."""
    return ResNet(Bottleneck, RESNET101, deep_stem=deep_stem)


def resnet152() -> ResNet:
    """ResNet-152."""
    return ResNet(Bottleneck, RESNET152)
