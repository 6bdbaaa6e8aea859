"""Four ways to twice the size, so that one network can be compared with itself.

| way | layers | weights, and multiply-accumulates per pixel |
|---|---|---|
| `bilinear` | 3×3 convolution, bilinear enlargement (half-pixel centres) | 9·in·out |
| `transposed` | transposed convolution 4×4, stride 2 | 16·in·out |
| `pixel_shuffle` | 1×1 convolution to four times the planes, rearranged | 4·in·out |
| `adaunpool` | 3×3 convolution, AdaUnPool by the weights of an earlier AdaPool | 9·in·out |

A sub-pixel convolution (Shi et al., CVPR 2016) usually has a 3×3 kernel: it would have four times
the weights of the others. A transposed convolution of 3×3 would reach some pixels once and others
four times.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core.errors import OperatorError
from litescene.ops import DenseConv2d
from litescene.ops.pooling import AdaPool, AdaUnPool, Masks

Upsampling = Literal["bilinear", "transposed", "pixel_shuffle", "adaunpool"]
UPSAMPLINGS: tuple[Upsampling, ...] = get_args(Upsampling)


class Weights(NamedTuple):
    """What an AdaPool pooled by: `AdaUnPool` goes back with it."""

    masks: Masks
    beta: Tensor


def ada_pool_by(pool: AdaPool, x: Tensor) -> tuple[Tensor, Weights]:
    """N×C×2h×2w to N×C×h×w, and the weights."""
    y, masks, beta = pool.with_masks(x)
    return y, Weights(masks, beta)


def conv3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """3×3 convolution that keeps the size; no norm, as in EDSR."""
    return DenseConv2d(in_channels, out_channels, 3, padding=1)


class Doubling(nn.Module):
    """N×in×h×w to N×out×2h×2w; of the four ways only `adaunpool` takes weights, and needs them."""

    def __init__(self, way: Upsampling, in_channels: int, out_channels: int) -> None:
        super().__init__()
        if way not in UPSAMPLINGS:
            raise OperatorError(f"upsampling is one of {', '.join(UPSAMPLINGS)}, not '{way}'")
        self.way = way
        if way == "transposed":
            self.conv: nn.Module = nn.ConvTranspose2d(in_channels, out_channels, 4, 2, 1)
        elif way == "pixel_shuffle":
            self.conv = nn.Conv2d(in_channels, 4 * out_channels, 1)
        else:
            self.conv = conv3(in_channels, out_channels)
        self.unpool = AdaUnPool("mean")

    def forward(self, x: Tensor, weights: Weights | None = None) -> Tensor:
        """`weights` are those of a pooling of N×out×2h×2w."""
        y: Tensor = self.conv(x)
        if self.way == "bilinear":
            return F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        if self.way == "pixel_shuffle":
            return F.pixel_shuffle(y, 2)
        if self.way == "transposed":
            return y
        if weights is None:
            raise OperatorError("AdaUnPool needs the weights of the AdaPool that it brings back")
        unpooled: Tensor = self.unpool(y, weights.masks, weights.beta)
        return unpooled
