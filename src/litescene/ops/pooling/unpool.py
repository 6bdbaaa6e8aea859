"""AdaUnPool: back to the input's size, with the weights that AdaPool pooled by.

Stergiou and Poppe, IEEE TIP 32 (2023), section on up-sampling; see `exponential` for the poolings.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core.errors import OperatorError
from litescene.ops.pooling.exponential import Masks
from litescene.ops.pooling.layer import per_output
from litescene.ops.pooling.plans import covering
from litescene.ops.pooling.weighting import choice
from litescene.ops.pooling.windows import Size, Windows, traced, windows_for

Normalize = Literal["sum", "mean"]


def ada_unpool(
    y: Tensor, masks: Masks, beta: float | Tensor = 0.5, *, normalize: Normalize = "sum"
) -> Tensor:
    """Spread pooled values over the windows' tiles: β·y·eDSCW's weights + (1 - β)·y·eM's.

    y is N×C×out and is brought to the size of the masks by area, which repeats every value over
    its tile where the masks are those of y's own windows (a traced graph takes that for granted,
    and is good for any size). `sum` is the released behaviour: a tile
    sums to y, so that a constant comes back divided by the elements of a window; `mean` multiplies
    by them, and a constant comes back itself. The result has the size of the masks: that of the
    input where windows neither overlap nor leave gaps; for the others see `ada_unpool_into`.

    Raises `OperatorError` if masks and y do not fit, or β is outside of [0, 1] or fits neither.
    """
    choice("normalize", normalize, Normalize)
    spread = _on_tiles(y, masks, per_output("beta", beta, y, windows_for(y, 1)))
    if normalize == "mean":
        spread = spread * (_elements(masks.similar) / _elements(y))
    return spread.to(y.dtype)


def _elements(x: Tensor) -> float:
    product = 1.0
    for length in x.shape[2:]:
        product *= int(length)
    return product


def _on_tiles(y: Tensor, masks: Masks, beta: float | Tensor) -> Tensor:
    size = tuple(masks.similar.shape)
    if tuple(masks.largest.shape) != size or len(size) != y.ndim or size[:2] != y.shape[:2]:
        raise OperatorError(
            f"masks of shapes {size} and {tuple(masks.largest.shape)} do not fit a tensor of shape "
            f"{tuple(y.shape)}: images, channels and dimensions must be the same"
        )
    # Where every value fills a tile, repeating it is the same as by area: faster, and exported.
    tiled = traced() or all(o and m % o == 0 for m, o in zip(size[2:], y.shape[2:], strict=True))
    mode = "nearest" if tiled else "area"
    similar, largest = (
        F.interpolate(part, size=size[2:], mode=mode) for part in (beta * y, (1 - beta) * y)
    )
    return similar * masks.similar.clamp(0, 1) + largest * masks.largest.clamp(0, 1)


def ada_unpool_into(
    y: Tensor,
    masks: Masks,
    size: tuple[int, ...],
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    beta: float | Tensor = 0.5,
    normalize: Normalize = "sum",
    **how: bool,
) -> Tensor:
    """`ada_unpool` into an input of that size, each tile put where its window was.

    Where windows overlap the mean of what they bring is taken; where no window was there is 0;
    padding is cropped. The numbers are those that pooled the input, `size` its last dimensions. A
    traced graph is good for this size only.
    """
    size = tuple(int(length) for length in size)
    like = y.new_zeros(1, 1, *size)
    windows = windows_for(like, kernel_size, stride, padding, dilation, **how)
    out = windows.output_size(size)
    if tuple(y.shape[2:]) != out:
        raise OperatorError(
            f"an input of size {size} is pooled to {out}; y has shape {tuple(y.shape)}"
        )
    choice("normalize", normalize, Normalize)
    tiles = ada_unpool(y, masks, beta)
    expected = tuple(o * k for o, k in zip(out, windows.kernel, strict=True))
    if tuple(tiles.shape[2:]) != expected:
        raise OperatorError(
            f"masks of shape {tuple(tiles.shape)} are none of windows {windows.kernel} at {out}; "
            f"their size would be {expected}"
        )
    # As numbers: a compiler that takes the result for a constant cannot hand on an object.
    numbers = (windows.kernel, windows.stride, windows.padding, windows.dilation)
    table, present = (t.to(y.device) for t in _covering(size, *numbers, windows.ceil_mode))
    values = _apart(tiles, windows, out)
    if normalize == "mean":  # at borders fewer elements than the kernel has were pooled
        values = values * (windows.count if windows.count_include_pad else present)
    return _mean_of(values.flatten(2), table).reshape(*y.shape[:2], *size)


def _apart(tiles: Tensor, windows: Windows, out: tuple[int, ...]) -> Tensor:
    """Tiles N×C×(o·k)… as N×C×K×out, elements in row-major order."""
    dims = len(out)
    pairs = [length for o, k in zip(out, windows.kernel, strict=True) for length in (o, k)]
    apart = tiles.reshape(*tiles.shape[:2], *pairs)
    order = [3 + 2 * i for i in range(dims)] + [2 + 2 * i for i in range(dims)]
    return apart.permute(0, 1, *order).reshape(*tiles.shape[:2], windows.count, *out)


@torch.compiler.assume_constant_result
def _covering(size: tuple[int, ...], *numbers: Any) -> tuple[Tensor, Tensor]:
    """`plans.covering` for windows of these numbers, as tensors: in a compiled graph constants."""
    table, present = covering(size, Windows(*numbers))
    return torch.from_numpy(table), torch.from_numpy(present)


def _mean_of(values: Tensor, table: Tensor) -> Tensor:
    """Of the elements that the table names for each position, see `plans.covering`."""
    # Read, not added up where they belong: the same bits in every run, and in any runtime.
    taken = F.pad(values, (0, 1))[..., table].sum(2)
    return taken / (table < values.shape[2]).sum(0).clamp(min=1)


class AdaUnPool(nn.Module):
    """`ada_unpool` as a layer; its input is what `AdaPool.with_masks` gives."""

    def __init__(self, normalize: Normalize = "mean") -> None:
        super().__init__()
        choice("normalize", normalize, Normalize)
        self.normalize: Normalize = normalize

    def forward(self, y: Tensor, masks: Masks, beta: Tensor) -> Tensor:
        """N×C×out and masks N×C×(o·k)… to N×C×(o·k)…."""
        return ada_unpool(y, masks, beta, normalize=self.normalize)
