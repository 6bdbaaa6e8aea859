"""The weight gradient of a dense convolution on channels-last float32, by numba.

Arrays are flat, N×H×W×C with the channels together. For every tap the gradient is a product of two
matrices, pixels×channels each. It is made in tiles of sixteen channels of one of them times six of
the other, which stay in registers while the pixels of a few rows go by. Tiles at the end of the
channels overlap those before.
"""

from __future__ import annotations

import numpy as np

from litescene.core.njit import njit
from litescene.ops.depthwise_kernel import span
from litescene.ops.vectors import (
    FAST,
    INLINE,
    WIDTH,
    ahead,
    load,
    load_one,
    pointer,
    store,
)

BROADCAST = 6
"""Channels of a tile that meet `WIDTH` others each: so many sums fit into 16 AVX registers."""
TILE = BROADCAST * WIDTH
"""Sums of a tile."""
UNITS = 16
"""What the work is shared out in: always as many, whatever the number of threads."""
_PIXELS = 128
"""Pixels, about, that all tiles take before they go on: theirs stay in the first cache."""


def sums(of_a: int, of_b: int) -> int:
    """Sums of a tap with of_a channels in tiles of sixteen, of_b of six; 0 if it has no tile."""
    if of_a < WIDTH or of_b < BROADCAST:
        return 0
    return -(-of_a // WIDTH) * -(-of_b // BROADCAST) * TILE


@njit(**INLINE)
def _tiles(channels, size):  # type: ignore[no-untyped-def]
    """How many tiles of a size cover the channels."""
    return (channels + size - 1) // size


@njit(**INLINE)
def _first(tile, size, channels):  # type: ignore[no-untyped-def]
    """The first channel of a tile."""
    return min(tile * size, channels - size)


@njit(**FAST)
def _add_products(sums, a, b, rows, pixels, places, steps):  # type: ignore[no-untyped-def]
    """Add to a tile of sums what so many pixels of some rows of a and b make."""
    s0, s1, s2 = load(sums, 0), load(sums, WIDTH), load(sums, 2 * WIDTH)
    s3, s4, s5 = load(sums, 3 * WIDTH), load(sums, 4 * WIDTH), load(sums, 5 * WIDTH)
    for row in range(rows):
        at_a, at_b = ahead(a, places[0][row]), ahead(b, places[1][row])
        for _ in range(pixels):
            values = load(at_a, 0)
            s0 = s0 + values * load_one(at_b, 0)
            s1 = s1 + values * load_one(at_b, 1)
            s2 = s2 + values * load_one(at_b, 2)
            s3 = s3 + values * load_one(at_b, 3)
            s4 = s4 + values * load_one(at_b, 4)
            s5 = s5 + values * load_one(at_b, 5)
            at_a, at_b = ahead(at_a, steps[0]), ahead(at_b, steps[1])
    store(sums, 0, s0)
    store(sums, WIDTH, s1)
    store(sums, 2 * WIDTH, s2)
    store(sums, 3 * WIDTH, s3)
    store(sums, 4 * WIDTH, s4)
    store(sums, 5 * WIDTH, s5)


@njit(**FAST)
def weight_gradient(x, g, sums, swapped, shape, how, low, high):  # type: ignore[no-untyped-def]
    """Added to `sums`, flat parts×taps×tiles×`TILE`: the units of work from `low` to `high`.

    A unit is a part of the pixels and a share of the tiles. `shape` is (height, width, rows,
    columns, channels of x, of g), `how` the kernel's height and width, stride, padding and
    dilation, each vertical first. The sixteen channels are x's, or where `swapped` g's.
    """
    height, width, rows, columns, of_x, of_g = shape
    (tall, wide), (down, across), (top, left), (dy, dx) = how
    in_a, in_b = (of_g, of_x) if swapped else (of_x, of_g)
    wides, narrows = _tiles(in_a, WIDTH), _tiles(in_b, BROADCAST)
    size = tall * wide * narrows * wides * TILE
    parts = sums.size // size
    shares = UNITS // parts
    total = g.size // (columns * of_g)
    together = max(1, _PIXELS // columns)
    in_x, in_g = np.empty(together, np.int64), np.empty(together, np.int64)
    x_rows, g_rows, to = pointer(in_x), pointer(in_g), pointer(sums)
    a, b = (pointer(g), pointer(x)) if swapped else (pointer(x), pointer(g))
    places = (g_rows, x_rows) if swapped else (x_rows, g_rows)
    steps = (of_g, across * of_x) if swapped else (across * of_x, of_g)
    for unit in range(low, high):
        part, share = unit % parts, unit // parts
        end = (part + 1) * total // parts
        for base in range(part * total // parts, end, together):
            for tap in range(tall * wide):
                i, shift = tap // wide, tap % wide * dx - left
                first, last = span(shift, across, width, columns)
                seen = 0
                for row in range(base, min(base + together, end)):
                    y = row % rows * down - top + i * dy
                    if 0 <= y < height:
                        line = (row // rows * height + y) * width
                        in_x[seen] = (line + first * across + shift) * of_x
                        in_g[seen] = (row * columns + first) * of_g
                        seen += 1
                for k in range(share * narrows // shares, (share + 1) * narrows // shares):
                    from_b = ahead(b, _first(k, BROADCAST, in_b))
                    for j in range(wides):
                        tile = part * size + ((tap * narrows + k) * wides + j) * TILE
                        from_a = ahead(a, _first(j, WIDTH, in_a))
                        _add_products(
                            ahead(to, tile), from_a, from_b, seen, last - first, places, steps
                        )
    in_x[:1], in_g[:1] = 0, 0  # alive until here: their pointers do not keep them


@njit(**FAST)
def gathered(sums, out, parts, low, high):  # type: ignore[no-untyped-def]
    """The parts' sums of the taps from `low` to `high`, in out, taps×(six of)×(sixteen of)."""
    _, in_b, in_a = out.shape
    wides, narrows = _tiles(in_a, WIDTH), _tiles(in_b, BROADCAST)
    size = out.shape[0] * narrows * wides * TILE
    for tap in range(low, high):
        for k in range(narrows):
            for j in range(wides):
                tile = ((tap * narrows + k) * wides + j) * TILE
                row, column = _first(k, BROADCAST, in_b), _first(j, WIDTH, in_a)
                for r in range(BROADCAST):
                    for c in range(WIDTH):
                        total = 0.0
                        for part in range(parts):
                            total += sums[part * size + tile + r * WIDTH + c]
                        out[tap, row + r, column + c] = total
