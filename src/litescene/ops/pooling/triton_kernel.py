# mypy: disable-error-code="no-untyped-def, assignment"
"""AdaPool, eM, eDSCW and IDW on GPUs, fused: a Triton kernel that reads x once.

Names and blocks are those of `triton_blocks`. Everything is computed in float32. The similarity
s = 2|xm| / (x² + m²) does not depend on the scale and is computed of u = x/m as 2|u| / (u² + 1).
There are no atomics: every run gives the same bits.
"""

from __future__ import annotations

import triton
import triton.language as tl

from litescene.ops.pooling.triton_blocks import (
    LEAST,
    _aligned,
    _beta,
    _count,
    _counted,
    _elements,
    _exists,
    _inverse,
    _offset,
    _place,
    _sums,
    _top,
)
from litescene.ops.pooling.triton_inverse import _inverse_distances

EM = tl.constexpr(1)
SIMILAR = tl.constexpr(2)
INVERSE = tl.constexpr(4)

LOG2E = tl.constexpr(1.4426950408889634)
FAR = tl.constexpr(1e9)  # |u| beyond which s is 0 in float32; its square is finite


@triton.jit
def _exponential(v, top, NARROW: tl.constexpr):
    if NARROW:
        e = tl.exp2(v * LOG2E - top * LOG2E)
    else:
        e = tl.exp2((v - top) * LOG2E)  # the products above might overflow
    return e


@triton.jit
def _nearness(values, inside, WHOLE: tl.constexpr, NARROW: tl.constexpr):
    """1 / (2 log₂e·|m|), finite."""
    least: tl.constexpr = 1e-9 if NARROW else LEAST  # no mean of float16 but 0 is below 1e-9
    total, _ = _sums(values, False)
    total = tl.maximum(tl.abs(total), least, propagate_nan=tl.PropagateNan.ALL)
    return _inverse(total) * (_count(inside, WHOLE) * (0.5 / LOG2E))


@triton.jit
def _scaled(v, nearness, NARROW: tl.constexpr):
    """t = |u| / (2 log₂e) and t² + 1 / (2 log₂e)²: 2^(first / second) is exp(s)."""
    t = tl.abs(v * nearness)
    if not NARROW:
        t = tl.minimum(t, FAR, propagate_nan=tl.PropagateNan.ALL)
    return t, t * t + 0.25 / (LOG2E * LOG2E)


@triton.jit
def _similarity_exponentials(values, nearness, i: tl.constexpr, NARROW: tl.constexpr):
    """exp(s) of elements i and i + 1, where there are two, by one inverse."""
    t, square = _scaled(values[i], nearness, NARROW)
    if i + 1 < len(values):
        u, other = _scaled(values[i + 1], nearness, NARROW)
        inverse = _inverse(square * other)
        found = (tl.exp2(t * (inverse * other)), tl.exp2(u * (inverse * square)))
    else:
        found = (tl.exp2(t * _inverse(square)),)
    return found


@triton.jit
def forward(x, y, share, planes, channels, parts, size, out, SHAPE: tl.constexpr,
            MODE: tl.constexpr, PAIRS: tl.constexpr, WHOLE: tl.constexpr, LAST: tl.constexpr,
            PER_CHANNEL: tl.constexpr, PER_POSITION: tl.constexpr, ALIGN: tl.constexpr,
            ALIGN_OUT: tl.constexpr, UNIT: tl.constexpr, PIECES: tl.constexpr,
            WIDE: tl.constexpr):  # fmt: skip
    """y of a block of windows."""
    NARROW: tl.constexpr = x.dtype.element_ty == tl.float16
    size, out = _aligned(size, ALIGN, LAST), _aligned(out, ALIGN_OUT, LAST)
    place = _place(out, parts, channels, UNIT, PIECES, LAST, WIDE)
    exists = _exists(place, planes, out, channels, LAST)
    values, inside = _elements(
        x, place, planes, size, channels, SHAPE, PAIRS, WHOLE, LAST, ALIGN, UNIT
    )
    e_sum = tl.zeros_like(values[0])
    e_dot, f_sum, f_dot = e_sum, e_sum, e_sum
    if EM & MODE:
        top = _top(values, inside, WHOLE)
        for i in tl.static_range(len(values)):
            e = _counted(_exponential(values[i], top, NARROW), inside[i], 0.0, WHOLE)
            e_sum += e
            e_dot += e * values[i]
    if SIMILAR & MODE:
        nearness = _nearness(values, inside, WHOLE, NARROW)
        for i in tl.static_range(0, len(values), 2):
            found = _similarity_exponentials(values, nearness, i, NARROW)
            for j in tl.static_range(len(found)):
                f = _counted(found[j], inside[i + j], 0.0, WHOLE)
                f_sum += f
                f_dot += f * values[i + j]
    if INVERSE == MODE:
        mean, rest, _, _, output = _inverse_distances(values, inside, WHOLE)
        result = mean + (rest + output)
    elif EM == MODE:
        result = e_dot * _inverse(e_sum)
    elif SIMILAR == MODE:
        result = f_dot * _inverse(f_sum)
    else:
        beta = _beta(share, place, exists, out, PER_CHANNEL, PER_POSITION)
        both = beta * e_sum * f_dot + (1 - beta) * f_sum * e_dot
        result = both * _inverse(e_sum * f_sum)
    at = _offset(place, place[1], place[2], place[4], out, channels, ALIGN_OUT, LAST)
    tl.store(y + at, result.to(y.dtype.element_ty), exists)
