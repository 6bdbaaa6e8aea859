"""ENet, and its encoder alone (the first stage of its training).

Paper: Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time Semantic
Segmentation", 2016, arXiv 1606.02147. Official code: e-lab/ENet-training (Torch, no licence);
davidtvs/PyTorch-ENet (MIT) is the best known other form. Built from their facts; no code was taken.

Differences: `enet` follows the official code (363,791 parameters for 11 classes; the paper states
0.37 M), counted on a transcription of it; `enet_pytorch` follows davidtvs (350,508, counted on its
code). Each field of `Layout` is one difference between the two. Dropout there is of whole channels.
`enet_encoder` is the official encoder with a classifier of its own; the rest has `enet`'s names.

    stage    stride   channels   content
    initial  2        16         3×3 stride 2 beside a maximum, concatenated
    1        4        64         down, 4 regular
    2        8        128        down, then regular, dilated 2, asymmetric, dilated 4,
                                 regular, dilated 8, asymmetric, dilated 16
    3        8        128        the same 8 again, without down
    4        4        64         up, 2 regular
    5        2        16         up, 1 regular
    head     1        classes    transposed convolution; of the encoder alone 1×1 at stride 8
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.blocks import (
    Activation,
    Back,
    ConvNormAct,
    ConvPoolDown,
    MaxPoolAndBack,
    NormAct,
    doubling,
    relu,
    single_prelu,
)
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DenseConv2d, PReLU

_CONTEXT = (1, 2, None, 4, 1, 8, None, 16)
"""Dilations of stages 2 and 3; None is the asymmetric bottleneck."""


@dataclass(frozen=True)
class Layout:
    """Where the two known forms of ENet differ."""

    activation: Activation  # of the encoder; the decoder has ReLU
    eps: float  # of the batch norms
    bias: bool  # of the convolutions that look at neighbours
    active_steps: bool  # norm and activation between 5×1 and 1×5, activation after the expansion
    narrow_down: bool  # middle of a down bottleneck: a quarter of its input instead of its output
    initial_pool: int  # side of the first maximum
    up_kernel: int  # of the transposed convolutions inside up bottlenecks
    head_kernel: int  # of the last transposed convolution
    decoder_dropout: float


OFFICIAL = Layout(
    activation=PReLU,
    eps=1e-3,
    bias=True,
    active_steps=False,
    narrow_down=False,
    initial_pool=2,
    up_kernel=3,
    head_kernel=2,
    decoder_dropout=0.0,
)
PYTORCH = Layout(
    activation=single_prelu,
    eps=1e-5,
    bias=False,
    active_steps=True,
    narrow_down=True,
    initial_pool=3,
    up_kernel=2,
    head_kernel=3,
    decoder_dropout=0.1,
)


class Bottleneck(nn.Module):
    """activation(x + main(x)); main is 1×1, one of three spatial convolutions, 1×1."""

    def __init__(self, layout: Layout, channels: int, dilation: int | None, dropout: float) -> None:
        super().__init__()
        middle = channels // 4
        self.main = nn.Sequential(
            ConvNormAct(channels, middle, 1, activation=layout.activation, eps=layout.eps),
            *_spatial(layout, middle, dilation),
            *_expansion(layout, middle, channels, dropout),
        )
        self.activation = layout.activation(channels)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the same shape."""
        return self.activation(x + self.main(x))


def _spatial(layout: Layout, channels: int, dilation: int | None) -> list[nn.Module]:
    """3×3 with a dilation, or 5×1 and 1×5 (the official code has 1×5 first)."""
    activation, eps, bias = layout.activation, layout.eps, layout.bias
    if dilation is not None:
        return [
            ConvNormAct(
                channels,
                channels,
                dilation=dilation,
                bias=bias,
                activation=activation,
                eps=eps,
            )
        ]
    if layout.active_steps:
        return [
            ConvNormAct(channels, channels, side, bias=bias, activation=activation, eps=eps)
            for side in ((5, 1), (1, 5))
        ]
    return [
        DenseConv2d(channels, channels, (1, 5), padding=(0, 2), bias=False),
        ConvNormAct(channels, channels, (5, 1), bias=bias, activation=activation, eps=eps),
    ]


def _expansion(
    layout: Layout, middle: int, channels: int, dropout: float, active: bool = True
) -> list[nn.Module]:
    activation = layout.activation if layout.active_steps and active else None
    return [
        ConvNormAct(middle, channels, 1, activation=activation, eps=layout.eps),
        nn.Dropout2d(dropout),
    ]


class DownBottleneck(nn.Module):
    """activation(maximum, padded with channels of zeros + main(x)); main begins with 2×2."""

    def __init__(self, layout: Layout, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        middle = (in_channels if layout.narrow_down else out_channels) // 4
        self.more = out_channels - in_channels
        self.pool = MaxPoolAndBack()
        self.main = nn.Sequential(
            ConvNormAct(
                in_channels, middle, 2, 2, padding=0, activation=layout.activation, eps=layout.eps
            ),
            *_spatial(layout, middle, 1),
            *_expansion(layout, middle, out_channels, dropout),
        )
        self.activation = layout.activation(out_channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Back]:
        """N×in×h×w to N×out×h/2×w/2, and the unpooling of N×in×h/2×w/2."""
        pooled, back = self.pool(x)
        padded = F.pad(pooled, (0, 0, 0, 0, 0, self.more))
        return self.activation(padded + self.main(x)), back


class UpBottleneck(nn.Module):
    """activation(unpooled 1×1 + main(x)); main has a transposed convolution in its middle."""

    def __init__(self, layout: Layout, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        middle = (in_channels if layout.narrow_down else out_channels) // 4
        self.other = ConvNormAct(in_channels, out_channels, 1, activation=None, eps=layout.eps)
        self.main = nn.Sequential(
            ConvNormAct(in_channels, middle, 1, activation=layout.activation, eps=layout.eps),
            doubling(middle, middle, layout.up_kernel, bias=layout.bias),
            NormAct(middle, layout.activation, eps=layout.eps),
            *_expansion(layout, middle, out_channels, dropout, active=False),
        )
        self.activation = layout.activation(out_channels)

    def forward(self, x: Tensor, back: Back) -> Tensor:
        """N×in×h×w and the unpooling of N×out×h×w to N×out×2h×2w."""
        return self.activation(back(self.other(x)) + self.main(x))


def _regular(
    layout: Layout, channels: int, dilations: tuple[int | None, ...], dropout: float
) -> nn.Sequential:
    return nn.Sequential(*(Bottleneck(layout, channels, d, dropout) for d in dilations))


class _Encoder(SegmentationNetwork):
    """Everything before the first up bottleneck."""

    divisor = 8

    def __init__(self, num_classes: int, layout: Layout) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.initial = ConvPoolDown(
            3,
            16,
            pool=layout.initial_pool,
            bias=layout.bias,
            activation=layout.activation,
            eps=layout.eps,
        )
        self.down1 = DownBottleneck(layout, 16, 64, 0.01)
        self.stage1 = _regular(layout, 64, (1,) * 4, 0.01)
        self.down2 = DownBottleneck(layout, 64, 128, 0.1)
        self.stage2 = _regular(layout, 128, _CONTEXT, 0.1)
        self.stage3 = _regular(layout, 128, _CONTEXT, 0.1)

    def encoded(self, x: Tensor) -> tuple[Tensor, Back, Back]:
        """N×3×H×W to N×128×H/8×W/8 and the unpoolings of both maxima."""
        x, back1 = self.down1(self.initial(x))
        x, back2 = self.down2(self.stage1(x))
        return self.stage3(self.stage2(x)), back1, back2


class ENetEncoder(_Encoder):
    """The encoder with a 1×1 classifier at stride 8."""

    def __init__(self, num_classes: int, layout: Layout) -> None:
        super().__init__(num_classes, layout)
        self.score = nn.Conv2d(128, num_classes, 1)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8."""
        return {"logits": self.score(self.encoded(x)[0])}


class ENet(_Encoder):
    """ENet; its head is at full resolution."""

    unpools = True

    def __init__(self, num_classes: int, layout: Layout) -> None:
        super().__init__(num_classes, layout)
        decoder, dropout = replace(layout, activation=relu), layout.decoder_dropout
        self.up4 = UpBottleneck(decoder, 128, 64, dropout)
        self.stage4 = _regular(decoder, 64, (1, 1), dropout)
        self.up5 = UpBottleneck(decoder, 64, 16, dropout)
        self.stage5 = _regular(decoder, 16, (1,), dropout)
        self.head = doubling(16, num_classes, layout.head_kernel, bias=layout.bias)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 1."""
        x, back1, back2 = self.encoded(x)
        x = self.stage4(self.up4(x, back2))
        x = self.stage5(self.up5(x, back1))
        return {"logits": self.head(x)}


_PAPER = "ENet, arXiv 1606.02147"


@register(
    "enet",
    task="segmentation",
    paper=_PAPER,
    year=2016,
    size=(360, 480),
    parameters={11: 363_791, 19: 364_311},
    published={"camvid test mIoU (360×480)": 51.3, "cityscapes test mIoU": 58.3},
)
def enet(num_classes: int = 11) -> ENet:
    """ENet as in the official code."""
    return ENet(num_classes, OFFICIAL)


@register(
    "enet_encoder",
    task="segmentation",
    paper=_PAPER,
    year=2016,
    size=(360, 480),
    parameters={11: 339_575, 19: 340_607},
)
def enet_encoder(num_classes: int = 11) -> ENetEncoder:
    """ENet's encoder with a classifier, trained before the whole network."""
    return ENetEncoder(num_classes, OFFICIAL)


@register(
    "enet_pytorch",
    task="segmentation",
    paper=_PAPER,
    year=2016,
    size=(360, 480),
    parameters={11: 350_508, 19: 351_660},
    published={"camvid test mIoU (360×480)": 52.1, "cityscapes val mIoU": 59.5},
)
def enet_pytorch(num_classes: int = 11) -> ENet:
    """ENet as in davidtvs/PyTorch-ENet; the figures are its own."""
    return ENet(num_classes, PYTORCH)
