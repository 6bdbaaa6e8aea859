"""ShelfNet.

Paper: Zhuang et al., "ShelfNet for Fast Semantic Segmentation", ICCV workshops 2019,
arXiv 1811.11254. Official code: ShelfNet, branch citys_lw (without a licence). Built from its
facts; no code was taken.

Differences: the code's decoder builds an S-block in front of its path that it never runs (37,184
parameters in ShelfNet18, 148,096 in ShelfNet34); we leave it out. Its nearest upsampling by two,
which needs sides divisible by 32, goes to the size of the skip here. Its compiled batch norm
scales by |weight| + 1e-5; ours by the weight. "ABN" is batch norm and leaky ReLU of slope 0.01, in
the ResNet and, as we read it, in every 3×3 of attention, merging and heads; after a sum or a
strided 3×3 the ReLU is plain.

    stage      stride   channels 18 / 34             content
    ResNet     8..32    128, 256, 512
    lateral    8..32    64, 128, 256 / as they are   1×1
    climb      32..8                                 S-block, then attention, upsampling, skip, 3×3
    descend    8..32                                 S-block, skip, S-block, 3×3 s2, ReLU
    climb      32..8                                 as above, skips from the way down
    head       8        64 / 128                     3×3, 3×3 to the classes
    training   32, 16   64                           3×3, 3×3 on the climb's first two maps
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from litescene.models.backbones.resnet import ResNet, resnet18, resnet34
from litescene.models.blocks import ConvNormAct, leaky_relu
from litescene.models.registry import register
from litescene.models.segmentation.bisenet_blocks import AttentionRefinement, Head, nearest_to
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DenseConv2d


class SBlock(nn.Module):
    """Section 3.2: a residual block that applies one convolution twice, with two batch norms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = DenseConv2d(channels, channels, 3, padding=1)
        self.first = nn.Sequential(nn.BatchNorm2d(channels), nn.LeakyReLU(), nn.Dropout2d(0.1))
        self.second = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """N×channels×h×w to the same shape."""
        y = self.second(self.conv(self.first(self.conv(x))))
        return torch.relu(y + x)


class Climb(nn.Module):
    """From the coarsest map to the finest; `widths` are those of the maps, the finest first."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.bottom = SBlock(widths[-1])
        self.refine = nn.ModuleList()
        self.merge = nn.ModuleList()
        for low, high in zip(widths[-2::-1], widths[:0:-1], strict=True):
            self.refine.append(AttentionRefinement(high, low, activation=leaky_relu))
            self.merge.append(ConvNormAct(low, low, activation=leaky_relu))

    def forward(self, bottom: Tensor, skips: list[Tensor]) -> list[Tensor]:
        """The coarsest map and the others, finest first, to as many maps, finest first."""
        x = self.bottom(bottom)
        found = [x]
        for refine, merge, skip in zip(self.refine, self.merge, reversed(skips), strict=True):
            x = merge(nearest_to(refine(x), skip) + skip)
            found.insert(0, x)
        return found


class Descend(nn.Module):
    """From the finest map to the coarsest; gives what the climb after it begins with."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.start = SBlock(widths[0])
        self.blocks = nn.ModuleList([SBlock(width) for width in widths[:-1]])
        self.down = nn.ModuleList(
            [DenseConv2d(width, wider, 3, 2, 1) for width, wider in pairwise(widths)]
        )

    def forward(self, maps: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Maps, finest first, to the coarsest one and the others, finest first.

        The finest enters twice, through `start` and as the first skip; the coarsest not at all.
        """
        x = self.start(maps[0])
        skips = []
        for block, down, skip in zip(self.blocks, self.down, maps[:-1], strict=True):
            x = block(x + skip)
            skips.append(x)
            x = torch.relu(down(x))
        return x, skips


class ShelfNet(SegmentationNetwork):
    """ShelfNet; `widths` are those of the columns at strides 8, 16, 32."""

    align_corners = True

    def __init__(
        self,
        num_classes: int,
        encoder: ResNet,
        widths: tuple[int, ...],
        training_heads: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = encoder
        self.lateral = nn.ModuleList(
            [
                nn.Identity()
                if width == have
                else ConvNormAct(have, width, 1, activation=leaky_relu)
                for have, width in zip(encoder.channels[1:], widths, strict=True)
            ]
        )
        self.climb = Climb(widths)
        self.descend = Descend(widths)
        self.climb_again = Climb(widths)
        self.head = Head(widths[0], widths[0], num_classes, kernel=3, activation=leaky_relu)
        self.training_heads = training_heads
        if training_heads:
            self.head16 = Head(widths[1], 64, num_classes, kernel=3, activation=leaky_relu)
            self.head32 = Head(widths[2], 64, num_classes, kernel=3, activation=leaky_relu)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8; in training `aux_x16` and `aux_x32`."""
        _, *features = self.encoder(x)
        *skips, bottom = [f(m) for f, m in zip(self.lateral, features, strict=True)]
        x8, x16, x32 = self.climb_again(*self.descend(self.climb(bottom, skips)))
        found = {"logits": self.head(x8)}
        if self.training and self.training_heads:
            found |= {"aux_x16": self.head16(x16), "aux_x32": self.head32(x32)}
        return found


_PAPER = "ShelfNet, arXiv 1811.11254"


@register(
    "shelfnet18",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 14_315_648, 19: 14_320_256},
    training_parameters={11: 14_549_760, 19: 14_563_584},
    published={"cityscapes test mIoU": 74.8},
)
def shelfnet18(num_classes: int = 11, *, training_heads: bool = True) -> ShelfNet:
    """ShelfNet with a ResNet-18."""
    return ShelfNet(num_classes, resnet18(activation=leaky_relu), (64, 128, 256), training_heads)


@register(
    "shelfnet34",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 33_123_520, 19: 33_132_736},
    training_parameters={11: 33_578_816, 19: 33_597_248},
)
def shelfnet34(num_classes: int = 11, *, training_heads: bool = True) -> ShelfNet:
    """ShelfNet with a ResNet-34 and columns twice as wide."""
    return ShelfNet(num_classes, resnet34(activation=leaky_relu), (128, 256, 512), training_heads)
