"""Logits at a regular grid of the picture's pixels, without computing those of all pixels.

A loss on every second pixel of both directions costs a quarter, and on the CPU the upsampling and
the softmax of all pixels cost more than the network: a step of PP-LiteSeg-T takes half the time.
The grid's phase changes from step to step, so over time every pixel counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PixelGrid:
    """Pixels `row`, `row + stride`, ... and `column`, `column + stride`, ... of a picture."""

    stride: int = 1
    row: int = 0
    column: int = 0

    def of(self, maps: Tensor) -> Tensor:
        """The grid's part of maps ...×H×W."""
        return maps[..., self.row :: self.stride, self.column :: self.stride]

    def coarser(self, factor: int, row: int = 0, column: int = 0) -> PixelGrid:
        """Every `factor`-th pixel of this grid, from its `row`-th row and `column`-th column on."""
        first_row, first_column = self.row + row * self.stride, self.column + column * self.stride
        return PixelGrid(self.stride * factor, first_row, first_column)


class _OnGrid(torch.autograd.Function):
    """`grid.of` as float32, whose gradient keeps the maps' own precision and memory layout.

    Autograd would make it by way of several float32 maps of all pixels, which for networks with a
    head at full resolution took a fifth of a training step.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, grid: PixelGrid) -> Tensor:
        ctx.grid, ctx.like = grid, maps
        return grid.of(maps).float().contiguous()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        whole = torch.zeros_like(ctx.like)
        ctx.grid.of(whole).copy_(grads[0])
        return whole, None


def interpolation_matrix(
    source: int, target: int, first: int, stride: int, *, align_corners: bool
) -> Tensor:
    """Weights m×source (float32) of bilinear interpolation from `source` to `target` positions.

    Row i belongs to output position first + i·stride. As PyTorch's `interpolate`.
    """
    positions = torch.arange(first, target, stride, dtype=torch.float64)
    if align_corners:
        positions = positions * ((source - 1) / max(target - 1, 1))
    else:
        positions = ((positions + 0.5) * (source / target) - 0.5).clamp(min=0)
    below = positions.long().clamp(max=source - 1)
    above = (below + 1).clamp(max=source - 1)
    share = (positions - below)[:, None]
    one = torch.nn.functional.one_hot
    return ((1 - share) * one(below, source) + share * one(above, source)).float()


def logits_on_grid(
    logits: Tensor, size: tuple[int, int], grid: PixelGrid, *, align_corners: bool
) -> Tensor:
    """Float32 logits of the grid's pixels in a picture of `size`, from n×C×h×w logits.

    Equal to interpolating all pixels bilinearly and taking `grid.of` them.
    """
    height, width = logits.shape[-2:]
    if (height, width) == size:
        on_grid: Tensor = _OnGrid.apply(logits, grid)  # type: ignore[no-untyped-call]
        return on_grid
    logits = logits.float().contiguous()
    rows = interpolation_matrix(
        height, size[0], grid.row, grid.stride, align_corners=align_corners
    ).to(logits.device)
    columns = interpolation_matrix(
        width, size[1], grid.column, grid.stride, align_corners=align_corners
    ).to(logits.device)
    with torch.autocast(logits.device.type, enabled=False):
        return rows @ logits @ columns.T
