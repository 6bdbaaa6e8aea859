# mypy: disable-error-code="no-untyped-def, assignment"
"""What the Triton kernels of AdaPool's family share: blocks of windows, and their elements.

A program computes a block of *pieces*: up to `UNIT` outputs side by side in memory, which are
columns of a row or, with channels last, channels of a position. Each thread so has neighbours, and
loads and stores them by wide instructions. A block's windows are tuples with one tensor for each
element of a window; the kernel's size is a constant, so all loops over them unroll.

`SHAPE` is the kernel, the stride, the padding and the dilation, three numbers each: depth, rows and
columns. `WHOLE` says that all windows lie inside the input, `LAST` that channels come last, `WIDE`
that offsets need 64 bits, `ALIGN` by what the length of the contiguous axis can be divided. `size`
is the input's D×H×W, `out` the output's.
"""

from __future__ import annotations

import triton
import triton.language as tl

LEAST = tl.constexpr(1.1754943508222875e-38)  # the least normal number: its inverse is finite


@triton.jit
def _aligned(size, ALIGN: tl.constexpr, LAST: tl.constexpr):
    """A size whose last length is known to be a multiple; with channels last their number is."""
    length = size[2]
    if not LAST:
        length = length // ALIGN * ALIGN
    return size[0], size[1], length


@triton.jit
def _place(out, parts, channels, UNIT: tl.constexpr, PIECES: tl.constexpr, LAST: tl.constexpr,
           WIDE: tl.constexpr):  # fmt: skip
    """Where the program's block is: plane, depth, row, a piece's first column, column, channel.

    A plane is an image with channels last, else one channel of it. What is along the contiguous
    axis is PIECES×UNIT, all else PIECES×1.
    """
    piece = tl.program_id(0)
    if WIDE:
        piece = piece.to(tl.int64)
    piece = piece * PIECES + tl.arange(0, PIECES)[:, None]
    first = piece % parts * UNIT
    along = first + tl.arange(0, UNIT)[None, :]
    rest = piece // parts
    if LAST:
        first = rest % out[2]
        column = first
        rest = rest // out[2]
    else:
        column = along
    high = rest % out[1]
    rest = rest // out[1]
    deep = rest % out[0]
    plane = rest // out[0]
    if LAST:
        channel = along
    else:
        channel = plane % channels
    return plane, deep, high, first, column, channel


@triton.jit
def _exists(place, planes, out, channels, LAST: tl.constexpr):
    """Which positions of a block there are."""
    if LAST:
        within = place[5] < channels
    else:
        within = place[4] < out[2]
    return (place[0] < planes) & within


@triton.jit
def _offset(place, deep, high, column, size, channels, ALIGN: tl.constexpr, LAST: tl.constexpr):
    """Of a position in a tensor of this size."""
    at = ((place[0] * size[0] + deep) * size[1] + high) * size[2] + column
    if LAST:
        at = at * (channels // ALIGN * ALIGN) + place[5]
    return at


@triton.jit
def _elements(x, place, planes, size, channels, SHAPE: tl.constexpr, PAIRS: tl.constexpr,
              WHOLE: tl.constexpr, LAST: tl.constexpr, ALIGN: tl.constexpr,
              UNIT: tl.constexpr):  # fmt: skip
    """The windows' elements in float32 (0 outside the input), and which are inside.

    `PAIRS`, for a stride of two along the contiguous axis: neighbours at even columns come by one
    contiguous load.
    """
    ROWS: tl.constexpr = SHAPE[0][0] * SHAPE[0][1]
    TAPS: tl.constexpr = SHAPE[0][2]
    STEP: tl.constexpr = 2 if PAIRS else 1
    FIRST: tl.constexpr = -(SHAPE[2][2] % 2) if PAIRS else 0
    values, inside = (), ()
    begin = place[4] * SHAPE[1][2] - SHAPE[2][2]
    known = place[0] < planes
    if LAST:
        known = known & (place[5] < channels)
    for k in tl.static_range(ROWS):
        deep, high = _row(place, k, SHAPE)
        row = _row_inside(known, deep, high, size, WHOLE)
        for j in tl.static_range(FIRST, TAPS, STEP):
            if PAIRS:
                pair = place[3] * 2 + (tl.arange(0, 2 * UNIT)[None, :] + (j - SHAPE[2][2]))
                both = tl.load(
                    x + _offset(place, deep, high, pair, size, channels, ALIGN, LAST),
                    _column_inside(row, pair, size, WHOLE), 0.0,
                )  # fmt: skip
                even, odd = tl.split(tl.reshape(both, (both.shape[0], UNIT, 2)))
                if j >= 0:
                    values += (even.to(tl.float32),)
                    inside += (_column_inside(row, begin + j, size, WHOLE),)
                if j + 1 < TAPS:
                    values += (odd.to(tl.float32),)
                    inside += (_column_inside(row, begin + (j + 1), size, WHOLE),)
            else:
                column = begin + j * SHAPE[3][2]
                here = _column_inside(row, column, size, WHOLE)
                at = _offset(place, deep, high, column, size, channels, ALIGN, LAST)
                values += (tl.load(x + at, here, 0.0).to(tl.float32),)
                inside += (here,)
    return values, inside


@triton.jit
def _row(place, k: tl.constexpr, SHAPE: tl.constexpr):
    """Depth and row in the input of the k-th row of a window."""
    deep = place[1] * SHAPE[1][0] + (k // SHAPE[0][1] * SHAPE[3][0] - SHAPE[2][0])
    high = place[2] * SHAPE[1][1] + (k % SHAPE[0][1] * SHAPE[3][1] - SHAPE[2][1])
    return deep, high


@triton.jit
def _row_inside(inside, deep, high, size, WHOLE: tl.constexpr):
    if not WHOLE:
        inside = inside & (deep >= 0) & (deep < size[0]) & (high >= 0) & (high < size[1])
    return inside


@triton.jit
def _column_inside(row, column, size, WHOLE: tl.constexpr):
    inside = row & (column < size[2])  # also where all windows are whole: a pair may reach out
    if not WHOLE:
        inside = inside & (column >= 0)
    return inside


@triton.jit
def _counted(v, inside, other: tl.constexpr, WHOLE: tl.constexpr):
    """v, and `other` for what is no element of a window."""
    if WHOLE:
        return v
    return tl.where(inside, v, other)


@triton.jit
def _top(values, inside, WHOLE: tl.constexpr):
    top = _counted(values[0], inside[0], float("-inf"), WHOLE)
    for i in tl.static_range(1, len(values)):
        v = _counted(values[i], inside[i], float("-inf"), WHOLE)
        top = tl.maximum(top, v, propagate_nan=tl.PropagateNan.ALL)
    return top


@triton.jit
def _count(inside, WHOLE: tl.constexpr):
    """Elements of a window."""
    if WHOLE:
        count = 1.0 * len(inside)
    else:
        count = inside[0].to(tl.float32)
        for i in tl.static_range(1, len(inside)):
            count += inside[i].to(tl.float32)
    return count


@triton.jit
def _sums(values, PRECISE: tl.constexpr):
    """Σ x and, for `PRECISE`, what it loses by rounding (Knuth's two-sum).

    Slopes of the similarity grow with the inverse of the mean: with a plain sum, a mean near 0 has
    no digit left. Half precision leaves float32 digits enough.
    """
    total = values[0]
    rest = tl.zeros_like(total)
    for i in tl.static_range(1, len(values)):
        after = total + values[i]
        if PRECISE:
            added = after - total
            rest += (total - (after - added)) + (values[i] - added)
        total = after
    return total, rest


@triton.jit
def _inverse(t):
    """1/t of positive t: an instruction and a product, where a division takes eight."""
    root = tl.rsqrt(t)
    return root * root


@triton.jit
def _beta(share, place, exists, out, PER_CHANNEL: tl.constexpr, PER_POSITION: tl.constexpr):
    """β of a block's windows; `share` is channels×positions, 1 where it is the same for all."""
    if PER_CHANNEL or PER_POSITION:
        at = 0 * (place[4] + place[5])
        if PER_CHANNEL:
            at += place[5]
        if PER_POSITION:
            at = ((at * out[0] + place[1]) * out[1] + place[2]) * out[2] + place[4]
        beta = tl.load(share + at, exists, 0.0)
    else:
        beta = tl.load(share)
    return beta
