"""ResNet.

Paper: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. Official code:
KaimingHe/deep-residual-networks (MIT), Caffe. Built from its facts; no code was taken.

Differences: bottlenecks have their stride on the 3×3 convolution, not on the first 1×1 (commonly
called version 1.5), as has become usual. Shortcuts that change the shape are 1×1 convolutions
(option B of the paper).

    stage   output stride   channels 18, 34 / 50, 101   content
    stem    4               64                          7×7 stride 2, 3×3 maximum stride 2
    1       4               64 / 256                    2, 3 basic blocks / 3, 3 bottlenecks
    2       8               128 / 512                   2, 4 / 4, 4
    3       16              256 / 1024                  2, 6 / 6, 23
    4       32              512 / 2048                  2, 3 / 3, 3
    head    -               classes                     mean over all places, linear
"""

from __future__ import annotations

from torch import Tensor, nn

from litescene.models.backbones import resnet as encoders
from litescene.models.backbones.resnet import ResNet
from litescene.models.classification.network import ClassificationNetwork, draw_weights
from litescene.models.registry import register


class ResNetClassifier(ClassificationNetwork):
    """A ResNet encoder and a linear classifier."""

    def __init__(self, encoder: ResNet, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.channels[-1], num_classes)
        draw_weights(self)

    def features(self, x: Tensor) -> Tensor:
        """Normalised N×3×H×W to N×channels×⌈H/32⌉×⌈W/32⌉."""
        last: Tensor = self.encoder(x)[-1]
        return last


_PAPER = "ResNet, CVPR 2016"


@register(
    "resnet18",
    task="classification",
    paper=_PAPER,
    year=2016,
    size=(224, 224),
    parameters={1000: 11_689_512},
)
def resnet18(num_classes: int = 1000) -> ResNetClassifier:
    """ResNet-18."""
    return ResNetClassifier(encoders.resnet18(), num_classes)


@register(
    "resnet34",
    task="classification",
    paper=_PAPER,
    year=2016,
    size=(224, 224),
    parameters={1000: 21_797_672},
)
def resnet34(num_classes: int = 1000) -> ResNetClassifier:
    """ResNet-34."""
    return ResNetClassifier(encoders.resnet34(), num_classes)


@register(
    "resnet50",
    task="classification",
    paper=_PAPER,
    year=2016,
    size=(224, 224),
    parameters={1000: 25_557_032},
)
def resnet50(num_classes: int = 1000) -> ResNetClassifier:
    """ResNet-50."""
    return ResNetClassifier(encoders.resnet50(), num_classes)


@register(
    "resnet101",
    task="classification",
    paper=_PAPER,
    year=2016,
    size=(224, 224),
    parameters={1000: 44_549_160},
)
def resnet101(num_classes: int = 1000) -> ResNetClassifier:
    """ResNet-101."""
    return ResNetClassifier(encoders.resnet101(), num_classes)
