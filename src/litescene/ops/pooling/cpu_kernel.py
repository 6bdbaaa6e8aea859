"""Weighted pooling on the CPU, fused: x is read once, and alone kept for the gradient.

For planes that are contiguous: sixteen windows side by side in a row are computed at a time, see
`lanes`. Rows of windows that are no multiple of sixteen long have a last block that overlaps the
one before; what both compute is the same. A plane belongs to one thread, which alone writes its
part of the gradient: results do not depend on the number of threads.

x is planes×elements, float32 or bfloat16 in uint16. β is `share`, see `transfer.share_of`:
channels by positions. The other tables are those of `plans.Plan`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from litescene.ops.pooling.lanes import answer, pull
from litescene.ops.pooling.transfer import add, fetch, put, share_of
from litescene.ops.pooling.vectors import (
    FAST,
    INLINE,
    WIDTH,
    add_to,
    ahead,
    all_of,
    between,
    load,
    pointer,
    store,
    woven_high,
    woven_low,
)


def scratch_size(taps: int, windows: int, reach: int) -> int:
    """float32 that a kernel needs; `reach` is a window's last column in strides."""
    return (4 * taps + 1) * WIDTH + taps * (2 * (reach + WIDTH) + max(windows, WIDTH))


@njit(**INLINE)
def _elements(x, size, plane, starts, rows, left, row, edges, whole, taps, inside):  # type: ignore[no-untyped-def]
    """The elements of the windows from `left` on; how many a window has at most."""
    _, columns, stride, padding, dilation = row
    first = plane + left * stride - padding
    for k in range(rows):
        for j in range(columns):
            low, high, to = edges[2 * j], edges[2 * j + 1], (k * columns + j) * WIDTH
            fetch(x, size, first + starts[k] + j * dilation, stride, low, high, taps, to)
            if not whole:
                store(inside, to, between(all_of(np.float32(1)), low, high))
    return rows * columns


@njit(**FAST)
def forward_planes(x, y, share, shares, tables, row, mode, delta, scratch, first, last):  # type: ignore[no-untyped-def]
    """x planes×elements to y planes×lines×windows, for planes from first to last."""
    starts, counts, lefts, whole, edges = tables
    most, blocks, columns = starts.shape[1], lefts.size, row[1]
    volume, lines, windows = x.shape[1], y.shape[1], y.shape[2]
    lanes, size = min(WIDTH, windows), x.size
    taps = pointer(scratch)
    inside = ahead(taps, most * columns * WIDTH)
    kept, small = ahead(inside, most * columns * WIDTH), ahead(inside, 3 * most * columns * WIDTH)
    # pointers from here on, so that no reference is counted
    x_, y_, share_ = pointer(x), pointer(y), pointer(share)
    starts_, counts_, lefts_ = pointer(starts), pointer(counts), pointer(lefts)
    whole_, edges_ = pointer(whole), pointer(edges)
    for plane in range(first, last):
        for line in range(lines):
            here = ahead(starts_, line * most)
            for b in range(blocks):
                left, all_whole, of_block = lefts_[b], whole_[b] != 0, ahead(edges_, 2 * columns * b)
                count = _elements(x_, size, plane * volume, here, counts_[line], left, row, of_block,
                                  all_whole, taps, inside)  # fmt: skip
                window = line * windows + left
                beta = share_of(share_, shares, plane, window)
                value = answer(taps, inside, count, all_whole, beta, mode, delta, kept)
                put(value, y_, plane * lines * windows + window, lanes, small)


@njit(**INLINE)
def _fold(sheet, step, row, turns, ends, x, start, fresh, small):  # type: ignore[no-untyped-def]
    """Add to the row of x from `start` on what its taps give, or write it where it is `fresh`.

    sheet[j·step + window] is what tap j gives. Its column has remainder turns[2j] by the stride,
    and lies turns[2j + 1] windows on.
    """
    width, columns, stride, padding, _ = row
    for q in range(0, ends, WIDTH):
        first = q * stride - padding
        even, odd = all_of(np.float32(0)), all_of(np.float32(0))
        for j in range(columns):
            value = load(sheet, j * step + q - turns[2 * j + 1])
            if stride > 2:
                store(small, 0, value)
                for o in range(WIDTH):
                    at = first + turns[2 * j] + o * stride
                    if 0 <= at < width:
                        x[start + at] = small[o] if fresh else x[start + at] + small[o]
            elif turns[2 * j] == 0:
                even += value
            else:
                odd += value
        if stride == 1:
            add(even, x, start + first, -first, width - first, fresh, small)
        elif stride == 2:
            add(woven_low(even, odd), x, start + first, -first, width - first, fresh, small)
            first += WIDTH
            add(woven_high(even, odd), x, start + first, -first, width - first, fresh, small)


@njit(**FAST)
def backward_planes(x, g, share, shares, tables, row, turns, written, mode, delta, exact, to_x, sums, to_beta, scratch, first, last):  # type: ignore[no-untyped-def]
    """Gradients of x, and of β, for g planes×lines×windows.

    β's are summed into sixteen numbers per plane in `sums`, or where that is empty written one per
    output to `to_beta`, or if both are empty left out.
    """
    starts, counts, lefts, whole, edges = tables
    most, blocks, columns = starts.shape[1], lefts.size, row[1]
    volume, lines, windows = x.shape[1], g.shape[1], g.shape[2]
    lanes, x_size, g_size = min(WIDTH, windows), x.size, g.size
    summing, writing, (fresh, filled) = sums.size > 0, to_beta.size > 0, written
    reach = turns[columns - 1, 1]
    margin, step = reach + WIDTH, 2 * (reach + WIDTH) + max(windows, WIDTH)
    taps = pointer(scratch)
    inside = ahead(taps, most * columns * WIDTH)
    kept, small = ahead(inside, most * columns * WIDTH), ahead(inside, 3 * most * columns * WIDTH)
    sheet = ahead(small, WIDTH + margin)
    # pointers from here on, so that no reference is counted
    x_, g_, share_, to_x_ = pointer(x), pointer(g), pointer(share), pointer(to_x)
    starts_, counts_, lefts_ = pointer(starts), pointer(counts), pointer(lefts)
    whole_, edges_, turns_ = pointer(whole), pointer(edges), pointer(turns)
    sums_, to_beta_ = pointer(sums), pointer(to_beta)
    for plane in range(first, last):
        if not filled:
            for o in range(plane * volume, (plane + 1) * volume):
                to_x_[o] = np.float32(0)
        for line in range(lines):
            here, rows, total = ahead(starts_, line * most), counts_[line], all_of(np.float32(0))
            for b in range(blocks):
                left, all_whole, of_block = lefts_[b], whole_[b] != 0, ahead(edges_, 2 * columns * b)
                count = _elements(x_, x_size, plane * volume, here, rows, left, row, of_block,
                                  all_whole, taps, inside)  # fmt: skip
                window = line * windows + left
                beta = share_of(share_, shares, plane, window)
                window += plane * lines * windows
                fetch(g_, g_size, window, 1, 0, lanes, small, 0)
                of_beta = pull(taps, inside, count, all_whole, load(small, 0), beta, mode, delta,
                               exact, kept, sheet, left, step)  # fmt: skip
                if lanes < WIDTH:
                    for t in range(count):
                        store(sheet, t * step, between(load(sheet, t * step), 0, lanes))
                if summing:
                    total += between(of_beta, b * WIDTH - left, lanes)
                elif writing:
                    put(of_beta, to_beta_, window, lanes, small)
            if summing:
                add_to(sums_, plane * WIDTH, total)
            for k in range(rows):
                _fold(ahead(sheet, k * columns * step), step, row, turns_, windows + reach,
                      to_x_, plane * volume + here[k], fresh, small)  # fmt: skip
