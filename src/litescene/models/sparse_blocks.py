"""Square blocks of a map: choose some, cut them out into a batch, put results back.

Blocks are numbered row by row, picture after picture: N·R·C of them in N maps of R×C blocks. All
functions take their sizes from the tensors, so that they export to ONNX with dynamic sides.
"""

from __future__ import annotations

import torch
from torch import Tensor


def best_blocks(need: Tensor, share: float) -> Tensor:
    """Numbers of the blocks with the largest need, so many in every picture.

    Args:
        need: N×R×C.
        share: of the blocks of a picture in thousandths, 0.001 to 1; their number is rounded up.

    Returns:
        ⌈share·R·C⌉ numbers for each picture, N·K in all.

    """
    n, rows, columns = need.shape
    blocks = rows * columns
    count = (blocks * round(1000 * share) + 999) // 1000
    chosen = need.flatten(1).topk(count).indices
    return (chosen + torch.arange(n, device=need.device)[:, None] * blocks).flatten()


def needy_blocks(need: Tensor, threshold: float) -> Tensor:
    """Numbers of the blocks (need N×R×C) at or above a threshold; the neediest if there is none."""
    bound = need.amax().clamp(max=threshold)
    return (need.flatten() >= bound).nonzero().flatten()


def cut_blocks(x: Tensor, active: Tensor, step: int, margin: int) -> Tensor:
    """Blocks with a margin, gathered into a batch; beyond the map its border is repeated.

    Args:
        x: N×C×H×W, the sides multiples of `step`.
        active: numbers of K blocks.
        step: cells of a block's side.
        margin: cells around it on each side.

    Returns:
        K×C×side×side with side = step + 2·margin.

    """
    n, channels, height, width = x.shape
    rows, columns = height // step, width // step
    picture = active // (rows * columns)
    along = torch.arange(-margin, step + margin, device=x.device)
    y = (active // columns % rows * step)[:, None] + along
    left = (active % columns * step)[:, None] + along
    y = y.clamp(min=0).clamp(max=height - 1) + picture[:, None] * height
    left = left.clamp(min=0).clamp(max=width - 1)
    where = y[:, :, None] * width + left[:, None, :]
    cells = x.permute(0, 2, 3, 1).reshape(n * height * width, channels)
    return cells[where].permute(0, 3, 1, 2)


def repeat_border(x: Tensor, margin: int) -> Tensor:
    """N×C×H×W with `margin` more cells on each side, equal to the nearest one of the map.

    What `cut_blocks` sees around the blocks.
    """
    left, right = x[..., :1].expand(-1, -1, -1, margin), x[..., -1:].expand(-1, -1, -1, margin)
    x = torch.cat([left, x, right], 3)
    upper, lower = (
        x[..., :1, :].expand(-1, -1, margin, -1),
        x[..., -1:, :].expand(-1, -1, margin, -1),
    )
    return torch.cat([upper, x, lower], 2)


def to_blocks(x: Tensor, side: int) -> Tensor:
    """N×C×H×W, the sides multiples of `side`, to N·R·C blocks of C×side×side."""
    n, channels, height, width = x.shape
    rows, columns = height // side, width // side
    x = x.reshape(n, channels, rows, side, columns, side).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(n * rows * columns, channels, side, side)


def from_blocks(blocks: Tensor, rows: int, columns: int) -> Tensor:
    """The inverse of `to_blocks` for maps of `rows`×`columns` blocks."""
    count, channels, side, _ = blocks.shape
    n = count // (rows * columns)
    x = blocks.reshape(n, rows, columns, channels, side, side).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(n, channels, rows * side, columns * side)
