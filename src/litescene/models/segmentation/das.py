"""The decoder of Das et al. on its encoder of ten convolutions.

Paper: Das et al., "Design of Real-time Semantic Segmentation Decoder for Automated Driving",
VISAPP 2019, arXiv 1901.06580. There is no public code, and no table of its widths: this is a
reading of its description, without a count or a figure to meet. Given is

- the encoder: VGG-like, ten convolutions, a strided one and a pooling at the start;
- the decoder's layer: parallel 1-D kernels (k×1, 1×k) and 2-D kernels (3×3, 5×5, 1×1) of full
  width, fused, and fused again with the input by several skips, all sums;
- a family of decoders around this layer under a fixed budget.

Ours are the widths, the place of the sums inside the layer, the transposed convolutions between
the levels and the head at stride 4. The two 1-D kernels are read as one branch, k×1 and then 1×k as
in ERFNet, beside the 2-D ones; two branches of a line each would be another reading, with the same
count. The options make the family: `line` and `squares` choose the kernels, `channels` and `layers`
the shape.

    stage     stride   channels        content
    VGG10     2..32    32 .. 512       see its file
    level 1   32       128             1×1, layers
    level 2   16       64              4×4 deconvolution plus the encoder's map by 1×1, layers
    level 3   8        64              the same
    level 4   4        32              the same
    head      4        32              1×1 to the classes
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.backbones.vgg import VGG10
from litescene.models.blocks import ConvNormAct, crop_to
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork


class NonBottleneck(nn.Module):
    """Parallel 1-D and 2-D kernels: f = relu(x + their sum), then relu(x + f + mix(f)).

    `line` is the length of the 1-D pair (0 for none), `squares` the sides of the 2-D kernels; all
    odd, else `ValueError`.
    """

    def __init__(self, channels: int, line: int, squares: Sequence[int]) -> None:
        super().__init__()
        sides = [*squares, line] if line else list(squares)
        if not sides or any(side < 1 or side % 2 == 0 for side in sides):
            raise ValueError(f"a layer needs kernels of odd sides, not {sides}")
        self.branches = nn.ModuleList(
            ConvNormAct(channels, channels, side, activation=None) for side in squares
        )
        if line:
            self.branches.append(
                nn.Sequential(
                    ConvNormAct(channels, channels, (line, 1)),
                    ConvNormAct(channels, channels, (1, line), activation=None),
                )
            )
        self.mix = ConvNormAct(channels, channels, 1, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the same shape."""
        fused = x
        for branch in self.branches:
            fused = fused + branch(x)
        fused = F.relu(fused)
        return F.relu(x + fused + self.mix(fused))


class Level(nn.Module):
    """Doubles the size, adds the encoder's map and applies layers."""

    def __init__(
        self, in_channels: int, skip_channels: int, out_channels: int, layers: nn.Sequential
    ) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.skip = ConvNormAct(skip_channels, out_channels, 1, activation=None)
        self.layers = layers

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """N×in×h×w and N×skip×H×W to N×out×H×W, where H is at most 2·h."""
        return self.layers(F.relu(crop_to(self.up(x), skip) + self.skip(skip)))


class DasNet(SegmentationNetwork):
    """VGG10 and the decoder; `channels` are those of the levels at strides 32, 16, 8, 4."""

    def __init__(
        self,
        num_classes: int,
        encoder: VGG10,
        channels: Sequence[int],
        layers: int,
        line: int,
        squares: Sequence[int],
    ) -> None:
        super().__init__()

        def stack(width: int) -> nn.Sequential:
            return nn.Sequential(*(NonBottleneck(width, line, squares) for _ in range(layers)))

        self.num_classes = num_classes
        self.encoder = encoder
        self.first = nn.Sequential(
            ConvNormAct(encoder.channels[-1], channels[0], 1), stack(channels[0])
        )
        skips = encoder.channels[-2:0:-1]
        self.levels = nn.ModuleList(
            Level(narrow, skip, wide, stack(wide))
            for (narrow, wide), skip in zip(pairwise(channels), skips, strict=True)
        )
        self.head = nn.Conv2d(channels[-1], num_classes, 1)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 4."""
        found = self.encoder(x)
        x = self.first(found[32].last)
        for stride, level in zip((16, 8, 4), self.levels, strict=True):
            x = level(x, found[stride].last)
        return {"logits": self.head(x)}


@register(
    "das_vgg10",
    task="segmentation",
    paper="Das et al., arXiv 1901.06580",
    year=2019,
    size=(360, 480),
    parameters={11: 6_696_715, 19: 6_696_979},
)
def das_vgg10(
    num_classes: int = 11,
    *,
    widths: tuple[int, ...] = (32, 64, 128, 256, 512),
    channels: tuple[int, ...] = (128, 64, 64, 32),
    layers: int = 1,
    line: int = 3,
    squares: tuple[int, ...] = (3, 5, 1),
) -> DasNet:
    """`widths` of the encoder at strides 2 to 32, `channels` of the decoder at 32 to 4."""
    return DasNet(num_classes, VGG10(widths), channels, layers, line, squares)
