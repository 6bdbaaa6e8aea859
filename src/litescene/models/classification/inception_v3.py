"""Inception-v3.

Paper: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
Official code: tensorflow/models, research/slim (Apache-2.0). Built from its facts; no code was
taken.

Differences: convolutions begin as He et al. have it, not from a truncated normal distribution.
Without padding its stem leaves nothing of pictures below 75×75, the smallest that it works on as
published: the last row and column of smaller ones are repeated up to that. The training head was
made for 17×17 places (299×299 pictures); smaller maps are enlarged to that for it.

    stage      places at 299   channels   content
    stem       149, 147        32, 64     3×3 stride 2, 3×3, 3×3 with padding
    pool       73              64         3×3 maximum stride 2
    stem       73, 71          80, 192    1×1, 3×3
    pool       35              192        3×3 maximum stride 2
    A          35              256, 288   1×1 | 5×5 | 3×3 twice | 3×3 average; 3 times
    reduction  17              768        3×3 stride 2 | 3×3 twice | 3×3 maximum
    C          17              768        1×1 | 7×7 | 7×7 twice, as 1×7 and 7×1 | average; 4 times
    reduction  8               1280       3×3 stride 2 | 7×7, 3×3 stride 2 | 3×3 maximum
    E          8               2048       1×1 | 1×3, 3×1 side by side, twice | average; 2 times
    head       -               classes    mean over all places, dropout, linear
    training   17              classes    5×5 average stride 3, 1×1, 5×5, mean, linear
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.blocks import ConvNormAct, pad_to_least
from litescene.models.classification.network import ClassificationNetwork, draw_weights
from litescene.models.registry import register

SMALLEST = 75
"""Least side of a picture of which the unpadded layers leave something."""
AUXILIARY_SIDE = 17

conv = partial(ConvNormAct, eps=1e-3)
valid = partial(conv, padding=0)


class Branches(nn.ModuleList):
    """Runs each branch on the same map and puts their channels side by side."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__(branches)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the branches' channels."""
        return torch.cat([branch(x) for branch in self], 1)


def _averaged(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(in_channels, out_channels, 1))


def block_a(channels: int, averaged: int) -> Branches:
    """Figure 5: to 224 + `averaged` channels."""
    return Branches(
        conv(channels, 64, 1),
        nn.Sequential(conv(channels, 48, 1), conv(48, 64, 5)),
        nn.Sequential(conv(channels, 64, 1), conv(64, 96), conv(96, 96)),
        _averaged(channels, averaged),
    )


def block_c(channels: int, inner: int) -> Branches:
    """Figure 6 with n = 7: to 768 channels."""
    return Branches(
        conv(channels, 192, 1),
        nn.Sequential(
            conv(channels, inner, 1), conv(inner, inner, (1, 7)), conv(inner, 192, (7, 1))
        ),
        nn.Sequential(
            conv(channels, inner, 1),
            conv(inner, inner, (7, 1)),
            conv(inner, inner, (1, 7)),
            conv(inner, inner, (7, 1)),
            conv(inner, 192, (1, 7)),
        ),
        _averaged(channels, 192),
    )


def _beside() -> Branches:
    return Branches(conv(384, 384, (1, 3)), conv(384, 384, (3, 1)))


def block_e(channels: int) -> Branches:
    """Figure 7: to 2048 channels."""
    return Branches(
        conv(channels, 320, 1),
        nn.Sequential(conv(channels, 384, 1), _beside()),
        nn.Sequential(conv(channels, 448, 1), conv(448, 384), _beside()),
        _averaged(channels, 192),
    )


def reduction_a(channels: int) -> Branches:
    """Figure 10: half the size, `channels` + 480 of them."""
    return Branches(
        valid(channels, 384, 3, 2),
        nn.Sequential(conv(channels, 64, 1), conv(64, 96), valid(96, 96, 3, 2)),
        nn.MaxPool2d(3, 2),
    )


def reduction_c(channels: int) -> Branches:
    """Half the size once more, `channels` + 512 of them."""
    return Branches(
        nn.Sequential(conv(channels, 192, 1), valid(192, 320, 3, 2)),
        nn.Sequential(
            conv(channels, 192, 1),
            conv(192, 192, (1, 7)),
            conv(192, 192, (7, 1)),
            valid(192, 192, 3, 2),
        ),
        nn.MaxPool2d(3, 2),
    )


def _stem() -> nn.Sequential:
    return nn.Sequential(
        valid(3, 32, 3, 2),
        valid(32, 32),
        conv(32, 64),
        nn.MaxPool2d(3, 2),
        valid(64, 80, 1),
        valid(80, 192),
        nn.MaxPool2d(3, 2),
    )


class AuxiliaryHead(nn.Module):
    """The training head on the last map of 17×17 places; section 4.

    Its average is no layer: it stays what it is where a network's poolings are replaced.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, 128, 1), valid(128, 768, 5))
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to logits N×classes."""
        height, width = x.shape[-2:]
        if min(height, width) < AUXILIARY_SIDE:
            size = (max(height, AUXILIARY_SIDE), max(width, AUXILIARY_SIDE))
            x = F.interpolate(x, size, mode="bilinear", align_corners=False)
        logits: Tensor = self.classifier(self.body(F.avg_pool2d(x, 5, 3)).mean((2, 3)))
        return logits


class InceptionV3(ClassificationNetwork):
    """Inception-v3, with the training head unless `training_heads` is off."""

    def __init__(self, num_classes: int, training_heads: bool = True) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = nn.Sequential(
            _stem(),
            block_a(192, 32),
            block_a(256, 64),
            block_a(288, 64),
            reduction_a(288),
            block_c(768, 128),
            block_c(768, 160),
            block_c(768, 160),
            block_c(768, 192),
        )
        self.last = nn.Sequential(reduction_c(768), block_e(1280), block_e(2048))
        self.auxiliary = AuxiliaryHead(768, num_classes) if training_heads else None
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(2048, num_classes))
        draw_weights(self)

    def middle(self, x: Tensor) -> Tensor:
        """Normalised N×3×H×W to N×768×h×w at stride 16."""
        places: Tensor = self.encoder(pad_to_least(x, SMALLEST))
        return places

    def features(self, x: Tensor) -> Tensor:
        """Normalised N×3×H×W to N×2048×h×w at stride 32."""
        last: Tensor = self.last(self.middle(x))
        return last

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """Logits N×classes; in training a dict of `logits` and, with training heads, `aux_17`."""
        if not self.training or self.auxiliary is None:
            return super().forward(x)
        middle = self.middle(x)
        logits = self.pooled_logits(self.last(middle))
        return {"logits": logits, "aux_17": self.auxiliary(middle)}


@register(
    "inception_v3",
    task="classification",
    paper="Inception-v3, CVPR 2016",
    year=2016,
    size=(299, 299),
    parameters={1000: 23_834_568},
    training_parameters={1000: 27_161_264},
)
def inception_v3(num_classes: int = 1000, training_heads: bool = True) -> InceptionV3:
    """Inception-v3."""
    return InceptionV3(num_classes, training_heads)
