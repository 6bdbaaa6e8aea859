"""A light U-Net that makes the frame between two frames, with AdaPool and AdaUnPool.

Papers: Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image
Segmentation", MICCAI 2015, arXiv 1505.04597 (the shape); Liu et al., "Video Frame Synthesis using
Deep Voxel Flow", ICCV 2017, arXiv 1702.02463 (what it ends with); Stergiou and Poppe, IEEE TIP 32
(2023), who interpolate frames to show what AdaPool and AdaUnPool keep. Their own network is not
described in what we could read, and no code was taken: this is a design of ours.

The network gives three maps: of every pixel p a motion d = (dx, dy) and a weight w in 0..1. As in
Liu et al. motion is the same before and after, so that the frame between is
(1 - w)·before(p + d) + w·after(p - d), bilinear; with maps of 0 it is the mean of both frames, near
which a training begins. (Maps that are colours, added to that mean, were tried first: after 400
steps they were as good as the mean alone.) What is learned is how frames differ, so the encoder
sees them around 0 and with a contrast near 1, and weights begin as He et al. (ICCV 2015) say.

Differences from U-Net: 16 to 64 planes instead of 64 to 1024; convolutions keep the size and have
no norm; leaky ReLU.

With `adaunpool` each AdaPool of the encoder keeps its tiles of 2×2 weights, one per plane, and the
decoder's AdaUnPool of the same level spreads its map by them: edges come back where the encoder had
them. The other three ways know nothing of the encoder but what the skip connection brings. Maps
that are pooled are not cut at 0, for the reason that `edsr_light` gives.

Sides are brought to multiples of 8 by repeating the last row and column, and cut again.

    stage     stride   planes    content
    encoder   1        16        2 conv 3×3 on both frames (6 planes); then pooled 2×2
    encoder   2        32        2 conv 3×3; pooled
    encoder   4        64        2 conv 3×3; pooled
    bottom    8        64        2 conv 3×3
    decoder   4        64        `upsampling.Doubling`, beside the encoder's map, 2 conv 3×3
    decoder   2        32        the same
    decoder   1        16        the same
    last      1        3         conv 3×3: motion in pixels, and w before its sigmoid

Trainable parameters and multiply-accumulates (millions, frames of 448×256) of the four forms, with
AdaPool, whose β is one parameter per plane; with other poolings there are 112 parameters less:

    way             parameters   MACs
    bilinear        352,307      4,046
    transposed      398,899      4,303
    pixel_shuffle   319,363      3,863
    adaunpool       352,307      4,046
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from litescene.core.errors import OperatorError
from litescene.models.blocks import crop_to, pad_to_multiple
from litescene.models.registry import register
from litescene.models.restoration.network import RestorationNetwork
from litescene.models.restoration.upsampling import (
    Doubling,
    Upsampling,
    Weights,
    ada_pool_by,
    conv3,
)
from litescene.ops import warp
from litescene.ops.pooling import AdaPool

WIDTHS = (16, 32, 64)
BOTTOM = 64
SLOPE = 0.1
"""Of the leaky ReLU below 0."""
Pooling = Literal["adapool", "max", "average"]


class Pair(nn.Sequential):
    """Two 3×3 convolutions, each with a leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            conv3(in_channels, out_channels),
            nn.LeakyReLU(SLOPE),
            conv3(out_channels, out_channels),
            nn.LeakyReLU(SLOPE),
        )


def _spread(layer: nn.Conv2d | nn.ConvTranspose2d) -> float:
    """He et al., equation 15, with the number of values that a value of the output is made of."""
    taps = layer.in_channels * math.prod(layer.kernel_size)
    if isinstance(layer, nn.ConvTranspose2d):
        taps //= math.prod(layer.stride)
    return math.sqrt(2 / ((1 + SLOPE**2) * taps))


class Halving(nn.Module):
    """2×2 pooling; with `keeps` also the weights of AdaPool, which costs its fast kernel."""

    def __init__(self, pooling: Pooling, channels: int, keeps: bool) -> None:
        super().__init__()
        if pooling not in get_args(Pooling):
            raise OperatorError(
                f"pooling is one of {', '.join(get_args(Pooling))}, not '{pooling}'"
            )
        self.keeps = keeps
        self.ada = AdaPool(2, channels=channels) if pooling == "adapool" else None
        plain = {"max": nn.MaxPool2d(2), "average": nn.AvgPool2d(2)}
        self.pool: nn.Module = plain.get(pooling, nn.Identity())

    def forward(self, x: Tensor) -> tuple[Tensor, Weights | None]:
        """N×C×2h×2w to N×C×h×w."""
        if self.ada is None:
            return self.pool(x), None
        return ada_pool_by(self.ada, x) if self.keeps else (self.ada(x), None)


class UNetInterpolation(RestorationNetwork):
    """Two frames to the one between them."""

    pictures = 2
    divisor = 2 ** len(WIDTHS)

    def __init__(self, planes: int, upsampling: Upsampling, pooling: Pooling) -> None:
        super().__init__()
        if upsampling == "adaunpool" and pooling != "adapool":
            raise OperatorError(
                f"AdaUnPool goes back by AdaPool's weights; pooling = '{pooling}' has none"
            )
        inputs = (2 * planes, *WIDTHS)
        self.encoder = nn.ModuleList([Pair(*ends) for ends in zip(inputs, WIDTHS, strict=False)])
        keeps = upsampling == "adaunpool"
        self.pools = nn.ModuleList([Halving(pooling, width, keeps) for width in WIDTHS])
        self.bottom = Pair(WIDTHS[-1], BOTTOM)
        below = (*WIDTHS[1:], BOTTOM)
        self.up = nn.ModuleList(
            [Doubling(upsampling, *ends) for ends in zip(below, WIDTHS, strict=True)]
        )
        self.decoder = nn.ModuleList([Pair(2 * width, width) for width in WIDTHS])
        self.last = conv3(WIDTHS[0], 3)
        self._begin()

    def _begin(self) -> None:
        """Weights that keep the size of the maps; the last ones smaller, for little motion."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=_spread(module))
                assert module.bias is not None
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def estimate(self, x: Tensor) -> Tensor:
        """N×6×H×W, the earlier frame first, to N×3×H×W."""
        padded = pad_to_multiple(x, self.divisor)
        y = 4 * (padded - 0.5)
        kept: list[tuple[Tensor, Weights | None]] = []
        for pair, pool in zip(self.encoder, self.pools, strict=True):
            skipped = pair(y)
            y, weights = pool(skipped)
            kept.append((skipped, weights))
        y = self.bottom(y)
        for up, pair in zip(reversed(self.up), reversed(self.decoder), strict=True):
            skipped, weights = kept.pop()
            y = pair(torch.cat([up(y, weights), skipped], 1))
        before, after = padded.chunk(2, 1)
        motion, later = self.last(y).split((2, 1), 1)
        weight = torch.sigmoid(later)
        between = (1 - weight) * warp(before, motion) + weight * warp(after, -motion)
        return crop_to(between, x)


@register(
    "unet_interpolation",
    task="restoration",
    paper="U-Net, arXiv 1505.04597, in a light form",
    year=2015,
    size=(256, 448),
    parameters={3: 352_307},
)
def unet_interpolation(
    num_classes: int = 3,
    *,
    upsampling: Upsampling = "adaunpool",
    pooling: Pooling = "adapool",
) -> UNetInterpolation:
    """The widths of the table above."""
    return UNetInterpolation(num_classes, upsampling, pooling)
