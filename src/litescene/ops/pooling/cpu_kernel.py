"""Weighted pooling on the CPU, fused: x is read once, and alone kept for the gradient.

For planes that are contiguous: sixteen windows side by side in a row are computed at a time, see
`lanes`. Rows of windows that are no multiple of sixteen long have a last block that overlaps the
one before (what both compute is the same), or go on in the next row, see `plans.Plan.forward`. A
plane belongs to one thread, which alone writes its part of the gradient: results do not depend on
the number of threads.

x is planes×elements, float32 or bfloat16 in uint16. β is a flat table of channels by positions and
its shape, see `transfer.share_of`. The other tables are those of `plans.Plan`.
"""

from __future__ import annotations

import numpy as np

from litescene.core.njit import njit
from litescene.ops.pooling.lanes import answer, pull
from litescene.ops.pooling.transfer import add, fetch, fetch_row, put, share_of
from litescene.ops.vectors import (
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
def _elements(x, size, plane, starts, rows, row, places, edges, b, whole, lanes, taps, inside):  # type: ignore[no-untyped-def]
    """The elements of a block of windows; answers how many a window has at most."""
    _, columns, stride, _, dilation = row
    first, ninth = plane + places[2 * b], plane + places[2 * b + 1]
    if whole and lanes == WIDTH and stride <= 2:
        for k in range(rows):
            fetch_row(x, first + starts[k], ninth + starts[k], columns, stride, dilation, taps,
                      k * columns * WIDTH)  # fmt: skip
        return rows * columns
    for k in range(rows):
        for j in range(columns):
            edge, to = 2 * (b * columns + j), (k * columns + j) * WIDTH
            low, high = edges[edge], edges[edge + 1]
            fetch(x, size, first + starts[k] + j * dilation, stride, low, high, taps, to)
            if not whole:
                store(inside, to, between(all_of(np.float32(1)), low, high))
    return rows * columns


@njit(**FAST)
def forward_planes(x, y, beta, tables, row, mode, delta, scratch, first, last):  # type: ignore[no-untyped-def]
    """x planes×elements to y planes×lines×windows, for planes from first to last."""
    share, shares = beta
    starts, counts, lefts, places, whole, edges, _ = tables
    most, blocks, room = starts.shape[1], lefts.size, starts.shape[1] * row[1] * WIDTH
    volume, lines, windows = x.shape[1], y.shape[1], y.shape[2]
    lanes, size = min(WIDTH, windows), x.size
    # pointers from here on, so that no reference is counted
    x_, y_, share_ = pointer(x), pointer(y), pointer(share)
    starts_, counts_, lefts_ = pointer(starts), pointer(counts), pointer(lefts)
    places_, whole_, edges_ = pointer(places), pointer(whole), pointer(edges)
    taps = pointer(scratch)
    inside, kept, small = ahead(taps, room), ahead(taps, 2 * room), ahead(taps, 4 * room)
    for plane in range(first, last):
        at = plane * volume
        for line in range(lines):
            here, rows = ahead(starts_, line * most), counts_[line]
            for b in range(blocks):
                full = whole_[b] != 0
                count = _elements(x_, size, at, here, rows, row, places_, edges_, b, full, lanes,
                                  taps, inside)  # fmt: skip
                window = line * windows + lefts_[b]
                part = share_of(share_, shares, plane, window)
                value = answer(taps, inside, count, full, part, mode, delta, kept)
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
def backward_planes(x, g, beta, tables, row, written, mode, delta, exact, to, scratch, first, last):  # type: ignore[no-untyped-def]
    """Gradients of x, and of β, for g planes×lines×windows.

    `to` is where they go: x's; β's summed into sixteen numbers per plane, or where there is no room
    for them one per output, or if there is none either not at all.
    """
    (share, shares), (to_x, sums, to_beta) = beta, to
    starts, counts, lefts, places, whole, edges, turns = tables
    most, blocks, columns, room = (
        starts.shape[1], lefts.size, row[1], starts.shape[1] * row[1] * WIDTH,
    )  # fmt: skip
    volume, lines, windows = x.shape[1], g.shape[1], g.shape[2]
    lanes, x_size, g_size = min(WIDTH, windows), x.size, g.size
    summing, writing, (fresh, filled) = sums.size > 0, to_beta.size > 0, written
    reach = turns[columns - 1, 1]
    step = 2 * (reach + WIDTH) + max(windows, WIDTH)
    # pointers from here on, so that no reference is counted
    x_, g_, share_, to_x_ = pointer(x), pointer(g), pointer(share), pointer(to_x)
    starts_, counts_, lefts_ = pointer(starts), pointer(counts), pointer(lefts)
    places_, whole_, edges_ = pointer(places), pointer(whole), pointer(edges)
    turns_, sums_, to_beta_ = pointer(turns), pointer(sums), pointer(to_beta)
    taps = pointer(scratch)
    inside, kept, small = ahead(taps, room), ahead(taps, 2 * room), ahead(taps, 4 * room)
    sheet = ahead(small, WIDTH + reach + WIDTH)
    for plane in range(first, last):
        at = plane * volume
        if not filled:
            for o in range(at, at + volume):
                to_x_[o] = np.float32(0)
        for line in range(lines):
            here, rows, total = ahead(starts_, line * most), counts_[line], all_of(np.float32(0))
            for b in range(blocks):
                full, left = whole_[b] != 0, lefts_[b]
                count = _elements(x_, x_size, at, here, rows, row, places_, edges_, b, full, lanes,
                                  taps, inside)  # fmt: skip
                part = share_of(share_, shares, plane, line * windows + left)
                window = (plane * lines + line) * windows + left
                fetch(g_, g_size, window, 1, 0, lanes, small, 0)
                of_beta = pull(taps, inside, count, full, load(small, 0), part, mode, delta,
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
                      to_x_, at + here[k], fresh, small)  # fmt: skip
