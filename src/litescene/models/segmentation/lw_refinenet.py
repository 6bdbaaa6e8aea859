"""Light-Weight RefineNet.

Paper: Nekrasov, Shen and Reid, "Light-Weight RefineNet for Real-Time Semantic Segmentation", BMVC
2018, arXiv 1810.03272. Official code: DrSleep/light-weight-refinenet (BSD 2-clause, academic use
only). Built from its facts; no code was taken.

Differences: none known; the paper's residual convolution units are left out in both. The logits
are at a quarter of the picture; the code enlarges them outside of the network, and ours does that
with aligned corners as inside.

    stage     stride   channels         content
    encoder   4..32    256 .. 2048      ResNet, or MobileNetV2 with maps of 24 .. 320 channels
    refine    32       512 (MBv2 256)   1×1 of each map, summed, ReLU (MBv2 ReLU6), chained pooling,
                                        1×1 to 256
    refine    16, 8    256              the same with the coarser result, resized
    refine    4        256              the same without the last 1×1
    head      4        256              3×3 to the classes
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from litescene.models.backbones.mobilenet_v2 import MobileNetV2
from litescene.models.backbones.resnet import ResNet, resnet50, resnet101, resnet152
from litescene.models.blocks import resize_to
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DenseConv2d

WIDTH = 256


def _pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 1, bias=False)


class ChainedPooling(nn.Module):
    """Section 3.2: four times the maximum of 5×5 and a 1×1, each result added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.mixes = nn.ModuleList([_pointwise(channels, channels) for _ in range(4)])

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the same shape."""
        top = x
        for mix in self.mixes:
            top = mix(self.pool(top))
            x = x + top
        return x


class Refine(nn.Module):
    """Sum of maps of one stride and of the coarser result, activation, chained pooling.

    `adapts` are the convolutions of the maps, `activation` is that of the encoder; `out` is the
    width of a last 1×1, if there is one.
    """

    def __init__(
        self, adapts: Sequence[nn.Module], activation: nn.Module, channels: int, out: int | None
    ) -> None:
        super().__init__()
        self.adapts = nn.ModuleList(adapts)
        self.activation = activation
        self.chain = ChainedPooling(channels)
        self.out = nn.Identity() if out is None else _pointwise(channels, out)

    def forward(self, maps: Sequence[Tensor], coarser: Tensor | None) -> Tensor:
        """Maps N×c×h×w, coarsest first, and N×C×h'×w' to N×out×h×w."""
        adapted = [adapt(x) for adapt, x in zip(self.adapts, maps, strict=True)]
        if coarser is not None:
            adapted.append(resize_to(coarser, adapted[0], align_corners=True))
        y: Tensor = self.out(self.chain(self.activation(sum(adapted[1:], adapted[0]))))
        return y


class LightWeightRefineNet(SegmentationNetwork):
    """An encoder, refinement from its coarsest maps to stride 4, and the classifier.

    `groups` are the encoder's maps that each refinement takes, `refines` the refinements.
    """

    align_corners = True

    def __init__(
        self,
        num_classes: int,
        encoder: nn.Module,
        groups: Sequence[Sequence[int]],
        refines: Sequence[Refine],
        dropout: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = encoder
        self.groups = groups
        self.dropped = dropout
        self.dropout = nn.Dropout(0.5)
        self.refines = nn.ModuleList(refines)
        self.head = DenseConv2d(WIDTH, num_classes, 3, padding=1)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 4."""
        maps = self.encoder(x)
        for i in self.dropped:
            maps[i] = self.dropout(maps[i])
        y: Tensor | None = None
        for group, refine in zip(self.groups, self.refines, strict=True):
            y = refine([maps[i] for i in group], y)
        return {"logits": self.head(y)}


def _with_resnet(num_classes: int, encoder: ResNet) -> LightWeightRefineNet:
    *finer, coarsest = encoder.channels
    refines = [Refine([_pointwise(coarsest, 2 * WIDTH)], nn.ReLU(), 2 * WIDTH, WIDTH)]
    for i in (2, 1, 0):
        adapt = nn.Sequential(_pointwise(finer[i], WIDTH), _pointwise(WIDTH, WIDTH))
        refines.append(Refine([adapt], nn.ReLU(), WIDTH, WIDTH if i else None))
    return LightWeightRefineNet(num_classes, encoder, ((3,), (2,), (1,), (0,)), refines, (2, 3))


def _with_mobilenet(num_classes: int) -> LightWeightRefineNet:
    encoder = MobileNetV2()
    groups = ((6, 5), (4, 3), (2,), (1,))
    refines = []
    for group in groups:
        adapts = [_pointwise(encoder.channels[i], WIDTH) for i in group]
        out = None if group == groups[-1] else WIDTH
        refines.append(Refine(adapts, nn.ReLU6(), WIDTH, out))
    return LightWeightRefineNet(num_classes, encoder, groups, refines)


_PAPER = "Light-Weight RefineNet, arXiv 1810.03272"


@register(
    "lw_refinenet_50",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 27_334_475, 19: 27_352_915},
    published={"voc val mIoU": 78.5},
)
def lw_refinenet_50(num_classes: int = 11) -> LightWeightRefineNet:
    """Light-Weight RefineNet on ResNet-50."""
    return _with_resnet(num_classes, resnet50())


@register(
    "lw_refinenet_101",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 46_326_603, 19: 46_345_043},
    published={"voc val mIoU": 80.3},
)
def lw_refinenet_101(num_classes: int = 11) -> LightWeightRefineNet:
    """Light-Weight RefineNet on ResNet-101."""
    return _with_resnet(num_classes, resnet101())


@register(
    "lw_refinenet_152",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 61_970_251, 19: 61_988_691},
    published={"voc val mIoU": 82.1},
)
def lw_refinenet_152(num_classes: int = 11) -> LightWeightRefineNet:
    """Light-Weight RefineNet on ResNet-152."""
    return _with_resnet(num_classes, resnet152())


@register(
    "lw_refinenet_mobilenet_v2",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 3_261_515, 19: 3_279_955},
    published={"voc val mIoU": 76.2},
)
def lw_refinenet_mobilenet_v2(num_classes: int = 11) -> LightWeightRefineNet:
    """Light-Weight RefineNet on MobileNetV2."""
    return _with_mobilenet(num_classes)
