"""LadderNet.

Paper: Zhuang, "LadderNet: Multi-path networks based on U-Net for medical image segmentation", 2018,
arXiv 1810.07810. Official code: juntang-zhuang/LadderNet (no licence). Built from its facts; no
code was taken.

Differences: the code returns the log-softmax, ours the logits. Its transposed convolutions always
double the sides, so it needs sides divisible by 2 per level; ours are cut to the map that they are
added to, the same wherever the code runs. The paper segments vessels, with 1 channel and 2 classes;
the counts here are those of the code with 3 channels. Its recipe is of that task (grey patches of
48×48) and has no counterpart here.

    stage      stride        channels L4F10 / L3F16   content
    stem       1             10 / 16                  conv 3×3
    ladder 1   1..16 / 1..8  10..160 / 16..128        shared block and conv 3×3 s2 per level, down
    ladder 1   16..1 / 8..1                           transposed 3×3 s2, plus down, block, up
    ladder 2   as ladder 1                            the same, fed by every level of ladder 1 but
                                                      its bottom
    head       1             10 / 16                  1×1 to the classes
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.blocks import crop_to
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DenseConv2d


class SharedBlock(nn.Module):
    """Residual block whose two 3×3 convolutions are one, with dropout of channels between."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = DenseConv2d(channels, channels, 3, padding=1)
        self.dropout = nn.Dropout2d(0.25)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the same shape."""
        y = self.dropout(torch.relu(self.conv(x)))
        return torch.relu(x + self.conv(y))


class Ladder(nn.Module):
    """A U of shared blocks: down to the bottom, and up with the sum of the maps on the way down."""

    def __init__(self, layers: int, filters: int) -> None:
        super().__init__()
        widths = [filters * 2**i for i in range(layers + 1)]
        self.down_blocks = nn.ModuleList([SharedBlock(c) for c in widths[:-1]])
        self.downs = nn.ModuleList([DenseConv2d(c, 2 * c, 3, 2, 1) for c in widths[:-1]])
        self.bottom = SharedBlock(widths[-1])
        self.ups = nn.ModuleList(
            [nn.ConvTranspose2d(2 * c, c, 3, 2, 1, output_padding=1) for c in widths[-2::-1]]
        )
        self.up_blocks = nn.ModuleList([SharedBlock(c) for c in widths[-2::-1]])

    def forward(self, x: Tensor, laterals: list[Tensor] | None = None) -> list[Tensor]:
        """N×filters×H×W, and a map to add per level, to the up path's maps, finest first."""
        kept = []
        for i, (block, down) in enumerate(zip(self.down_blocks, self.downs, strict=True)):
            kept.append(block(x if laterals is None else x + laterals[i]))
            x = torch.relu(down(kept[-1]))
        x = self.bottom(x)
        found: list[Tensor] = []
        for up, block, skip in zip(self.ups, self.up_blocks, kept[::-1], strict=True):
            x = block(crop_to(up(x), skip) + skip)
            found.insert(0, x)
        return found


class LadderNet(SegmentationNetwork):
    """Two ladders of `layers` levels, the first level `filters` wide; logits at full size."""

    def __init__(self, num_classes: int, layers: int, filters: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.stem = nn.Sequential(nn.Conv2d(3, filters, 3, padding=1), nn.ReLU())
        self.first = Ladder(layers, filters)
        self.between = SharedBlock(filters)
        self.second = Ladder(layers, filters)
        self.head = nn.Conv2d(filters, num_classes, 1)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 1."""
        levels = self.first(self.stem(x))
        finest, *_ = self.second(self.between(levels[0]), levels)
        return {"logits": self.head(finest)}


_PAPER = "LadderNet, arXiv 1810.07810"


@register(
    "laddernet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 1_381_931, 19: 1_382_019},
    published={"drive AUC (1 channel)": 0.9794, "drive F1 (1 channel)": 0.8202},
)
def laddernet(num_classes: int = 11) -> LadderNet:
    """LadderNet of the paper: 4 levels, 10 channels on the first."""
    return LadderNet(num_classes, 4, 10)


@register(
    "laddernet_l3f16",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 879_851, 19: 879_987},
)
def laddernet_l3f16(num_classes: int = 11) -> LadderNet:
    """LadderNet of 3 levels, 16 channels on the first: 360×480 divides evenly."""
    return LadderNet(num_classes, 3, 16)
