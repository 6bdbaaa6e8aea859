"""ESPNet, and ESPNet-C, which is its encoder alone.

Paper: Mehta et al., "ESPNet: Efficient Spatial Pyramid of Dilated Convolutions for Semantic
Segmentation", ECCV 2018, arXiv 1803.06815. Official code: ESPNet (MIT). Built from its facts; no
code was taken.

Differences: the official code has two decoders. The one of its test folder joins the stem's map
(16 channels), fits the published Cityscapes weights and has the paper's 0.364 M parameters (20
classes), so it is ours by default (`skip="stem"`); the one of its training folder joins that map
with the picture (19 channels) and fits the published CamVid weights (`skip="mix"`). On sizes that
are no multiple of 8 the official code fails; here a map doubled by a transposed convolution is cut
to the size of the map that it meets. Average pools of the picture count the padded border; batch
norms have eps 1e-3; the official input is BGR, (x - mean) / std / 255.

    stage    stride   channels        content
    stem     2        16, mixed 19    3×3; concatenated with the picture at 1/2
    level2   4        64, mixed 131   ESP with stride, p ESP; last, first and the picture at 1/4
    level3   8        128, mixed 256  ESP with stride, q ESP; first and last
    head     8        classes         1×1: the logits of ESPNet-C
    decoder  4, 2, 1  classes         transposed 2×2 each; met by mixed level 2 and the stem
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from litescene.models.blocks import ConvNormAct, NormAct, crop_to
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DenseConv2d, PReLU

EPS = 1e-3
Skip = Literal["stem", "mix"]
Unit = Callable[[int, int, int, bool], nn.Module]
"""Makes a unit: channels in and out, stride, whether with residual."""


def dilated(in_channels: int, out_channels: int, dilation: int) -> nn.Module:
    """The branch of ESP: a dilated 3×3 convolution."""
    return DenseConv2d(in_channels, out_channels, 3, 1, dilation, dilation, bias=False)


class ESP(nn.Module):
    """Efficient spatial pyramid, section 3: a reduction, parallel branches, and the input added.

    Against gridding `sums` adds each branch from the third on to the sum of those since the second.
    The first branch takes the rest of the channels, and fewer channels than branches (a decoder for
    few classes) leave the last branches out. With stride 2 the reduction is 3×3, else 1×1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        residual: bool,
        *,
        dilations: Sequence[int] = (1, 2, 4, 8, 16),
        branch: Callable[[int, int, int], nn.Module] = dilated,
        sums: bool = True,
    ) -> None:
        super().__init__()
        first, *others = dilations[:out_channels]
        width = out_channels // (1 + len(others))
        kernel = 1 if stride == 1 else 3
        self.reduce = DenseConv2d(in_channels, width, kernel, stride, kernel // 2, bias=False)
        self.branches = nn.ModuleList([branch(width, out_channels - width * len(others), first)])
        self.branches.extend(branch(width, width, dilation) for dilation in others)
        self.sums, self.residual = sums, residual
        self.out = NormAct(out_channels, PReLU, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×out×⌈H/stride⌉×⌈W/stride⌉."""
        reduced = self.reduce(x)
        parts: list[Tensor] = []
        for index, branch in enumerate(self.branches):
            part = branch(reduced)
            parts.append(part + parts[-1] if self.sums and index > 1 else part)
        y = torch.cat(parts, 1)
        return self.out(x + y if self.residual else y)


class Level(nn.Module):
    """A unit with stride 2, then `depth` units with residual."""

    def __init__(self, unit: Unit, in_channels: int, out_channels: int, depth: int) -> None:
        super().__init__()
        self.down = unit(in_channels, out_channels, 2, False)
        self.blocks = nn.Sequential(
            *(unit(out_channels, out_channels, 1, True) for _ in range(depth))
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """N×in×H×W to the first and the last map, each N×out×⌈H/2⌉×⌈W/2⌉."""
        first = self.down(x)
        return first, self.blocks(first)


class Maps(NamedTuple):
    """What an encoder gives; `mix` are the maps mixed with the picture or with another."""

    stem: Tensor
    mix1: Tensor
    level2: Tensor
    mix2: Tensor
    mix3: Tensor


class Encoder(nn.Module):
    """Stem and two levels of units, mixed with the picture halved by `pool` once and twice."""

    def __init__(self, unit: Unit, depths: tuple[int, int], pool: nn.Module, stem: int) -> None:
        super().__init__()
        self.pool = pool
        self.stem = ConvNormAct(3, stem, 3, 2, activation=PReLU, eps=EPS)
        self.mix1 = NormAct(stem + 3, PReLU, eps=EPS)
        self.level2 = Level(unit, stem + 3, 64, depths[0])
        self.mix2 = NormAct(2 * 64 + 3, PReLU, eps=EPS)
        self.level3 = Level(unit, 2 * 64 + 3, 128, depths[1])
        self.mix3 = NormAct(2 * 128, PReLU, eps=EPS)

    def forward(self, x: Tensor) -> Maps:
        """N×3×H×W to maps of stem, stem+3, 64, 131, 256 channels at strides 2, 2, 4, 4, 8."""
        half = self.pool(x)
        stem = self.stem(x)
        mix1 = self.mix1(torch.cat([stem, half], 1))
        first, level2 = self.level2(mix1)
        mix2 = self.mix2(torch.cat([level2, first, self.pool(half)], 1))
        mix3 = self.mix3(torch.cat(self.level3(mix2), 1))
        return Maps(stem, mix1, level2, mix2, mix3)


def _double(classes: int) -> nn.Module:
    return nn.ConvTranspose2d(classes, classes, 2, 2, bias=False)


class Decoder(nn.Module):
    """Section 4: doubles the logits three times; all its maps have as many channels as classes."""

    def __init__(self, unit: Unit, classes: int, skip: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(classes, eps=EPS)
        self.up8 = _double(classes)
        self.side = nn.Conv2d(131, classes, 1, bias=False)
        self.fuse4 = nn.Sequential(
            NormAct(2 * classes, PReLU, eps=EPS), unit(2 * classes, classes, 1, False)
        )
        self.up4 = nn.Sequential(_double(classes), NormAct(classes, PReLU, eps=EPS))
        self.fuse2 = ConvNormAct(classes + skip, classes, activation=PReLU, eps=EPS)
        self.up2 = _double(classes)

    def forward(self, logits: Tensor, x4: Tensor, x2: Tensor, picture: Tensor) -> Tensor:
        """Logits at stride 8, a mixed map at 4 and one at 2 to logits of the picture's size."""
        up = crop_to(self.up8(self.norm(logits)), x4)
        fused = self.fuse4(torch.cat([self.side(x4), up], 1))
        up = crop_to(self.up4(fused), x2)
        fused = self.fuse2(torch.cat([up, x2], 1))
        return crop_to(self.up2(fused), picture)


class ESPNetC(SegmentationNetwork):
    """Encoder and 1×1 head at stride 8; `depths` are the paper's p and q."""

    def __init__(
        self,
        num_classes: int,
        depths: tuple[int, int],
        unit: Unit = ESP,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = Encoder(unit, depths, pool or nn.AvgPool2d(3, 2, 1), 16)
        self.head = nn.Conv2d(2 * 128, num_classes, 1, bias=False)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8."""
        return {"logits": self.head(self.encoder(x).mix3)}


class ESPNet(ESPNetC):
    """ESPNet-C with a decoder to the picture's size."""

    def __init__(
        self,
        num_classes: int,
        depths: tuple[int, int],
        skip: Skip = "stem",
        unit: Unit = ESP,
        pool: nn.Module | None = None,
    ) -> None:
        super().__init__(num_classes, depths, unit, pool)
        self.skip = skip
        self.decoder = Decoder(unit, num_classes, 16 if skip == "stem" else 19)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at the picture's size."""
        found = self.encoder(x)
        x2 = found.stem if self.skip == "stem" else found.mix1
        return {"logits": self.decoder(self.head(found.mix3), found.mix2, x2, x)}


_PAPER = "ESPNet, arXiv 1803.06815"


@register(
    "espnet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 353_140, 19: 362_949},
    published={
        "camvid test mIoU (360×480)": 55.64,
        "cityscapes val mIoU": 61.4,
        "cityscapes test mIoU": 60.3,
    },
)
def espnet(num_classes: int = 11, *, skip: Skip = "stem") -> ESPNet:
    """ESPNet with p = 2, q = 8; `skip` chooses the map that the decoder meets at stride 2."""
    return ESPNet(num_classes, (2, 8), skip)


@register(
    "espnet_p2q5",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 255_988, 19: 265_797},
)
def espnet_p2q5(num_classes: int = 11, *, skip: Skip = "stem") -> ESPNet:
    """ESPNet with p = 2, q = 5."""
    return ESPNet(num_classes, (2, 5), skip)


@register(
    "espnet_p2q3",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 191_220, 19: 201_029},
)
def espnet_p2q3(num_classes: int = 11, *, skip: Skip = "stem") -> ESPNet:
    """ESPNet with p = 2, q = 3."""
    return ESPNet(num_classes, (2, 3), skip)


@register(
    "espnet_c",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 347_145, 19: 349_193},
)
def espnet_c(num_classes: int = 11) -> ESPNetC:
    """ESPNet-C with p = 2, q = 8."""
    return ESPNetC(num_classes, (2, 8))


@register(
    "espnet_c_p2q5",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 249_993, 19: 252_041},
)
def espnet_c_p2q5(num_classes: int = 11) -> ESPNetC:
    """ESPNet-C with p = 2, q = 5."""
    return ESPNetC(num_classes, (2, 5))


@register(
    "espnet_c_p2q3",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 185_225, 19: 187_273},
)
def espnet_c_p2q3(num_classes: int = 11) -> ESPNetC:
    """ESPNet-C with p = 2, q = 3."""
    return ESPNetC(num_classes, (2, 3))
