"""SQ: a SqueezeNet encoder, parallel dilated convolutions and refinement by skips.

Paper: Treml et al., "Speeding up Semantic Segmentation for Autonomous Driving", NIPS workshop MLITS
2016. The first author's mtreml/squeezenet (MIT) is a variation without the dilated module. Built
from its facts; no code was taken.

Differences: the paper leaves widths and dilations open, so two readings are given, both with ELU
throughout and no norm, as the paper says.
`sqnet`: the encoder of SqueezeNet 1.1, dilations 1, 2, 4, 8, widths 256, 128, 64, 32. Parameters
(7,338,603 for 11 classes) and multiply-accumulates are those of a transcription of the third-party
TensorFlow form SQSegNet, which dilates by 2, 4, 8, 16; neither set is confirmed. Of its 704 biases
in the decoder only the sum is known; here the skips' convolutions have none, all others have.
`sqnet_wide`: the form of xyff/Efficient-Segmentation-Networks (and pytorchcv), dilations 1, 2, 3,
4 at full width, 16,248,939 parameters. Its maxima drop the last row of an odd side, and its decoder
then takes a map of 44 rows for one of 45 at 360×480; ours keep that row.
The author's variation drops half of the last map in training and begins its transposed
convolutions bilinearly; neither reading does, and there is no recipe of the paper's, which states
none. The author's variation learned from 400×400 in batches of 16, at 1e-4, a tenth of it after 500
epochs.
In both, one ELU follows the sum of the dilated convolutions, and the refined map stands before the
skip that it joins.

    stage     stride   sqnet      sqnet_wide   content
    stem      2        64         96           3×3
    fire      4        128        128          2 fire modules after a 2×2 maximum
    fire      8        256        256          2 fire modules after a 2×2 maximum
    fire      16       512        512          4 / 3 fire modules after a 2×2 maximum
    context   16       256        512          4 dilated 3×3, summed
    refine    8        128        512          transposed, joins 3×3 of the encoder's, 3×3
    refine    4        64         256
    refine    2        32         192
    head      1        classes    classes      2×2 transposed and 1×1 / 3×3 transposed
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.blocks import crop_to, doubling
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DenseConv2d


@dataclass(frozen=True)
class Plan:
    """One reading of the paper."""

    stem: int
    fires: tuple[tuple[int, ...], ...]  # squeezed channels per stage; each expands to 8 times that
    context: int
    dilations: tuple[int, ...]
    context_bias: bool
    kernel: int  # of the transposed convolutions
    skip_bias: bool
    refined: tuple[int, int, int]  # channels after the refinements
    classify: bool  # a 1×1 after the last transposed convolution


SLIM = Plan(
    stem=64,
    fires=((16, 16), (32, 32), (48, 48, 64, 64)),
    context=256,
    dilations=(1, 2, 4, 8),
    context_bias=False,
    kernel=2,
    skip_bias=False,
    refined=(128, 64, 32),
    classify=True,
)
WIDE = Plan(
    stem=96,
    fires=((16, 16), (32, 32), (64, 64, 64)),
    context=512,
    dilations=(1, 2, 3, 4),
    context_bias=True,
    kernel=3,
    skip_bias=True,
    refined=(512, 256, 192),
    classify=False,
)


class Fire(nn.Module):
    """SqueezeNet's module: 1×1 to few channels, then 1×1 beside 3×3, each to four times those."""

    def __init__(self, in_channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.point = nn.Conv2d(squeezed, 4 * squeezed, 1)
        self.square = DenseConv2d(squeezed, 4 * squeezed, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×8·squeezed×h×w."""
        x = F.elu(self.squeeze(x))
        return F.elu(torch.cat([self.point(x), self.square(x)], 1))


class ParallelDilated(nn.Module):
    """3×3 convolutions of several dilations, summed."""

    def __init__(
        self, in_channels: int, out_channels: int, dilations: tuple[int, ...], bias: bool
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            DenseConv2d(in_channels, out_channels, 3, 1, d, d, bias=bias) for d in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×h×w."""
        first, *others = (branch(x) for branch in self.branches)
        return F.elu(sum(others, first))


class Refinement(nn.Module):
    """Twice the size, joined by the encoder's map: transposed convolution, 3×3 of the map, 3×3."""

    def __init__(
        self, in_channels: int, skip: int, out_channels: int, kernel: int, skip_bias: bool
    ) -> None:
        super().__init__()
        self.up = doubling(in_channels, skip, kernel)
        self.skip = DenseConv2d(skip, skip, 3, padding=1, bias=skip_bias)
        self.out = DenseConv2d(2 * skip, out_channels, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """N×in×h×w and N×skip×2h×2w to N×out×2h×2w; an odd side of the skip is one less."""
        x = crop_to(F.elu(self.up(x)), skip)
        return F.elu(self.out(torch.cat([x, F.elu(self.skip(skip))], 1)))


class SQNet(SegmentationNetwork):
    """SQ; its head is at full resolution."""

    def __init__(self, num_classes: int, plan: Plan) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.stem = nn.Sequential(nn.Conv2d(3, plan.stem, 3, 2, 1), nn.ELU())
        self.stages = nn.ModuleList()
        skips = [plan.stem]
        for squeezed in plan.fires:
            widths = [skips[-1], *(8 * s for s in squeezed)]
            fires = (Fire(c, s) for c, s in zip(widths, squeezed, strict=False))
            self.stages.append(nn.Sequential(nn.MaxPool2d(2, ceil_mode=True), *fires))
            skips.append(widths[-1])
        self.context = ParallelDilated(skips.pop(), plan.context, plan.dilations, plan.context_bias)
        self.refinements = nn.ModuleList()
        channels = plan.context
        for skip, refined in zip(reversed(skips), plan.refined, strict=True):
            self.refinements.append(
                Refinement(channels, skip, refined, plan.kernel, plan.skip_bias)
            )
            channels = refined
        self.head = (
            nn.Sequential(
                doubling(channels, channels, plan.kernel),
                nn.ELU(),
                nn.Conv2d(channels, num_classes, 1),
            )
            if plan.classify
            else doubling(channels, num_classes, plan.kernel)
        )

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 1."""
        found = [self.stem(x)]
        for stage in self.stages:
            found.append(stage(found[-1]))
        y = self.context(found.pop())
        for refinement in self.refinements:
            y = refinement(y, found.pop())
        return {"logits": crop_to(self.head(y), x)}


_PAPER = "SQ, NIPS workshop MLITS 2016"


@register(
    "sqnet",
    task="segmentation",
    paper=_PAPER,
    year=2016,
    size=(360, 480),
    parameters={11: 7_338_603, 19: 7_338_867},
    published={"cityscapes test mIoU": 59.8},
)
def sqnet(num_classes: int = 11) -> SQNet:
    """SQ on SqueezeNet 1.1; the figure is the paper's, whose widths are not known."""
    return SQNet(num_classes, SLIM)


@register(
    "sqnet_wide",
    task="segmentation",
    paper=_PAPER,
    year=2016,
    size=(360, 480),
    parameters={11: 16_248_939, 19: 16_262_771},
)
def sqnet_wide(num_classes: int = 11) -> SQNet:
    """SQ in the wide third-party reading."""
    return SQNet(num_classes, WIDE)
