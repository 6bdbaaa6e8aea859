"""Fast-SCNN.

Paper: Poudel, Liwicki and Cipolla, "Fast-SCNN: Fast Semantic Segmentation Network", BMVC 2019,
arXiv 1902.04502. There is no official code; the counts and details are those of the best known
port, Tramac/Fast-SCNN-pytorch (Apache-2.0). Built from its facts; no code was taken.

Differences: the paper's fusion has a depthwise convolution of dilation 4, the port of dilation 1;
the paper trains with two more heads, the port with one on the detail map; the paper states 1.11 M
parameters, the port has 1.137 M at 11 classes. We take the port's reading, since only that one can
be held against an implementation. Its fusion enlarges the context four times, which fits the
detail map at few sizes only; ours resizes to the detail map, the same wherever the port runs.

    stage     stride   channels   content
    detail    2        32         conv 3×3 s2 without padding
    detail    4        48         separable s2
    detail    8        64         separable s2
    context   16       64         3 inverted residuals (t = 6), the first with stride 2
    context   32       96         3, the first with stride 2
    context   32       128        3; then pooled to 1, 2, 3, 6 bins, concatenated, 1×1
    fusion    8        128        context resized, depthwise 3×3, 1×1; plus detail 1×1
    head      8        128        2 separable, 1×1 to the classes; in training also on the detail
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.blocks import (
    ConvNormAct,
    InvertedResidual,
    SeparableConv,
    adaptive_average,
    resize_to,
)
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork


class PyramidPooling(nn.Module):
    """The map and its averages over 1, 2, 3 and 6 bins, concatenated and mixed by 1×1."""

    bins = (1, 2, 3, 6)

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        quarter = in_channels // len(self.bins)
        self.branches = nn.ModuleList([ConvNormAct(in_channels, quarter, 1) for _ in self.bins])
        self.out = ConvNormAct(2 * in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×h×w."""
        maps = [x]
        for bins, branch in zip(self.bins, self.branches, strict=True):
            maps.append(resize_to(branch(adaptive_average(x, bins)), x, align_corners=True))
        return self.out(torch.cat(maps, 1))


class Fusion(nn.Module):
    """Section 3.2.3: the sum of the detail map and the resized context map, then ReLU."""

    def __init__(self, detail: int, context: int, out_channels: int) -> None:
        super().__init__()
        self.context = nn.Sequential(
            ConvNormAct(context, context, groups=context),
            ConvNormAct(context, out_channels, 1, bias=True, activation=None),
        )
        self.detail = ConvNormAct(detail, out_channels, 1, bias=True, activation=None)

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """N×detail×h×w and N×context×h'×w' to N×out×h×w."""
        y = self.context(resize_to(context, detail, align_corners=True))
        return torch.relu(y + self.detail(detail))


class Classifier(nn.Sequential):
    """Two separable convolutions, dropout, 1×1 to the classes."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(
            SeparableConv(channels, channels),
            SeparableConv(channels, channels),
            nn.Dropout(0.1),
            nn.Conv2d(channels, num_classes, 1),
        )


def residuals(
    in_channels: int, out_channels: int, stride: int, count: int, expansion: int = 6
) -> list[nn.Module]:
    """`count` inverted residuals, of which the first changes the stride and the width."""
    rest = [
        InvertedResidual(out_channels, out_channels, expansion=expansion) for _ in range(count - 1)
    ]
    return [InvertedResidual(in_channels, out_channels, stride, expansion), *rest]


class FastSCNN(SegmentationNetwork):
    """Fast-SCNN; the head's logits are resized with aligned corners."""

    align_corners = True

    def __init__(self, num_classes: int, training_heads: bool = True) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.detail = nn.Sequential(
            ConvNormAct(3, 32, 3, 2, padding=0), SeparableConv(32, 48, 2), SeparableConv(48, 64, 2)
        )
        self.context = nn.Sequential(
            *residuals(64, 64, 2, 3),
            *residuals(64, 96, 2, 3),
            *residuals(96, 128, 1, 3),
            PyramidPooling(128, 128),
        )
        self.fusion = Fusion(64, 128, 128)
        self.head = Classifier(128, num_classes)
        self.training_heads = training_heads
        if training_heads:
            self.detail_head = nn.Sequential(
                ConvNormAct(64, 32), nn.Dropout(0.1), nn.Conv2d(32, num_classes, 1)
            )

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8; in training also `aux_x8`, of the detail map."""
        detail = self.detail(x)
        found = {"logits": self.head(self.fusion(detail, self.context(detail)))}
        if self.training and self.training_heads:
            found["aux_x8"] = self.detail_head(detail)
        return found


_PAPER = "Fast-SCNN, arXiv 1902.04502"


@register(
    "fast_scnn",
    task="segmentation",
    paper=_PAPER,
    year=2019,
    size=(360, 480),
    parameters={11: 1_137_019, 19: 1_138_051},
    training_parameters={11: 1_155_878, 19: 1_157_174},
    published={"cityscapes val mIoU": 68.6, "cityscapes test mIoU": 68.0},
)
def fast_scnn(num_classes: int = 11, *, training_heads: bool = True) -> FastSCNN:
    """Fast-SCNN in the widths of the paper."""
    return FastSCNN(num_classes, training_heads)
