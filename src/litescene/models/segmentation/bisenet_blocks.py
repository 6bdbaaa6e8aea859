"""What BiSeNet and the networks after it share: attention refinement, feature fusion, heads.

Paper: Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation",
ECCV 2018, arXiv 1808.00897, sections 3.1 and 3.2. STDC-Seg and ShelfNet took them over.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.blocks import Activation, ConvNormAct, relu
from litescene.ops import DenseConv2d

Resize = Callable[[Tensor, Tensor], Tensor]
"""Brings its first N×C×h×w to the height and width of its second."""


def nearest_to(x: Tensor, like: Tensor) -> Tensor:
    """Nearest-neighbour resize of `x` to the height and width of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


class AttentionRefinement(nn.Module):
    """ARM: a 3×3 convolution, its channels weighted by what its mean over the picture says."""

    def __init__(
        self, in_channels: int, out_channels: int, *, activation: Activation = relu
    ) -> None:
        super().__init__()
        self.conv = ConvNormAct(in_channels, out_channels, activation=activation)
        self.attention = ConvNormAct(out_channels, out_channels, 1, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×h×w."""
        x = self.conv(x)
        return x * torch.sigmoid(self.attention(x.mean((2, 3), keepdim=True)))


class FeatureFusion(nn.Module):
    """FFM: 1×1 over both maps, then f + f·weight with a weight per channel from f's mean.

    `reduction` divides the width between the two 1×1 convolutions of the weight.
    """

    def __init__(self, in_channels: int, out_channels: int, reduction: int) -> None:
        super().__init__()
        middle = out_channels // reduction
        self.conv = ConvNormAct(in_channels, out_channels, 1)
        self.weight = nn.Sequential(
            nn.Conv2d(out_channels, middle, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(middle, out_channels, 1, bias=False),
        )

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        """Two maps of `in_channels` together to N×out×h×w."""
        x = self.conv(torch.cat([detail, context], 1))
        return x + x * torch.sigmoid(self.weight(x.mean((2, 3), keepdim=True)))


class ContextFusion(nn.Module):
    """Brings the encoder's x32, x16 and the mean over the picture to stride 8, from the top down.

    `resize` is bilinear with `align_corners` in BiSeNet, nearest in STDC-Seg.
    """

    def __init__(self, x16: int, x32: int, width: int, resize: Resize) -> None:
        super().__init__()
        self.mean = ConvNormAct(x32, width, 1)
        self.refine32 = AttentionRefinement(x32, width)
        self.up16 = ConvNormAct(width, width)
        self.refine16 = AttentionRefinement(x16, width)
        self.up8 = ConvNormAct(width, width)
        self.resize = resize

    def forward(self, x8: Tensor, x16: Tensor, x32: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's maps to the context N×width at stride 8 and at stride 16."""
        mean = self.mean(x32.mean((2, 3), keepdim=True))
        context16 = self.up16(self.resize(self.refine32(x32) + mean, x16))
        context8 = self.up8(self.resize(self.refine16(x16) + context16, x8))
        return context8, context16


class Head(nn.Sequential):
    """3×3 convolution and classifier, whose kernel and bias the codes choose differently."""

    def __init__(
        self,
        in_channels: int,
        middle: int,
        num_classes: int,
        *,
        kernel: int = 1,
        bias: bool = False,
        activation: Activation = relu,
    ) -> None:
        super().__init__(
            ConvNormAct(in_channels, middle, activation=activation),
            DenseConv2d(middle, num_classes, kernel, padding=kernel // 2, bias=bias),
        )
