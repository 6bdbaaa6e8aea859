# mypy: disable-error-code="no-untyped-def, assignment"
"""Gradients of the Triton kernel in `triton_kernel`.

Where windows do not overlap, a program writes the gradient of its own windows' elements: x and g
are read once. Where they do, a first kernel writes what the elements of a window share, some
numbers per output; in a second every element gathers from the windows that it is in. That costs
memory and a second reading of x, but no window is computed again for each of its elements.

With w the weights, y the output and a = w(x - y), the exact gradients are w(1 + x - y) for eM and
w + a·ds/dx + (Σ a·ds/dm) / K for eDSCW; `EXACT` off takes the weights for constants. With u = x/m
and r = 1/(u² + 1) the slopes are ds/dx = p/m and ds/dm = -up/m, p = 2 sgn(u)·r·(2r - 1).
"""

from __future__ import annotations

import triton
import triton.language as tl

from litescene.ops.pooling.triton_blocks import (
    LEAST,
    _aligned,
    _beta,
    _column_inside,
    _count,
    _counted,
    _elements,
    _exists,
    _inverse,
    _offset,
    _place,
    _row,
    _row_inside,
    _sums,
    _top,
)
from litescene.ops.pooling.triton_inverse import _inverse_known, _inverse_pull
from litescene.ops.pooling.triton_kernel import EM, INVERSE, LOG2E, SIMILAR, _exponential

NONE = tl.constexpr(1e-9)  # part of an element below which a mean counts as 0


@triton.jit
def _ratio(v, over):
    """u, r, s/2 and exp(s) of an element, by the inverse of its window's mean."""
    u = v * over
    r = _inverse(u * u + 1)
    half = tl.abs(u) * r
    zeros = (v == 0) & (over == 0)  # which are alike
    return u, r, half, tl.exp2(tl.where(zeros, LOG2E, half * (2 * LOG2E)))


@triton.jit
def _turn(v, u, r, f, u_mean):
    """exp(s)·(u - ū)·p, in which the weight changes."""
    slope = r * (4 * r - 2)
    slope = tl.where(v == 0, 0.0, tl.where(u > 0, slope, -slope))
    return f * (u - u_mean) * slope


@triton.jit
def _over(values, inside, WHOLE: tl.constexpr, HALF: tl.constexpr):
    """The inverse of the mean, and the mean.

    0 where the mean is 0, or so small against the elements that their ratio has no digit left.
    """
    big = tl.abs(values[0])
    for i in tl.static_range(1, len(values)):
        big = tl.maximum(big, tl.abs(values[i]))
    total, lost = _sums(values, not HALF)
    total += lost
    size = tl.abs(total)
    none = size < tl.maximum(big * NONE, LEAST)
    count = _count(inside, WHOLE)
    inverse = _inverse(tl.where(none, 1.0, size)) * count
    return tl.where(none, 0.0, tl.where(total < 0, -inverse, inverse)), total * (1 / count)


@triton.jit
def _known(values, inside, g, beta, MODE: tl.constexpr, EXACT: tl.constexpr, WHOLE: tl.constexpr,
           HALF: tl.constexpr, NARROW: tl.constexpr):  # fmt: skip
    """What the gradients of a window's elements share, and the gradient of β.

    Of eM the maximum, the output and a factor; of eDSCW the inverse mean, the mean of u, a factor
    and an addend; IDW's are those of `triton_inverse`.
    """
    nothing = tl.zeros_like(values[0])
    known = ()
    similar, largest = nothing, nothing
    if INVERSE == MODE:
        known = _inverse_known(values, inside, g, EXACT, WHOLE)
    if EM & MODE:
        top = _top(values, inside, WHOLE)
        e_sum, e_dot = nothing, nothing
        for i in tl.static_range(len(values)):
            e = _counted(_exponential(values[i], top, NARROW), inside[i], 0.0, WHOLE)
            e_sum += e
            e_dot += e * values[i]
        inverse = _inverse(e_sum)
        largest = e_dot * inverse
        # The difference is 0, or NaN in a window with -∞, whose weight is 0.
        known += (top, largest, g * (1 - beta) * inverse + (largest - largest))
    if SIMILAR & MODE:
        over, mean = _over(values, inside, WHOLE, HALF)
        f_sum, u_dot = nothing, nothing
        for i in tl.static_range(len(values)):
            u, _, _, f = _ratio(values[i], over)
            f = _counted(f, inside[i], 0.0, WHOLE)
            f_sum += f
            u_dot += f * u
        inverse = _inverse(f_sum)
        u_mean, factor = u_dot * inverse, g * beta * inverse
        similar = u_mean * mean
        addend = nothing
        if EXACT:
            for i in tl.static_range(len(values)):
                u, r, _, f = _ratio(values[i], over)
                turn = _turn(values[i], u, r, f, u_mean)
                addend += _counted(turn * u, inside[i], 0.0, WHOLE)
            addend = addend * factor * (-1 / _count(inside, WHOLE))
        known += (over, u_mean, factor, addend)
    return known, g * (similar - largest)


@triton.jit
def _pull(v, known, MODE: tl.constexpr, EXACT: tl.constexpr, NARROW: tl.constexpr):
    """An element's gradient from one window."""
    found = tl.zeros_like(v)
    if INVERSE == MODE:
        found = _inverse_pull(v, known, EXACT)
    if EM & MODE:
        e = known[2] * _exponential(v, known[0], NARROW)
        if EXACT:
            e = e * (1 + (v - known[1]))
        found += e
    if SIMILAR & MODE:
        at: tl.constexpr = len(known) - 4
        u, r, _, f = _ratio(v, known[at])
        if EXACT:
            f = f + _turn(v, u, r, f, known[at + 1])
        found += f * known[at + 2] + known[at + 3]
    return found


@triton.jit
def _windows(x, g, share, place, exists, planes, channels, size, out, SHAPE: tl.constexpr,
             MODE: tl.constexpr, EXACT: tl.constexpr, PAIRS: tl.constexpr, WHOLE: tl.constexpr,
             LAST: tl.constexpr, PER_CHANNEL: tl.constexpr, PER_POSITION: tl.constexpr,
             ALIGN: tl.constexpr, UNIT: tl.constexpr):  # fmt: skip
    """Elements of a block's windows, what they share, and β's gradient."""
    values, inside = _elements(
        x, place, planes, size, channels, SHAPE, PAIRS, WHOLE, LAST, ALIGN, UNIT
    )
    at = _offset(place, place[1], place[2], place[4], out, channels, ALIGN, LAST)
    slope = tl.load(g + at, exists, 0.0).to(tl.float32)
    if (EM | SIMILAR) == MODE:
        beta = _beta(share, place, exists, out, PER_CHANNEL, PER_POSITION)
    else:
        beta = 1.0 if SIMILAR == MODE else 0.0
    half: tl.constexpr = x.dtype.element_ty != tl.float32
    narrow: tl.constexpr = x.dtype.element_ty == tl.float16
    known, to_beta = _known(values, inside, slope, beta, MODE, EXACT, WHOLE, half, narrow)
    return values, known, at, to_beta


@triton.jit
def _store_beta(to_beta, gradient, at, exists, PER_PIECE: tl.constexpr, PIECES: tl.constexpr):
    """β's gradient: of each output, or summed over each piece."""
    if PER_PIECE:
        sums = tl.sum(tl.where(exists, gradient, 0.0), 1)
        piece = tl.program_id(0).to(tl.int64) * PIECES + tl.arange(0, PIECES)
        tl.store(to_beta + piece, sums)
    else:
        tl.store(to_beta + at, gradient, exists)


@triton.jit
def backward_apart(x, g, share, to_x, to_beta, planes, channels, parts, size, out,
                   SHAPE: tl.constexpr, MODE: tl.constexpr, EXACT: tl.constexpr,
                   LEARN: tl.constexpr, PER_PIECE: tl.constexpr, PAIRS: tl.constexpr,
                   WHOLE: tl.constexpr, LAST: tl.constexpr, PER_CHANNEL: tl.constexpr,
                   PER_POSITION: tl.constexpr, ALIGN: tl.constexpr, ALIGN_OUT: tl.constexpr,
                   UNIT: tl.constexpr, PIECES: tl.constexpr, WIDE: tl.constexpr):  # fmt: skip
    """Gradients of x, and of β if `LEARN`, for windows that do not overlap."""
    narrow: tl.constexpr = x.dtype.element_ty == tl.float16
    size, out = _aligned(size, ALIGN, LAST), _aligned(out, ALIGN_OUT, LAST)
    place = _place(out, parts, channels, UNIT, PIECES, LAST, WIDE)
    exists = _exists(place, planes, out, channels, LAST)
    values, known, at, beta_gradient = _windows(
        x, g, share, place, exists, planes, channels, size, out, SHAPE, MODE, EXACT, PAIRS, WHOLE,
        LAST, PER_CHANNEL, PER_POSITION, ALIGN, UNIT,
    )  # fmt: skip
    if LEARN:
        _store_beta(to_beta, beta_gradient, at, exists, PER_PIECE, PIECES)
    ROWS: tl.constexpr = SHAPE[0][0] * SHAPE[0][1]
    TAPS: tl.constexpr = SHAPE[0][2]
    STEP: tl.constexpr = 2 if PAIRS else 1
    for k in tl.static_range(ROWS):
        deep, high = _row(place, k, SHAPE)
        row = _row_inside(place[0] < planes, deep, high, size, WHOLE)
        for j in tl.static_range(0, TAPS, STEP):
            found = _pull(values[k * TAPS + j], known, MODE, EXACT, narrow)
            if PAIRS:
                after = _pull(values[k * TAPS + j + 1], known, MODE, EXACT, narrow)
                found = tl.reshape(tl.join(found, after), (PIECES, 2 * UNIT))
                past = place[3] * 2 + tl.arange(0, 2 * UNIT)[None, :]
                column = past - SHAPE[2][2]
                own = row & (past < out[2] * 2)
            else:
                column = place[4] * SHAPE[1][2] + (j * SHAPE[3][2] - SHAPE[2][2])
                own = row & exists
            into = to_x + _offset(place, deep, high, column, size, channels, ALIGN, LAST)
            tl.store(
                into, found.to(to_x.dtype.element_ty), _column_inside(own, column, size, WHOLE)
            )


@triton.jit
def survey(x, g, share, kept, to_beta, count, planes, channels, parts, size, out,
           SHAPE: tl.constexpr, MODE: tl.constexpr, EXACT: tl.constexpr, LEARN: tl.constexpr,
           PER_PIECE: tl.constexpr, PAIRS: tl.constexpr, WHOLE: tl.constexpr, LAST: tl.constexpr,
           PER_CHANNEL: tl.constexpr, PER_POSITION: tl.constexpr, ALIGN: tl.constexpr,
           ALIGN_OUT: tl.constexpr, UNIT: tl.constexpr, PIECES: tl.constexpr,
           WIDE: tl.constexpr):  # fmt: skip
    """What the elements of each window share, each number `count` behind the one before."""
    size, out = _aligned(size, ALIGN, LAST), _aligned(out, ALIGN_OUT, LAST)
    place = _place(out, parts, channels, UNIT, PIECES, LAST, WIDE)
    exists = _exists(place, planes, out, channels, LAST)
    _, known, at, beta_gradient = _windows(
        x, g, share, place, exists, planes, channels, size, out, SHAPE, MODE, EXACT, PAIRS, WHOLE,
        LAST, PER_CHANNEL, PER_POSITION, ALIGN, UNIT,
    )  # fmt: skip
    if LEARN:
        _store_beta(to_beta, beta_gradient, at, exists, PER_PIECE, PIECES)
    for i in tl.static_range(len(known)):
        tl.store(kept + at, known[i], exists)
        at += count


@triton.jit
def _covering(position, j, axis: tl.constexpr, out, SHAPE: tl.constexpr):
    """The j-th last window that may hold a position along an axis, and whether it does."""
    begin = position + SHAPE[2][axis]
    window = begin // SHAPE[1][axis] - j
    tap = begin % SHAPE[1][axis] + j * SHAPE[1][axis]
    holds = (window >= 0) & (window < out[axis]) & (tap % SHAPE[3][axis] == 0)
    return window, holds & (tap <= SHAPE[3][axis] * (SHAPE[0][axis] - 1))


@triton.jit
def gather(x, kept, to_x, count, planes, channels, parts, size, out, SHAPE: tl.constexpr,
           COVER: tl.constexpr, NUMBERS: tl.constexpr, MODE: tl.constexpr, EXACT: tl.constexpr,
           LAST: tl.constexpr,
           ALIGN: tl.constexpr, UNIT: tl.constexpr, PIECES: tl.constexpr,
           WIDE: tl.constexpr):  # fmt: skip
    """Gradient of x from all windows; a position is in at most `COVER` of them along each axis."""
    narrow: tl.constexpr = x.dtype.element_ty == tl.float16
    size = _aligned(size, ALIGN, LAST)
    place = _place(size, parts, channels, UNIT, PIECES, LAST, WIDE)
    exists = _exists(place, planes, size, channels, LAST)
    at = _offset(place, place[1], place[2], place[4], size, channels, ALIGN, LAST)
    v = tl.load(x + at, exists, 0.0).to(tl.float32)
    total = tl.zeros_like(v)
    ROWS: tl.constexpr = COVER[0] * COVER[1]
    COLUMNS: tl.constexpr = COVER[2]
    for k in range(ROWS):
        deep, in_deep = _covering(place[1], k // COVER[1], 0, out, SHAPE)
        high, in_high = _covering(place[2], k % COVER[1], 1, out, SHAPE)
        for j in tl.static_range(COLUMNS):
            column, in_row = _covering(place[4], j, 2, out, SHAPE)
            holds = exists & in_deep & in_high & in_row
            window = kept + _offset(place, deep, high, column, out, channels, ALIGN, LAST)
            known = ()
            for _ in tl.static_range(NUMBERS):
                known += (tl.load(window, holds, 0.0),)
                window += count
            total += tl.where(holds, _pull(v, known, MODE, EXACT, narrow), 0.0)
    tl.store(to_x + at, total.to(to_x.dtype.element_ty), exists)
