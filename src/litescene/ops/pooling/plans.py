"""Which elements of the input the windows of an output have, as tables."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.ops.pooling.windows import Windows

Table = NDArray[np.int64]
WIDTH = 16
"""Windows or channels that are computed side by side."""


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
    blocks: tuple[Table, Table, Table]
    """Of the sixteen windows that are computed at a time: the first window, whether all of them
    have all columns, and (blocks×columns×2) the first of them that has a column, and the first
    behind it that has not."""
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


def _blocks(width: int, out: int, stride: int, padding: int, dilation: int, taps: int) -> Any:
    """The last block overlaps the one before where it would reach beyond the row of windows."""
    lefts = np.minimum(np.arange(0, out, WIDTH), max(0, out - WIDTH))
    first = lefts[:, None] * stride - padding + np.arange(taps) * dilation
    low = np.maximum(0, -(first // stride))
    high = np.clip(-((first - width) // stride), 0, WIDTH)
    whole = ((low == 0) & (high >= min(WIDTH, out))).all(1)
    return lefts, whole.astype(np.int64), np.stack([low, high], 2)


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
    return Plan(
        (int(np.prod(size)), int(np.prod(out))),
        _lines(size, axes),
        _packed(axes[2]),
        _blocks(*numbers[2]),
        np.ascontiguousarray(turns),
        (size[2], taps, stride, padding, dilation),
        (alone, alone and all(o * k == n for n, o, _, _, _, k in numbers)),
    )
