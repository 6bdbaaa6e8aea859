"""Xception39 encoder, the small Xception of BiSeNet.

Papers: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", CVPR 2017; the
widths are those of TorchSeg (MIT), the code of BiSeNet. Built from its facts; no code was taken.

    stage   output stride   channels   content
    stem    4               8          conv 3×3 s2, max pool 3×3 s2
    x8      8               64         4 blocks, the first with stride 2
    x16     16              128        8 blocks
    x32     32              256        4 blocks
"""

from __future__ import annotations

from torch import Tensor, nn

from litescene.models.blocks import Activation, ConvNormAct, relu
from litescene.ops import DepthwiseConv2d


class _Separable(nn.Sequential):
    """Depthwise 3×3 without norm or activation, then 1×1 with both."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        activation: Activation | None = relu,
    ) -> None:
        super().__init__(
            DepthwiseConv2d(in_channels, (3, 3), stride, (1, 1)),
            ConvNormAct(in_channels, out_channels, 1, activation=activation),
        )


class XceptionBlock(nn.Module):
    """Three separable convolutions, the last four times as wide, and a shortcut.

    The first block of a stage has a separable convolution with stride 2 as its shortcut, which we
    read as without ReLU and as run before the three.
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = self.expansion * width
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = _Separable(in_channels, out_channels, stride, None)
        self.body = nn.Sequential(
            _Separable(in_channels, width, stride),
            _Separable(width, width),
            _Separable(width, out_channels, activation=None),
        )
        self.out = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×4·width×⌈h/stride⌉×⌈w/stride⌉."""
        return self.out(self.shortcut(x) + self.body(x))


class Xception39(nn.Module):
    """The encoder; `forward` returns the maps x8, x16, x32, `channels` their widths."""

    channels = (64, 128, 256)
    repeats = (4, 8, 4)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvNormAct(3, 8, 3, 2), nn.MaxPool2d(3, 2, 1))
        self.stages = nn.ModuleList()
        before = 8
        for channels, count in zip(self.channels, self.repeats, strict=True):
            width = channels // XceptionBlock.expansion
            blocks = [XceptionBlock(before, width, 2)]
            blocks += [XceptionBlock(channels, width, 1) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(*blocks))
            before = channels

    def forward(self, x: Tensor) -> list[Tensor]:
        """N×3×H×W to three maps of strides 8, 16, 32."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
