"""ShuffleNet v1 with three groups.

Paper: Zhang et al., "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile
Devices", CVPR 2018, arXiv 1707.01083; as RTSeg (MSiam/TFSegmentation, Apache-2.0) has it: every
convolution with a bias, batch norms with eps 1e-3, but 1e-5 after a grouped 1×1 convolution. That a
strided unit's mean stands before its convolutions' output is our reading. Built from its facts; no
code was taken.

    stage   output stride   channels   content
    x2      2               24         3×3 s2 without padding, then a row and a column of zeros
    x4      4               24         max pool 3×3 s2 without padding
    x8      8               240        1 unit of stride 2, 3 more
    x16     16 (8)          480        1 unit of stride 2 (dilated: stride 1, dilation 2), 7 more
    x32     32 (8)          960        1 unit of stride 2 (dilated: stride 1, dilation 4), 3 more
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.backbones.maps import StageMaps, StageWidths, biased_conv
from litescene.models.blocks import Activation, channel_shuffle, pad_as_tensorflow, relu

GROUPS = 3


class StridedMean(nn.AvgPool2d):
    """3×3 average with stride 2 that leaves out the padded cells, padded as TensorFlow does."""

    def __init__(self) -> None:
        super().__init__(3, 2, 1, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to N×C×⌈h/2⌉×⌈w/2⌉."""
        inside = F.avg_pool2d(pad_as_tensorflow(torch.ones_like(x[:1, :1])), 3, 2)
        return F.avg_pool2d(pad_as_tensorflow(x), 3, 2) / inside


def _grouped(
    in_channels: int, out_channels: int, activation: Activation | None = relu
) -> nn.Sequential:
    return biased_conv(in_channels, out_channels, 1, 1, GROUPS, eps=1e-5, activation=activation)


class Unit(nn.Module):
    """Residual unit: grouped 1×1, shuffle, depthwise 3×3, grouped 1×1, plus the input, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        middle = channels // 4
        self.squeeze = _grouped(channels, middle)
        self.depthwise = biased_conv(middle, middle, 3, 1, middle, activation=None)
        self.expand = _grouped(middle, channels, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the same shape."""
        y = self.depthwise(channel_shuffle(self.squeeze(x), GROUPS))
        return F.relu(x + self.expand(y))


class DownUnit(nn.Module):
    """The unit that widens: concatenates its input, averaged if it has a stride, to the result.

    `grouped` says whether the first 1×1 convolution is, followed by a shuffle.
    """

    def __init__(
        self, in_channels: int, out_channels: int, grouped: bool, stride: int, dilation: int
    ) -> None:
        super().__init__()
        self.grouped = grouped
        self.pool = nn.Identity() if stride == 1 else StridedMean()
        added = out_channels - in_channels
        middle = added // 4
        self.squeeze = (
            _grouped(in_channels, middle) if grouped else biased_conv(in_channels, middle, 1)
        )
        self.depthwise = biased_conv(
            middle, middle, 3, stride, middle, dilation=dilation, activation=None
        )
        self.expand = _grouped(middle, added, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×⌈h/stride⌉×⌈w/stride⌉."""
        y = self.squeeze(x)
        if self.grouped:
            y = channel_shuffle(y, GROUPS)
        y = self.expand(self.depthwise(y))
        return F.relu(torch.cat([self.pool(x), y], 1))


class ShuffleNetV1(nn.Module):
    """The encoder; `widths` are the channels of the maps that `forward` returns, by stride.

    The last map of stride 4 has a row and a column of zeros more than the next stage sees, so that
    the last maps halve each other.
    """

    channels = (24, 24, 240, 480, 960)

    def __init__(self, *, dilated: bool = False) -> None:
        super().__init__()
        self.dilated = dilated
        self.widths = {self._stride(i): StageWidths(c, c) for i, c in enumerate(self.channels)}
        self.stem = biased_conv(3, 24, 3, 2, padding=0)
        self.pool = nn.MaxPool2d(3, 2)
        self.stages = nn.ModuleList()
        for i, count in enumerate((3, 7, 3)):
            narrow, wide = self.channels[i + 1 : i + 3]
            stride, dilation = (1, 2**i) if dilated and i else (2, 1)
            units: list[nn.Module] = [DownUnit(narrow, wide, i > 0, stride, dilation)]
            units += [Unit(wide) for _ in range(count)]
            self.stages.append(nn.Sequential(*units))

    def _stride(self, i: int) -> int:
        return min(2 ** (i + 1), 8) if self.dilated else 2 ** (i + 1)

    def forward(self, x: Tensor) -> dict[int, StageMaps]:
        """N×3×H×W to the maps of strides 2, 4, 8, 16, 32 (2, 4, 8 if dilated)."""
        x = F.pad(self.stem(x), (0, 1, 0, 1))
        maps = {2: StageMaps(x, x)}
        x = self.pool(x)
        maps[4] = StageMaps(x, F.pad(x, (0, 1, 0, 1)))
        for i, stage in enumerate(self.stages):
            x = stage(x)
            maps[self._stride(i + 2)] = StageMaps(x, x)
        return maps
