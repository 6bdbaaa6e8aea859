"""C3Net and its second form.

Paper: Park et al., "Concentrated-Comprehensive Convolutions for lightweight semantic
segmentation", 2018, arXiv 1812.04920. Official code: c3_sinet (MIT). Built from its facts; no code
was taken.

ESPNet (p = 2, q = 8) with another unit: four branches, each a depthwise pair of long 1-D
convolutions before a dilated depthwise 3×3 and a 1×1, without the sums against gridding; the
picture is halved by 2×2 means, and the decoder meets the mixed map at stride 2.

Differences: the branches' dilations are 2, 3, 7, 13 in the released weights and 2, 4, 8, 16 in the
first version of the paper (0.198 M parameters with 20 classes). The official code runs the
reduction of each unit that keeps the size twice with the same result; it runs once here, and the
counts are without the second. Sides that are not even are halved upwards, as the convolutions do;
the official code fails on them. The second form, which is in the code alone, has a stem as wide as
there are classes and resizes bilinearly; what is resized stands before the skip that it joins,
which is our reading.

    stage    stride   channels         content
    encoder  2, 4, 8  as ESPNet's      second form: the stem has as many channels as classes
    head     8        classes          1×1
    decoder  4, 2, 1  classes          as ESPNet's
    second   4, 2, 1  classes          resized ×2, joined with level 2, with the stem; then 1×1
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from litescene.models.blocks import ConvNormAct, pad_to_multiple, resize_to
from litescene.models.registry import register
from litescene.models.segmentation.espnet import EPS, ESP, Encoder, ESPNet, Unit
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DepthwiseConv2d, PReLU

DEPTHS = (2, 8)


class C3Branch(nn.Sequential):
    """Concentration by two 1-D convolutions that fill the holes of the dilated one after them.

    Its two batch norms have eps 1e-5, unlike all others of the network, whose eps is 1e-3.
    """

    def __init__(self, in_channels: int, out_channels: int, dilation: int) -> None:
        length = 2 * dilation - 1
        n = in_channels
        super().__init__(
            ConvNormAct(n, n, (length, 1), groups=n, activation=PReLU),
            ConvNormAct(n, n, (1, length), groups=n, activation=None),
            DepthwiseConv2d(n, (3, 3), 1, (dilation, dilation), (dilation, dilation)),
            nn.Conv2d(n, out_channels, 1, bias=False),
        )


def c3_unit(*dilations: int) -> Unit:
    """ESPNet's unit with C3 branches of these dilations."""
    return partial(ESP, dilations=dilations, branch=C3Branch, sums=False)


class HalvePicture(nn.Module):
    """2×2 means; the last row and column of odd sides count twice."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×C×⌈H/2⌉×⌈W/2⌉."""
        return self.pool(pad_to_multiple(x, 2))


class C3NetV2(SegmentationNetwork):
    """The second form: no transposed convolutions, depthwise separable fusion."""

    def __init__(self, num_classes: int, unit: Unit) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = Encoder(unit, DEPTHS, HalvePicture(), num_classes)
        self.head = nn.Conv2d(2 * 128, num_classes, 1, bias=False)
        self.norm = nn.BatchNorm2d(num_classes, eps=EPS)
        self.fuse4 = self._fusion(64)
        self.fuse2 = self._fusion(num_classes)
        self.out = nn.Conv2d(num_classes, num_classes, 1, bias=False)

    def _fusion(self, skip: int) -> nn.Module:
        width = self.num_classes + skip
        return nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            ConvNormAct(width, self.num_classes, 1, activation=PReLU, eps=EPS),
        )

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at the picture's size."""
        found = self.encoder(x)
        y = self.norm(self.head(found.mix3))
        for fuse, skip in ((self.fuse4, found.level2), (self.fuse2, found.stem)):
            y = fuse(torch.cat([resize_to(y, skip, align_corners=True), skip], 1))
        return {"logits": self.out(resize_to(y, x, align_corners=True))}


def _c3net(num_classes: int, *dilations: int) -> ESPNet:
    return ESPNet(num_classes, DEPTHS, "mix", c3_unit(*dilations), HalvePicture())


_PAPER = "C3, arXiv 1812.04920"


@register(
    "c3net",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 179_902, 19: 190_000},
    published={"cityscapes val mIoU": 66.87, "cityscapes test mIoU": 64.78},
)
def c3net(num_classes: int = 11) -> ESPNet:
    """C3Net with the dilations 2, 3, 7, 13 of the released weights."""
    return _c3net(num_classes, 2, 3, 7, 13)


@register(
    "c3net_2_4_8_16",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 186_662, 19: 196_800},
    published={"cityscapes test mIoU": 61.9},
)
def c3net_2_4_8_16(num_classes: int = 11) -> ESPNet:
    """C3Net with the dilations 2, 4, 8, 16 of the paper's first version."""
    return _c3net(num_classes, 2, 4, 8, 16)


@register(
    "c3net_v2",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 181_474, 19: 186_690},
)
def c3net_v2(num_classes: int = 11) -> C3NetV2:
    """The second form of C3Net, dilations 2, 4, 8, 16."""
    return C3NetV2(num_classes, c3_unit(2, 4, 8, 16))
