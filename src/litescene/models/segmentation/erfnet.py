"""ERFNet, and its encoder alone (the first stage of its training).

Papers: Romera et al., "Efficient ConvNet for Real-Time Semantic Segmentation", IV 2017, and
"ERFNet: Efficient Residual Factorized ConvNet for Real-Time Semantic Segmentation", T-ITS 2018;
the same network. Official code: Eromera/erfnet and erfnet_pytorch (CC BY-NC 4.0). Built from its
facts; no code was taken.

Differences: we follow the official PyTorch form. The Torch form has 1×3 before 3×1 and dropout in
two downsamplers as well. The official network also stores the encoder's classifier, which its
decoder never uses (128·classes + classes parameters); ours has it in `erfnet_encoder` only, whose
`encoder` has the names of the whole network's.

    stage    stride   channels   content
    down     2        16         3×3 stride 2 beside 2×2 maximum, concatenated
    down     4        64
    block    4        64         5 factorised residual blocks
    down     8        128
    block    8        128        8 with dilation 2, 4, 8, 16, 2, 4, 8, 16
    up       4        64         3×3 transposed, then 2 blocks
    up       2        16         3×3 transposed, then 2 blocks
    head     1        classes    2×2 transposed
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.blocks import ConvPoolDown, doubling
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DenseConv2d

EPS = 1e-3


class FactorisedResidual(nn.Module):
    """Non-bottleneck-1D: two 3×3 convolutions, each as 3×1 and 1×3, around an identity."""

    def __init__(self, channels: int, dilation: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *self._pair(channels, 1),
            nn.ReLU(),
            *self._pair(channels, dilation),
            nn.Dropout2d(dropout),
        )

    @staticmethod
    def _pair(channels: int, dilation: int) -> tuple[nn.Module, ...]:
        return (
            DenseConv2d(channels, channels, (3, 1), 1, (dilation, 0), (dilation, 1)),
            nn.ReLU(),
            DenseConv2d(channels, channels, (1, 3), 1, (0, dilation), (1, dilation)),
            nn.BatchNorm2d(channels, eps=EPS),
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the same shape."""
        return torch.relu(x + self.main(x))


class Encoder(nn.Sequential):
    """N×3×H×W to N×128×H/8×W/8."""

    def __init__(self) -> None:
        super().__init__(
            ConvPoolDown(3, 16, eps=EPS),
            ConvPoolDown(16, 64, eps=EPS),
            *(FactorisedResidual(64, dropout=0.03) for _ in range(5)),
            ConvPoolDown(64, 128, eps=EPS),
            *(FactorisedResidual(128, dilation, 0.3) for dilation in (2, 4, 8, 16) * 2),
        )


def upsampler(in_channels: int, out_channels: int) -> nn.Sequential:
    """3×3 transposed convolution to twice the size, batch norm, ReLU."""
    return nn.Sequential(
        doubling(in_channels, out_channels, 3),
        nn.BatchNorm2d(out_channels, eps=EPS),
        nn.ReLU(),
    )


class ERFNet(SegmentationNetwork):
    """ERFNet; its head is at full resolution."""

    divisor = 8

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = Encoder()
        self.decoder = nn.Sequential(
            upsampler(128, 64),
            FactorisedResidual(64),
            FactorisedResidual(64),
            upsampler(64, 16),
            FactorisedResidual(16),
            FactorisedResidual(16),
        )
        self.head = doubling(16, num_classes, 2)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 1."""
        return {"logits": self.head(self.decoder(self.encoder(x)))}


class ERFNetEncoder(SegmentationNetwork):
    """The encoder with a 1×1 classifier at stride 8."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = Encoder()
        self.score = nn.Conv2d(128, num_classes, 1)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8."""
        return {"logits": self.score(self.encoder(x))}


_PAPER = "ERFNet, T-ITS 2018"


@register(
    "erfnet",
    task="segmentation",
    paper=_PAPER,
    year=2017,
    size=(360, 480),
    parameters={11: 2_063_671, 19: 2_064_191},
    published={"cityscapes val mIoU": 72.1, "cityscapes test mIoU": 69.8},
)
def erfnet(num_classes: int = 11) -> ERFNet:
    """ERFNet; the published figures are those of the official PyTorch form."""
    return ERFNet(num_classes)


@register(
    "erfnet_encoder",
    task="segmentation",
    paper=_PAPER,
    year=2017,
    size=(360, 480),
    parameters={11: 1_875_463, 19: 1_876_495},
)
def erfnet_encoder(num_classes: int = 11) -> ERFNetEncoder:
    """ERFNet's encoder with a classifier, trained before the whole network."""
    return ERFNetEncoder(num_classes)
