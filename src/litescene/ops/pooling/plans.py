"""Which elements of the input the windows of an output have, as tables."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litescene.ops.flat import WIDTH
from litescene.ops.pooling.windows import Windows

Table = NDArray[np.int64]
_HALVES = np.array([0, WIDTH // 2])

_Axis = tuple[int, int, int, int, int, int]
"""Input size, output size, stride, padding, dilation, kernel."""


class Blocks(NamedTuple):
    """The sixteen windows of a line that are computed at a time."""

    lefts: Table
    """The first window of each block."""
    places: Table
    """(blocks×2) Where in an input row the first and the ninth of them begin."""
    whole: Table
    """Whether all of them have all columns."""
    edges: Table
    """(blocks×columns×2) The first of them that has a column, and the first behind it that has
    not."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The windows of one plane, or of one image whose channels come last.

    A line is a row of windows. Everything is in elements of the plane, or pixels of the image.
    """

    sizes: tuple[int, int]
    """Elements of the plane, windows of the plane."""
    lines: tuple[Table, Table]
    """Starts of a line's input rows (lines×rows at most), and how many they are."""
    columns: tuple[Table, Table]
    """Columns of a window of any line (windows of a line×columns at most), and how many."""
    blocks: Blocks
    forward: tuple[tuple[Table, Table], Blocks]
    """Lines and blocks to compute the output with: those above, or of two lines as one, see
    `_pairs`."""
    turns: Table
    """(columns×2) The remainder of a column of the window by the stride, and the quotient."""
    row: tuple[int, int, int, int, int]
    """Columns of the input, columns of the kernel, stride, padding, dilation."""
    written: tuple[bool, bool]
    """Whether no element is in two windows, and whether each is in one."""


def _axis(size: int, out: int, stride: int, padding: int, dilation: int, taps: int) -> Table:
    """Positions of each window's taps along an axis, out×taps; -1 outside the input."""
    at = np.arange(out)[:, None] * stride - padding + np.arange(taps) * dilation
    return np.where((at >= 0) & (at < size), at, -1)


def _packed(at: Table) -> tuple[Table, Table]:
    """What is not negative first in every line, and how much that is."""
    order = np.argsort(at < 0, axis=1, kind="stable")
    return np.take_along_axis(at, order, 1), (at >= 0).sum(1)


def _lines(size: tuple[int, ...], axes: list[Table]) -> tuple[Table, Table]:
    """Starts of the rows from positions of depth and rows."""
    deep, high = axes[0][:, None, :, None], axes[1][None, :, None, :]
    starts = np.where((deep >= 0) & (high >= 0), (deep * size[1] + high) * size[2], -1)
    return _packed(starts.reshape(axes[0].shape[0] * axes[1].shape[0], -1))


def _blocks(width: int, out: int, stride: int, padding: int, dilation: int, taps: int) -> Blocks:
    """The last block overlaps the one before where it would reach beyond the row of windows."""
    lefts = np.minimum(np.arange(0, out, WIDTH), max(0, out - WIDTH))
    places = (lefts[:, None] + _HALVES) * stride - padding
    first = places[:, :1] + np.arange(taps) * dilation
    low = np.maximum(0, -(first // stride))
    high = np.clip(-((first - width) // stride), 0, WIDTH)
    whole = ((low == 0) & (high >= min(WIDTH, out))).all(1)
    return Blocks(lefts, places, whole.astype(np.int64), np.stack([low, high], 2))


def _pairs(rows: _Axis, columns: _Axis) -> Blocks | None:
    """Of two lines as one, whose fourth block, say, goes over the end of the first.

    For windows two wide and two apart without padding, in lines that alone would end with half a
    block computed twice.
    """
    width, out, stride, padding, dilation, taps = columns
    height, lines, down, above, apart, deep = rows
    plain = (stride, padding, dilation, taps) == (2, 0, 1, 2) and out * stride <= width
    inside = above == 0 and (lines - 1) * down + (deep - 1) * apart < height
    if not plain or not inside or lines % 2 or out % WIDTH != WIDTH // 2:
        return None
    lefts = np.arange(0, 2 * out, WIDTH)
    halves = lefts[:, None] + _HALVES
    places = halves % out * stride + halves // out * down * width
    edges = np.tile(np.array([0, WIDTH]), (lefts.size, taps, 1))
    return Blocks(lefts, places, np.ones_like(lefts), edges)


@functools.lru_cache(64)
def covering(size: tuple[int, ...], windows: Windows) -> tuple[Table, Table]:
    """Which elements of windows each position of the input is in, and how many positions each
    window has.

    The first is most×positions, of the elements K×out in row-major order; K·out, the number behind
    the last, where a position is in fewer windows than others. The second has out's shape.
    """
    out = windows.output_size(size)
    dims, flat = len(size), np.zeros((1,) * 2 * len(size), np.int64)
    there = np.ones_like(flat, bool)
    for axis in range(dims):
        at = _axis(
            size[axis], out[axis], windows.stride[axis], windows.padding[axis],
            windows.dilation[axis], windows.kernel[axis],
        )  # fmt: skip
        shape = [1] * 2 * dims
        shape[axis], shape[dims + axis] = windows.kernel[axis], out[axis]
        at = at.T.reshape(shape)
        flat, there = flat * size[axis] + at, there & (at >= 0)
    place, positions = np.where(there, flat, -1).ravel(), int(np.prod(size))
    order = np.argsort(place, kind="stable")[np.count_nonzero(place < 0) :]
    place = place[order]
    counts = np.bincount(place, minlength=positions)
    turn = np.arange(place.size) - (np.cumsum(counts) - counts)[place]
    table = np.full((max(int(counts.max()), 1), positions), there.size, np.int64)
    table[turn, place] = order
    return table, there.reshape(windows.count, *out).sum(0)


@functools.lru_cache(256)
def plan(size: tuple[int, ...], windows: Windows) -> Plan:
    """The plan of an input with these last dimensions."""
    out = windows.output_size(size)
    missing = 3 - len(size)
    size, out = (1,) * missing + size, (1,) * missing + out
    numbers = list(zip(
        size, out, (1,) * missing + windows.stride, (0,) * missing + windows.padding,
        (1,) * missing + windows.dilation, (1,) * missing + windows.kernel, strict=True,
    ))  # fmt: skip
    axes = [_axis(*of_axis) for of_axis in numbers]
    _, _, stride, padding, dilation, taps = numbers[2]
    turns = np.stack(np.divmod(np.arange(taps) * dilation, stride)[::-1], 1)
    alone = all(d * (k - 1) < s for _, _, s, _, d, k in numbers)
    (starts, counts), blocks = _lines(size, axes), _blocks(*numbers[2])
    pairs = _pairs(*numbers[1:])
    return Plan(
        (int(np.prod(size)), int(np.prod(out))),
        (starts, counts),
        _packed(axes[2]),
        blocks,
        ((starts[::2].copy(), counts[::2].copy()), pairs) if pairs else ((starts, counts), blocks),
        np.ascontiguousarray(turns),
        (size[2], taps, stride, padding, dilation),
        (alone, alone and all(o * k == n for n, o, _, _, _, k in numbers)),
    )
