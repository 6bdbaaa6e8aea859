"""MobileNet, width 1.0.

Paper: Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", 2017, arXiv 1704.04861; as RTSeg (MSiam/TFSegmentation, Apache-2.0) has it: every
convolution with a bias, ReLU6. Built from its facts; no code was taken.

A strided layer pads as TensorFlow does: below and to the right only when the side is even.

`dilated` ends at stride 8: in the place of both later strides stand full (not depthwise) 3×3
convolutions of dilation 2 and 4, as RTSeg's dilation front end has them. That they have the
batch norm and ReLU6 of the other layers is our reading.

    stage   output stride   channels   content
    x2      2               32, 64     3×3 s2, one separable convolution
    x4      4               128        separable s2, 1 more
    x8      8               256        separable s2, 1 more
    x16     16 (8)          512        separable s2 (3×3 dilation 2), 5 more
    x32     32 (8)          1024       separable s2 (3×3 dilation 4), 1 more
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from litescene.models.backbones.maps import StageMaps, StageWidths, biased_conv
from litescene.models.blocks import pad_as_tensorflow, relu6

_conv = partial(biased_conv, activation=relu6)


class StridedConv(nn.Module):
    """3×3 convolution of stride 2 with TensorFlow's padding."""

    def __init__(self, in_channels: int, out_channels: int, groups: int = 1) -> None:
        super().__init__()
        self.conv = _conv(in_channels, out_channels, 3, 2, groups, padding=0)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×⌈h/2⌉×⌈w/2⌉."""
        return self.conv(pad_as_tensorflow(x))


def _separable(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    depthwise: nn.Module
    if stride == 2:
        depthwise = StridedConv(in_channels, in_channels, in_channels)
    else:
        depthwise = _conv(in_channels, in_channels, 3, 1, in_channels)
    return nn.Sequential(depthwise, _conv(in_channels, out_channels, 1))


class MobileNetV1(nn.Module):
    """The encoder; `widths` are the channels of the maps that `forward` returns, by stride."""

    channels = (64, 128, 256, 512, 1024)

    def __init__(self, *, dilated: bool = False) -> None:
        super().__init__()
        self.dilated = dilated
        self.widths = {2: StageWidths(32, 64)}
        self.first = nn.ModuleList([StridedConv(3, 32)])
        self.rest = nn.ModuleList([_separable(32, 64)])
        for i, count in enumerate((1, 1, 5, 1)):
            narrow, wide = self.channels[i : i + 2]
            self.widths[self._stride(i + 1)] = StageWidths(wide, wide)
            dilation = {2: 2, 3: 4}.get(i, 1) if dilated else 1
            self.first.append(
                _separable(narrow, wide, 2)
                if dilation == 1
                else _conv(narrow, wide, 3, dilation=dilation)
            )
            self.rest.append(nn.Sequential(*(_separable(wide, wide) for _ in range(count))))

    def _stride(self, i: int) -> int:
        return min(2 ** (i + 1), 8) if self.dilated else 2 ** (i + 1)

    def forward(self, x: Tensor) -> dict[int, StageMaps]:
        """N×3×H×W to the maps of strides 2, 4, 8, 16, 32 (2, 4, 8 if dilated)."""
        maps = {}
        for i, (enter, rest) in enumerate(zip(self.first, self.rest, strict=True)):
            first = enter(x)
            x = rest(first)
            maps[self._stride(i)] = StageMaps(first, x)
        return maps
