"""EDSR in a light form, with four ways of up-sampling: super-resolution twice and four times.

Papers: Lim, Son, Kim, Nah and Lee, "Enhanced Deep Residual Networks for Single Image
Super-Resolution", CVPRW 2017, arXiv 1707.02921 (residual blocks without norms, ×4 as two times
×2); Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network", CVPR 2016 (the sub-pixel convolution); Stergiou and Poppe, IEEE TIP
32 (2023) (AdaPool and AdaUnPool). The official EDSR code is MIT; no code was taken.

Differences from EDSR: 4 blocks of 32 planes instead of 16 of 64 or more; no mean is subtracted;
and the network adds to the bilinear enlargement of its input (as Kim et al., VDSR, CVPR 2016, do),
so that a short training begins at that enlargement.

AdaUnPool needs a weight for every pixel of the target's size, and a small picture has none to give.
So with `adaunpool` the first layers see the enlarged picture: they work at the target's size,
AdaPool brings their map down to the size of the input, where the body works as in the other three
forms, and its tiles of 2×2 weights, one per plane, are what AdaUnPool spreads the body's result by.
The weights say where in a tile the enlarged picture has its edges; that is all that is known of the
target before the body has worked. The other three forms have the same first layers at the input's
size and no pooling. What is pooled is not rectified: in a window of zeros and one value of the last
digits, Dice's weights would hang on those digits, and differ between engines.

    stage   size (×2; ×4)       planes  content
    first   f with adaunpool,   16      conv 3×3 (×4: two, of half the size each), AdaPool 2×2
            else 1                      after each with adaunpool, else nothing; ReLU
    widen   1                   32      conv 3×3
    body    1                   32      4 residual blocks (conv, ReLU, conv), conv; plus its input
    up      2 (×4: and 4)       16      `upsampling.Doubling`, ReLU
    last    f                   3       conv 3×3; plus the bilinear enlargement of the input

Trainable parameters and multiply-accumulates (millions, input of 320×180) of the four forms:

    way             ×2 parameters   ×2 MACs   ×4 parameters   ×4 MACs
    bilinear        93,379          5,433     98,019          6,395
    transposed      96,963          5,639     103,395         7,014
    pixel_shuffle   90,867          5,285     94,275          5,953
    adaunpool       93,395          5,507     98,051          7,166
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.registry import register
from litescene.models.restoration.network import RestorationNetwork
from litescene.models.restoration.upsampling import (
    Doubling,
    Upsampling,
    Weights,
    ada_pool_by,
    conv3,
)
from litescene.ops.pooling import AdaPool

WIDTH, NARROW = 32, 16


class ResidualBlock(nn.Module):
    """Lim et al., figure 2c: conv, ReLU, conv; plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv3(channels, channels), nn.ReLU(), conv3(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the same shape."""
        y: Tensor = self.body(x)
        return x + y


class EDSRLight(RestorationNetwork):
    """The network for 2 or 4 times the size; any size from 64, odd ones too."""

    def __init__(self, planes: int, steps: int, upsampling: Upsampling, blocks: int) -> None:
        super().__init__()
        self.factor = 2**steps
        self.first = nn.ModuleList(
            [conv3(planes if i == 0 else NARROW, NARROW) for i in range(steps)]
        )
        pools = steps if upsampling == "adaunpool" else 0
        self.pools = nn.ModuleList([AdaPool(2, channels=NARROW) for _ in range(pools)])
        self.widen = conv3(NARROW, WIDTH)
        residuals = [ResidualBlock(WIDTH) for _ in range(blocks)]
        self.body = nn.Sequential(*residuals, conv3(WIDTH, WIDTH))
        self.up = nn.ModuleList(
            [Doubling(upsampling, WIDTH if i == 0 else NARROW, NARROW) for i in range(steps)]
        )
        self.last = conv3(NARROW, planes)

    def _first_maps(self, x: Tensor) -> tuple[Tensor, list[Weights]]:
        """The map at the input's size, and what was pooled by on the way, the largest first."""
        kept: list[Weights] = []
        for index, layer in enumerate(self.first):
            x = layer(x)
            if len(self.pools):
                pool = self.pools[index]
                assert isinstance(pool, AdaPool)
                x, weights = ada_pool_by(pool, x)
                kept.append(weights)
            x = torch.relu(x)
        return x, kept

    def estimate(self, x: Tensor) -> Tensor:
        """N×3×H×W to N×3×fH×fW."""
        enlarged = F.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)
        y, kept = self._first_maps(enlarged if len(self.pools) else x)
        y = self.widen(y)
        y = y + self.body(y)
        for up in self.up:
            y = torch.relu(up(y, kept.pop() if kept else None))
        added: Tensor = self.last(y)
        return enlarged + added


_PAPER = "EDSR, arXiv 1707.02921, in a light form"


@register(
    "edsr_light_x2",
    task="restoration",
    paper=_PAPER,
    year=2017,
    size=(180, 320),
    parameters={3: 90_867},
)
def edsr_light_x2(
    num_classes: int = 3, *, upsampling: Upsampling = "pixel_shuffle", blocks: int = 4
) -> EDSRLight:
    """Twice the size."""
    return EDSRLight(num_classes, 1, upsampling, blocks)


@register(
    "edsr_light_x4",
    task="restoration",
    paper=_PAPER,
    year=2017,
    size=(180, 320),
    parameters={3: 94_275},
)
def edsr_light_x4(
    num_classes: int = 3, *, upsampling: Upsampling = "pixel_shuffle", blocks: int = 4
) -> EDSRLight:
    """Four times the size."""
    return EDSRLight(num_classes, 2, upsampling, blocks)
