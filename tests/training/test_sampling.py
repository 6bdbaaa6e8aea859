from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from litescene.training.losses.sampling import PixelGrid, logits_on_grid


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [(45, 60), (97, 131), (360, 480)])
@pytest.mark.parametrize("grid", [PixelGrid(), PixelGrid(2, 1, 0), PixelGrid(4, 1, 3)])
def test_the_grid_is_a_part_of_torchs_own_interpolation(
    align_corners: bool, size: tuple[int, int], grid: PixelGrid
) -> None:
    logits = torch.randn(2, 5, 45, 60)
    whole = F.interpolate(logits, size, mode="bilinear", align_corners=align_corners)
    given = logits_on_grid(logits, size, grid, align_corners=align_corners)
    torch.testing.assert_close(given, grid.of(whole), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_every_second_pixel_of_a_grid_is_every_fourth_of_the_picture(row: int, column: int) -> None:
    picture = torch.arange(8 * 12).view(8, 12)
    grid = PixelGrid(2, 1, 0)
    coarser = grid.coarser(2, row, column)
    assert torch.equal(coarser.of(picture), grid.of(picture)[row::2, column::2])


@pytest.mark.parametrize("grid", [PixelGrid(), PixelGrid(2, 1, 0), PixelGrid(4, 1, 3)])
def test_gradients_reach_just_the_pixels_of_the_grid_in_the_maps_own_precision(
    grid: PixelGrid,
) -> None:
    maps = torch.randn(2, 3, 11, 14).bfloat16().contiguous(memory_format=torch.channels_last)
    maps.requires_grad_()
    taken = logits_on_grid(maps, (11, 14), grid, align_corners=False)
    assert taken.dtype == torch.float32
    g = torch.randn_like(taken).bfloat16().float()
    taken.backward(g)
    expected = torch.zeros(2, 3, 11, 14, dtype=torch.float64)
    expected[:, :, grid.row :: grid.stride, grid.column :: grid.stride] = g.double()
    assert maps.grad is not None
    assert maps.grad.dtype == torch.bfloat16
    assert maps.grad.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(maps.grad.double(), expected)
