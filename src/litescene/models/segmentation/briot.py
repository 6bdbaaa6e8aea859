"""A VGG-like network with exchangeable convolutions: the techniques that Briot et al. compare.

Paper: Briot, Viswanath, Yogamani, "Analysis of Efficient CNN Design Techniques for Semantic
Segmentation", CVPR Workshops 2018. No official code. The networks are readings: the paper's tables
were not at hand, so the widths are ours, and no count can be compared. Quantisation to int8, which
the paper studies too, is no matter of the network.

The baseline is `VGG10` with a decoder that adds class scores from strides 32, 16 and 8, as FCN8s
does. Each technique replaces one part of it:

    activation    crelu        [ReLU(x), ReLU(-x)]: the convolution before gives half the channels
    convolution   p4           every filter in four orientations (`models.p4`): as many channels
                               from a quarter of the filters, the best orientation before a score
                  grouped      3×3 in 4 groups, then a shuffle, so that groups meet
                  separable    depthwise 3×3 and 1×1
                  factorised   1×3 and 3×1
                  bottleneck   1×1 to a quarter, 3×3, 1×1
    stem          7x7          instead of the strided 3×3
                  three 3x3    that 7×7, decomposed
    width         0.5          half the channels; above 1 more of them
    repeats       1, 1, 1, 1   shallow

The first convolution sees three channels and is never grouped, separable or a bottleneck. Of what
the paper names besides, mirrored filters (p4m), the mean over orientations, split branches with a
sum and links across layers are not here.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from litescene.models.backbones.vgg import VGG10
from litescene.models.blocks import resize_to
from litescene.models.p4 import ORIENTATIONS, pool_orientations
from litescene.models.registry import register
from litescene.models.segmentation.briot_parts import (
    ActivationName,
    ConvolutionName,
    StemName,
    Toolbox,
)
from litescene.models.segmentation.network import SegmentationNetwork


class Briot(SegmentationNetwork):
    """VGG10 of chosen parts and a decoder of summed scores."""

    widths = (32, 64, 128, 256, 512)
    strides = (8, 16, 32)

    def __init__(
        self,
        num_classes: int,
        convolution: ConvolutionName = "standard",
        activation: ActivationName = "relu",
        stem: StemName = "3x3",
        width: float = 1.0,
        repeats: tuple[int, int, int, int] = (2, 2, 3, 2),
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.has_orientations = convolution == "p4"
        # Multiples of 16 can be halved by CReLU, then split in four groups or orientations.
        widths = [max(16, round(n * width / 16) * 16) for n in self.widths]
        self.encoder = VGG10(widths, repeats, Toolbox(convolution, activation, stem).layer)
        copies = ORIENTATIONS if self.has_orientations else 1
        self.scores = nn.ModuleList(
            [nn.Conv2d(n // copies, num_classes, 1) for n in reversed(widths[2:])]
        )

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8."""
        found = self.encoder(x)
        features = [found[stride].last for stride in reversed(self.strides)]
        if self.has_orientations:
            features = [pool_orientations(f) for f in features]
        logits, *finer = [score(f) for score, f in zip(self.scores, features, strict=True)]
        for scores in finer:
            logits = scores + resize_to(logits, scores)
        return {"logits": logits}


_PAPER = "Briot et al., CVPR Workshops 2018"
_FACTS: dict[str, Any] = {
    "task": "segmentation",
    "paper": _PAPER,
    "year": 2018,
    "size": (360, 480),
}


@register("briot_vgg10", parameters={11: 5_305_153, 19: 5_312_345}, **_FACTS)
def briot_vgg10(
    num_classes: int = 11,
    *,
    convolution: ConvolutionName = "standard",
    activation: ActivationName = "relu",
    stem: StemName = "3x3",
    width: float = 1.0,
    repeats: tuple[int, int, int, int] = (2, 2, 3, 2),
) -> Briot:
    """The baseline, every part of which can be chosen."""
    return Briot(num_classes, convolution, activation, stem, width, repeats)


@register("briot_crelu", parameters={11: 2_657_521, 19: 2_664_713}, **_FACTS)
def briot_crelu(num_classes: int = 11) -> Briot:
    """Concatenated ReLU after half as many filters."""
    return Briot(num_classes, activation="crelu")


@register("briot_p4", parameters={11: 1_326_313, 19: 1_328_129}, **_FACTS)
def briot_p4(num_classes: int = 11) -> Briot:
    """Filters in four orientations."""
    return Briot(num_classes, convolution="p4")


@register("briot_group", parameters={11: 1_337_665, 19: 1_344_857}, **_FACTS)
def briot_group(num_classes: int = 11) -> Briot:
    """Convolutions in four groups, shuffled."""
    return Briot(num_classes, convolution="grouped")


@register("briot_separable", parameters={11: 621_601, 19: 628_793}, **_FACTS)
def briot_separable(num_classes: int = 11) -> Briot:
    """Depthwise separable convolutions."""
    return Briot(num_classes, convolution="separable")


@register("briot_factorised", parameters={11: 4_066_561, 19: 4_073_753}, **_FACTS)
def briot_factorised(num_classes: int = 11) -> Briot:
    """Convolutions of one row, then of one column."""
    return Briot(num_classes, convolution="factorised")


@register("briot_bottleneck", parameters={11: 783_297, 19: 790_489}, **_FACTS)
def briot_bottleneck(num_classes: int = 11) -> Briot:
    """Convolutions on a quarter of the channels."""
    return Briot(num_classes, convolution="bottleneck")


@register("briot_7x7", parameters={11: 5_308_993, 19: 5_316_185}, **_FACTS)
def briot_7x7(num_classes: int = 11) -> Briot:
    """A 7×7 convolution first."""
    return Briot(num_classes, stem="7x7")


@register("briot_decomposed", parameters={11: 5_323_713, 19: 5_330_905}, **_FACTS)
def briot_decomposed(num_classes: int = 11) -> Briot:
    """Three 3×3 convolutions instead of the first 7×7."""
    return Briot(num_classes, stem="three 3x3")


@register("briot_narrow", parameters={11: 1_330_097, 19: 1_333_705}, **_FACTS)
def briot_narrow(num_classes: int = 11) -> Briot:
    """Half the channels."""
    return Briot(num_classes, width=0.5)


@register("briot_shallow", parameters={11: 1_579_457, 19: 1_586_649}, **_FACTS)
def briot_shallow(num_classes: int = 11) -> Briot:
    """Five convolutions."""
    return Briot(num_classes, repeats=(1, 1, 1, 1))
