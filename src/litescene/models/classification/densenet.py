"""DenseNet.

Paper: Huang et al., "Densely Connected Convolutional Networks", CVPR 2017. Official code:
liuzhuang13/DenseNet (BSD), Torch. Built from its facts; no code was taken.

The form DenseNet-BC: every layer narrows its input to four times the growth rate first, and every
transition halves the channels. Growth rate 32.

    stage        output stride   channels   content
    stem         4               64         7×7 stride 2, 3×3 maximum stride 2
    dense 1      4               256        6 layers
    transition   8               128        1×1, 2×2 average
    dense 2      8               512        12 layers
    transition   16              256
    dense 3      16              1024       24 layers
    transition   32              512
    dense 4      32              1024       16 layers
    head         -               classes    mean over all places, linear
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from litescene.models.blocks import ConvNormAct, NormAct
from litescene.models.classification.network import ClassificationNetwork, draw_weights
from litescene.models.registry import register
from litescene.ops import DenseConv2d

DENSENET121 = (6, 12, 24, 16)
GROWTH = 32
NARROW = 4 * GROWTH


class DenseLayer(nn.Sequential):
    """Batch norm, ReLU and convolution, 1×1 then 3×3, to `GROWTH` new channels."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(
            NormAct(in_channels),
            ConvNormAct(in_channels, NARROW, 1),
            DenseConv2d(NARROW, GROWTH, 3, 1, 1, bias=False),
        )


class DenseBlock(nn.ModuleList):
    """Each layer sees the input and what all layers before it gave."""

    def __init__(self, in_channels: int, layers: int) -> None:
        super().__init__(DenseLayer(in_channels + i * GROWTH) for i in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×(in + layers·GROWTH)×h×w."""
        for layer in self:
            x = torch.cat([x, layer(x)], 1)
        return x


class Transition(nn.Sequential):
    """Half the channels, and half the size by a 2×2 average."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(
            NormAct(in_channels),
            nn.Conv2d(in_channels, in_channels // 2, 1, bias=False),
            nn.AvgPool2d(2, 2),
        )


class DenseNet(ClassificationNetwork):
    """Dense blocks with transitions between them, and a linear classifier."""

    def __init__(self, num_classes: int, layers: Sequence[int] = DENSENET121) -> None:
        super().__init__()
        self.num_classes = num_classes
        channels = 2 * GROWTH
        self.encoder = nn.Sequential(ConvNormAct(3, channels, 7, 2), nn.MaxPool2d(3, 2, 1))
        for index, count in enumerate(layers):
            if index:
                self.encoder.append(Transition(channels))
                channels //= 2
            self.encoder.append(DenseBlock(channels, count))
            channels += count * GROWTH
        self.encoder.append(NormAct(channels))
        self.classifier = nn.Linear(channels, num_classes)
        draw_weights(self)

    def features(self, x: Tensor) -> Tensor:
        """Normalised N×3×H×W to N×1024×h×w at stride 32."""
        last: Tensor = self.encoder(x)
        return last


@register(
    "densenet121",
    task="classification",
    paper="DenseNet, CVPR 2017",
    year=2017,
    size=(224, 224),
    parameters={1000: 7_978_856},
)
def densenet121(num_classes: int = 1000) -> DenseNet:
    """DenseNet-121."""
    return DenseNet(num_classes)
