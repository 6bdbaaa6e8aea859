"""Weighted pooling on the CPU where channels come last: as `cpu_kernel`, but over channels.

Sixteen channels of one window are computed at a time, so all have the same elements. The work is
divided into images × blocks of sixteen channels; what one does not overlap what another writes.

x is images×pixels×channels, float32 or bfloat16 in uint16. β is a flat table of positions by
channels and its shape, see `transfer.share_of`.
"""

from __future__ import annotations

import numpy as np

from litescene.core.njit import njit
from litescene.ops.pooling.lanes import answer, pull
from litescene.ops.pooling.transfer import add, fetch, put, share_of
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
)


def scratch_size(taps: int, channels: int) -> int:
    """float32 that a kernel needs."""
    return (5 * taps + 1) * WIDTH + channels + WIDTH


@njit(**INLINE)
def _elements(x, size, image, channels, starts, rows, columns, count, lanes, taps):  # type: ignore[no-untyped-def]
    """The elements of one window in sixteen channels; `image` is the first's of pixel 0."""
    for k in range(rows):
        for j in range(count):
            at = image + (starts[k] + columns[j]) * channels
            fetch(x, size, at, 1, 0, lanes, taps, (k * count + j) * WIDTH)
    return rows * count


@njit(**FAST)
def forward_pixels(x, y, beta, tables, mode, delta, scratch, first, last):  # type: ignore[no-untyped-def]
    """x images×pixels×channels to y images×lines×windows×channels, for blocks first to last."""
    share, shares = beta
    starts, counts, columns, widths = tables
    most, wide = starts.shape[1], columns.shape[1]
    pixels, lines, windows, channels = x.shape[1], y.shape[1], y.shape[2], x.shape[2]
    blocks, size = (channels + WIDTH - 1) // WIDTH, x.size
    x_, y_, share_ = pointer(x), pointer(y), pointer(share)
    starts_, counts_, columns_, widths_ = (
        pointer(starts), pointer(counts), pointer(columns), pointer(widths),
    )  # fmt: skip
    taps, room = pointer(scratch), most * wide * WIDTH
    kept, small = ahead(taps, room), ahead(taps, 3 * room)
    while first < last:
        image, begin = first // blocks, first % blocks
        end = min(blocks, begin + last - first)
        first += end - begin
        for window in range(lines * windows):
            line, o = window // windows, window % windows
            here, across = ahead(starts_, line * most), ahead(columns_, o * wide)
            for b in range(begin, end):
                c, lanes = b * WIDTH, min(WIDTH, channels - b * WIDTH)
                count = _elements(x_, size, image * pixels * channels + c, channels, here,
                                  counts_[line], across, widths_[o], lanes, taps)  # fmt: skip
                part = share_of(share_, shares, window, c)
                value = answer(taps, taps, count, True, part, mode, delta, kept)
                to = (image * lines * windows + window) * channels + c
                put(value, y_, to, lanes, small)


@njit(**INLINE)
def _clear(x, image, pixels, channels, first, last):  # type: ignore[no-untyped-def]
    """0 to all pixels' channels from first to last."""
    for pixel in range(pixels):
        for c in range(first, last):
            x[(image * pixels + pixel) * channels + c] = np.float32(0)


@njit(**FAST)
def backward_pixels(x, g, beta, tables, written, mode, delta, exact, to, scratch, first, last):  # type: ignore[no-untyped-def]
    """Gradients of x, and of β, for g images×lines×windows×channels.

    `to` is where they go: x's; β's summed over an image's windows, sixteen numbers per block of
    channels, or where there is no room for them one per output, or if there is none either not at
    all.
    """
    (share, shares), (to_x, sums, to_beta) = beta, to
    starts, counts, columns, widths = tables
    most, wide = starts.shape[1], columns.shape[1]
    pixels, lines, windows, channels = x.shape[1], g.shape[1], g.shape[2], x.shape[2]
    blocks, x_size, g_size = (channels + WIDTH - 1) // WIDTH, x.size, g.size
    summing, writing, (fresh, filled) = sums.size > 0, to_beta.size > 0, written
    x_, g_, share_, to_x_ = pointer(x), pointer(g), pointer(share), pointer(to_x)
    sums_, to_beta_ = pointer(sums), pointer(to_beta)
    starts_, counts_, columns_, widths_ = (
        pointer(starts), pointer(counts), pointer(columns), pointer(widths),
    )  # fmt: skip
    taps, room = pointer(scratch), most * wide * WIDTH
    kept, back, small = ahead(taps, room), ahead(taps, 3 * room), ahead(taps, 4 * room)
    totals = ahead(small, WIDTH)
    while first < last:
        image, begin = first // blocks, first % blocks
        end = min(blocks, begin + last - first)
        first += end - begin
        if not filled:
            _clear(to_x_, image, pixels, channels, begin * WIDTH, min(channels, end * WIDTH))
        for line in range(lines):
            here, rows = ahead(starts_, line * most), counts_[line]
            for b in range(begin, end):
                store(totals, b * WIDTH, all_of(np.float32(0)))
            for o in range(windows):
                across, width = ahead(columns_, o * wide), widths_[o]
                for b in range(begin, end):
                    c, lanes = b * WIDTH, min(WIDTH, channels - b * WIDTH)
                    start = image * pixels * channels + c
                    count = _elements(x_, x_size, start, channels, here, rows, across, width,
                                      lanes, taps)  # fmt: skip
                    window = line * windows + o
                    at = (image * lines * windows + window) * channels + c
                    fetch(g_, g_size, at, 1, 0, lanes, small, 0)
                    part = share_of(share_, shares, window, c)
                    of_beta = pull(taps, taps, count, True, load(small, 0), part, mode, delta,
                                   exact, kept, back, 0, WIDTH)  # fmt: skip
                    for k in range(rows):
                        for j in range(width):
                            value = load(back, (k * width + j) * WIDTH)
                            to = start + (here[k] + across[j]) * channels
                            add(value, to_x_, to, 0, lanes, fresh, small)
                    if summing:
                        of_beta = between(of_beta, 0, lanes)
                        store(totals, c, load(totals, c) + of_beta)
                    elif writing:
                        put(of_beta, to_beta_, at, lanes, small)
            if summing:
                for b in range(begin, end):
                    add_to(sums_, (image * blocks + b) * WIDTH, load(totals, b * WIDTH))
