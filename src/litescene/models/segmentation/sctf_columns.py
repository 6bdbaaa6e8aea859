"""The columns of `sctf`: a coarse one for whole pictures, fine ones for crops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.backbones.resnet import BasicBlock
from litescene.models.blocks import ConvNormAct, resize_to


class CoarseColumn(nn.Module):
    """Residual network with a top-down sum."""

    widths = (32, 64, 128, 256)

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        first = self.widths[0]
        self.stem = nn.Sequential(ConvNormAct(3, first, 3, 2), ConvNormAct(first, first, 3, 2))
        self.stages = nn.ModuleList()
        channels = first
        for i, width in enumerate(self.widths):
            blocks = BasicBlock(channels, width, 2 if i else 1), BasicBlock(width, width, 1)
            self.stages.append(nn.Sequential(*blocks))
            channels = width
        self.lateral = nn.ModuleList([ConvNormAct(width, out_channels, 1) for width in self.widths])

    def forward(self, x: Tensor) -> Tensor:
        """N×3×H×W to N×out×⌈H/4⌉×⌈W/4⌉."""
        x = self.stem(x)
        maps = []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            x = stage(x)
            maps.append(lateral(x))
        y = maps.pop()
        while maps:
            y = maps[-1] + resize_to(y, maps.pop())
        return y


def _unpadded(in_channels: int, out_channels: int, stride: int = 1) -> ConvNormAct:
    return ConvNormAct(in_channels, out_channels, 3, stride, padding=0)


class ResidualUnit(nn.Module):
    """Unpadded 3×3 and 1×1 convolution and the middle of their input."""

    reach = 1

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _unpadded(channels, channels)
        self.second = ConvNormAct(channels, channels, 1, activation=None)
        self.out = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """K×C×h×w to K×C×(h - 2)×(w - 2)."""
        return self.out(self.second(self.first(x)) + middle(x, self.reach))


def middle(x: Tensor, margin: int) -> Tensor:
    """`x` without `margin` cells on each side."""
    return x[..., margin:-margin, margin:-margin] if margin else x


class FineColumn(nn.Module):
    """Crops of the picture to class scores at stride 4, without any padding.

    `reach` is how many cells of stride 4 a score sees around itself. A crop of
    (4m + 4)×(4m + 4) pixels gives (m - 2·reach)×(m - 2·reach) scores.
    """

    reach: int

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Sequential(_unpadded(3, 32, 2), _unpadded(32, width, 2))

    def forward(self, picture: Tensor, context: Tensor | None) -> Tensor:
        """Crops and, where the column is connected to the coarse one, m×m maps from there."""
        raise NotImplementedError


class ResidualFine(FineColumn):
    """Fine column of SCTF: residual units."""

    def __init__(self, num_classes: int, width: int = 128, count: int = 2) -> None:
        super().__init__(width)
        self.reach = count * ResidualUnit.reach
        self.units = nn.Sequential(*[ResidualUnit(width) for _ in range(count)])
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, picture: Tensor, context: Tensor | None) -> Tensor:
        """K×3×(4m + 4)×(4m + 4) to K×classes×(m - 2·reach)×(m - 2·reach)."""
        return self.head(self.units(self.stem(picture)))


class ConnectedFine(FineColumn):
    """Fine column of ISCTF: plain layers, all of which the classifier sees."""

    def __init__(self, num_classes: int, width: int = 128, count: int = 2) -> None:
        super().__init__(width)
        self.reach = count
        self.layers = nn.ModuleList([_unpadded(width, width) for _ in range(count)])
        self.head = nn.Conv2d((count + 1) * width, num_classes, 1)

    def forward(self, picture: Tensor, context: Tensor | None) -> Tensor:
        """K×3×(4m + 4)×(4m + 4) and K×width×m×m to K×classes×(m - 2·reach)×(m - 2·reach)."""
        x = self.stem(picture)
        x = x if context is None else x + context
        seen = [middle(x, self.reach)]
        for i, layer in enumerate(self.layers, start=1):
            x = layer(x)
            seen.append(middle(x, self.reach - i))
        return self.head(torch.cat(seen, 1))
