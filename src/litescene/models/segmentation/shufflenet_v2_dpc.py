"""ShuffleNetV2 with a dense prediction cell (DPC) or the basic head of DeepLabV3.

Paper: Türkmen and Heikkilä, "An efficient solution for semantic segmentation: ShuffleNet V2 with
atrous separable convolutions", SCIA 2019, arXiv 1902.07476. Official code:
sercant/mobile-segmentation (TensorFlow 1, Apache-2.0). Built from its facts; no code was taken.

Differences: the paper's last stage has dilated depthwise convolutions at stride 16; the code
multiplies the rate by a stride that is 1 by then, so its published weights have none, and neither
have we. TensorFlow pads an even side only at its end before a stride of 2; so do we. Of a stage's
first unit the shortcut gives the first half of the channels, and the branch runs first: both are
our reading. The counts of reference are those of a transcription of the code, since the original
no longer runs.

    stage     stride   channels   content
    stem      2, 4     24         conv 3×3 s2, max pool 3×3 s2
    stage 2   8        116        4 units, the first with stride 2
    stage 3   16       232        8 units, the first with stride 2
    stage 4   16       464        4 units
    DPC       16       256        5 dilated separable convolutions, concatenated, 1×1
    basic     16       256        1×1 beside a 1×1 of the image mean, concatenated, 1×1
    head      16       256        1×1 to the classes
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.backbones.shufflenet_v2 import concat_shuffle
from litescene.models.blocks import ConvNormAct, SeparableConv, channel_halves, pad_as_tensorflow
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork

EPS = 1e-3
"""Of the encoder's batch norms; the heads have 1e-5."""


class TensorFlowPad(nn.Module):
    """Zeros before a 3×3 window of stride 2."""

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×C×(H + 1 or 2)×(W + 1 or 2)."""
        return pad_as_tensorflow(x)


def _depthwise(channels: int, stride: int) -> nn.Module:
    if stride == 1:
        return ConvNormAct(channels, channels, groups=channels, activation=None, eps=EPS)
    strided = ConvNormAct(channels, channels, 3, 2, channels, padding=0, activation=None, eps=EPS)
    return nn.Sequential(TensorFlowPad(), strided)


def _branch(in_channels: int, middle: int, out_channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(in_channels, middle, 1, eps=EPS),
        _depthwise(middle, stride),
        ConvNormAct(middle, out_channels, 1, eps=EPS),
    )


class Stage(nn.Module):
    """Channel-shuffle units; each later one shuffles first, then works on one half."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, count: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.shortcut = nn.Sequential(
            _depthwise(in_channels, stride), ConvNormAct(in_channels, half, 1, eps=EPS)
        )
        self.branch = _branch(in_channels, in_channels, half, stride)
        self.units = nn.ModuleList([_branch(half, half, half, 1) for _ in range(count - 1)])

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×out×⌈H/stride⌉×⌈W/stride⌉."""
        kept = self.branch(x)
        worked = self.shortcut(x)
        for unit in self.units:
            joined = concat_shuffle(worked, kept, training=self.training)
            worked, kept = channel_halves(joined)
            worked = unit(worked)
        return torch.cat((worked, kept), 1)


class Encoder(nn.Module):
    """ShuffleNetV2 of output stride 16."""

    channels = 464

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            TensorFlowPad(),
            ConvNormAct(3, 24, 3, 2, padding=0, eps=EPS),
            TensorFlowPad(),  # zeros never win: nothing is negative after a ReLU
            nn.MaxPool2d(3, 2),
        )
        self.stages = nn.Sequential(
            Stage(24, 116, 2, 4), Stage(116, 232, 2, 8), Stage(232, self.channels, 1, 4)
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×3×H×W to N×464×⌈H/16⌉×⌈W/16⌉."""
        y: Tensor = self.stages(self.stem(x))
        return y


class DensePredictionCell(nn.Module):
    """Five dilated separable convolutions on the map or on each other's results."""

    rates = ((1, 6), (18, 15), (6, 3), (1, 1), (6, 21))
    sources = (None, 0, 1, 0, 0)
    """Which earlier branch feeds each; `None` is the map."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList()
        for rate, source in zip(self.rates, self.sources, strict=True):
            channels = in_channels if source is None else width
            self.branches.append(SeparableConv(channels, width, dilation=rate))
        self.out = nn.Sequential(nn.Dropout(0.1), ConvNormAct(len(self.rates) * width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×width×h×w."""
        maps: list[Tensor] = []
        for branch, source in zip(self.branches, self.sources, strict=True):
            maps.append(branch(x if source is None else maps[source]))
        y: Tensor = self.out(torch.cat(maps, 1))
        return y


class BasicHead(nn.Module):
    """The map and its mean, each by a 1×1, concatenated and mixed by 1×1."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.mean = ConvNormAct(in_channels, width, 1)
        self.map = ConvNormAct(in_channels, width, 1)
        self.out = nn.Sequential(ConvNormAct(2 * width, width, 1), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×width×h×w."""
        mean = self.mean(x.mean((2, 3), keepdim=True)).expand(-1, -1, *x.shape[-2:])
        y: Tensor = self.out(torch.cat((mean, self.map(x)), 1))
        return y


class ShuffleNetV2Segmentation(SegmentationNetwork):
    """The encoder and a head; the logits are resized with aligned corners."""

    align_corners = True

    def __init__(self, num_classes: int, head: type[DensePredictionCell] | type[BasicHead]) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = Encoder()
        self.context = head(self.encoder.channels, 256)
        self.classifier = nn.Conv2d(256, num_classes, 1)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 16."""
        return {"logits": self.classifier(self.context(self.encoder(x)))}


_PAPER = "ShuffleNetV2 with DPC, arXiv 1902.07476"


@register(
    "shufflenet_v2_dpc",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 1_504_065, 19: 1_506_121},
    published={"cityscapes val mIoU": 71.3, "cityscapes test mIoU": 70.33},
)
def shufflenet_v2_dpc(num_classes: int = 11) -> ShuffleNetV2Segmentation:
    """ShuffleNetV2 with the dense prediction cell."""
    return ShuffleNetV2Segmentation(num_classes, DensePredictionCell)


@register(
    "shufflenet_v2_basic",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 1_146_193, 19: 1_148_249},
    published={"cityscapes val mIoU": 67.7},
)
def shufflenet_v2_basic(num_classes: int = 11) -> ShuffleNetV2Segmentation:
    """ShuffleNetV2 with the basic head of DeepLabV3."""
    return ShuffleNetV2Segmentation(num_classes, BasicHead)
