"""Bilinear upsampling of logits and argmax, fused and exact.

Output pixel y reads row (y + 0.5)·h/H - 0.5, clamped to the picture, or with `align_corners` row
y·(h - 1)/(H - 1). Between four neighbouring logit positions (a cell) every output value is a convex
combination of the cell's corners, so

- a class that is the largest at all four corners is the largest everywhere in the cell;
- a class that is nowhere above another one at the four corners can never win in the cell;
- along one output row of a cell every class is linear, so a class that is the largest at both
  ends is the largest between them.

Only the rest is computed per pixel. Ties go to the lowest class, as in `numpy.argmax`.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit
from litescene.runtime.kernels import announce


def upsample_argmax(
    logits: NDArray[np.float32], height: int, width: int, *, align_corners: bool = False
) -> NDArray[np.uint8]:
    """Class of every pixel of a height×width picture from low-resolution logits.

    Args:
        logits: C×h×w float32, 1 ≤ C ≤ 255.
        height: rows of the output, any size from 1.
        width: columns of the output.
        align_corners: put the outermost centres of logits and picture on each other, as PyTorch's
            option of that name does, instead of half-pixel centres.

    Returns:
        height×width uint8 labels.

    """
    if logits.ndim != 3 or not 1 <= logits.shape[0] <= 255 or min(logits.shape[1:]) < 1:
        raise ValueError(f"logits are C×h×w with 1 to 255 classes, not {logits.shape}")
    if height < 1 or width < 1:
        raise ValueError(f"the output needs at least one pixel, not {height}×{width}")
    _announce_compilation()
    dense = np.ascontiguousarray(logits, np.float32)
    if dense.shape[1:] == (height, width):
        return _winners(dense)
    rows, row_starts = _axis(logits.shape[1], height, align_corners)
    columns, column_starts = _axis(logits.shape[2], width, align_corners)
    labels = np.empty((height, width), np.uint8)
    _fill(dense, _winners(dense), rows, row_starts, columns, column_starts, labels)
    return labels


def _axis(
    source: int, target: int, align_corners: bool
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Fraction inside its cell of every output position, and the first position of every cell."""
    if align_corners:
        position = np.arange(target) * ((source - 1) / max(target - 1, 1))
    else:
        position = np.maximum((np.arange(target) + 0.5) * (source / target) - 0.5, 0.0)
    cell = np.minimum(position.astype(np.int64), source - 1)
    starts = np.searchsorted(cell, np.arange(source + 1)).astype(np.int32)
    return (position - cell).astype(np.float32), starts


@cache
def _announce_compilation() -> None:
    announce("the upsampling kernels", _winners, _fill)


@njit(cache=True, nogil=True)
def _winners(logits):  # type: ignore[no-untyped-def]
    """Class map at the logits' own resolution."""
    classes, height, width = logits.shape
    winners = np.zeros((height, width), np.uint8)
    best = np.empty(width, np.float32)
    for y in range(height):
        best[:] = logits[0, y]
        for c in range(1, classes):
            for x in range(width):
                if logits[c, y, x] > best[x]:
                    best[x] = logits[c, y, x]
                    winners[y, x] = c
    return winners


@njit(cache=True, nogil=True)
def _fill(logits, winners, rows, row_starts, columns, column_starts, labels):  # type: ignore[no-untyped-def]
    """Fill the label map cell by cell."""
    classes, height, width = logits.shape
    candidates = np.empty(classes, np.int64)
    corners = np.empty((4, classes), np.float32)
    for y in range(height):
        below = min(y + 1, height - 1)
        top, bottom = row_starts[y], row_starts[y + 1]
        if top == bottom:
            continue
        for x in range(width):
            right = min(x + 1, width - 1)
            first, last = column_starts[x], column_starts[x + 1]
            if first == last:
                continue
            a, b = winners[y, x], winners[y, right]
            c, d = winners[below, x], winners[below, right]
            if a == b and a == c and a == d:
                for v in range(top, bottom):
                    for u in range(first, last):
                        labels[v, u] = a
                continue
            count = _candidates(logits, y, x, below, right, (a, b, c, d), candidates, corners)
            for v in range(top, bottom):
                _fill_row(candidates, corners, count, rows[v], columns, first, last, labels[v])


@njit(cache=True, nogil=True)
def _candidates(logits, y, x, below, right, winners, candidates, corners):  # type: ignore[no-untyped-def]
    """Classes that can win in a cell, ascending, with their corner values; returns their number.

    A class is left out only if a winner of some corner is at least as large at every corner (and
    has the lower index where they are equal throughout).
    """
    count = 0
    for k in range(logits.shape[0]):
        a, b = logits[k, y, x], logits[k, y, right]
        c, d = logits[k, below, x], logits[k, below, right]
        alive = True
        for w in winners:
            if (
                w != k
                and logits[w, y, x] >= a
                and logits[w, y, right] >= b
                and logits[w, below, x] >= c
                and logits[w, below, right] >= d
                and (
                    w < k
                    or (
                        logits[w, y, x] > a
                        and logits[w, y, right] > b
                        and logits[w, below, x] > c
                        and logits[w, below, right] > d
                    )
                )
            ):
                alive = False
                break
        if alive:
            candidates[count] = k
            corners[0, count], corners[1, count] = a, b
            corners[2, count], corners[3, count] = c, d
            count += 1
    return count


@njit(cache=True, nogil=True)
def _fill_row(candidates, corners, count, fraction, columns, first, last, labels):  # type: ignore[no-untyped-def]
    """One output row of a mixed cell."""
    left_best = right_best = 0
    left_value = right_value = np.float32(-np.inf)
    for i in range(count):
        left = corners[0, i] + fraction * (corners[2, i] - corners[0, i])
        right = corners[1, i] + fraction * (corners[3, i] - corners[1, i])
        if left > left_value:
            left_value, left_best = left, i
        if right > right_value:
            right_value, right_best = right, i
    if left_best == right_best:
        for u in range(first, last):
            labels[u] = candidates[left_best]
        return
    for u in range(first, last):
        best = 0
        value = np.float32(-np.inf)
        for i in range(count):
            left = corners[0, i] + fraction * (corners[2, i] - corners[0, i])
            right = corners[1, i] + fraction * (corners[3, i] - corners[1, i])
            here = left + columns[u] * (right - left)
            if here > value:
                value, best = here, i
        labels[u] = candidates[best]
