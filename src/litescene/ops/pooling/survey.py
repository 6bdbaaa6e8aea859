"""What the CPU kernels first find out of sixteen windows: maximum, scale, sum.

`taps[16·t : 16·t + 16]` is element t of the sixteen windows, `count` how many elements they have at
most. Where windows have fewer, `whole` is false, `inside` holds 1 for an element and 0 for none,
and the value of none is 0.

A window's values are computed with in units of the power of two below its largest magnitude: its
scale is that power's inverse, so that nothing overflows and no similarity vanishes. The scale of a
window that is not finite is NaN, which goes into all results.
"""

from __future__ import annotations

import numpy as np

from litescene.core.njit import njit
from litescene.ops.vectors import (
    INLINE,
    WIDTH,
    all_of,
    bits,
    floats,
    load,
    magnitude,
    where,
    whole_of,
)

_F, _I = np.float32, np.int32
_EXPONENT, _INFINITE, _LEAST = _I(0x7F800000), _I(0x7F800000), _I(1 << 23)
_LARGEST, _INVERSE = _I(253 << 23), _I(254 << 23)


@njit(**INLINE)
def survey(taps, inside, count, whole):  # type: ignore[no-untyped-def]
    """Maximum, scale, inverse of the scale, and number of elements."""
    top, big, number = all_of(_F(-np.inf)), whole_of(_I(0)), all_of(_F(count))
    if not whole:
        number = all_of(_F(0))
    for t in range(count):
        x = load(taps, t * WIDTH)
        size = bits(magnitude(x))
        big = where(size > big, size, big)
        if not whole:
            w = load(inside, t * WIDTH)
            number += w
            x = where(w > _F(0), x, all_of(_F(-np.inf)))
        top = where(x > top, x, top)
    unit = big & _EXPONENT
    unit = where(unit < _LEAST, whole_of(_LEAST), unit)
    unit = where(unit > _LARGEST, whole_of(_LARGEST), unit)
    scale = where(big < _INFINITE, floats(whole_of(_INVERSE) - unit), all_of(_F(np.nan)))
    return top, scale, floats(unit), number


@njit(**INLINE)
def summed(taps, count, scale):  # type: ignore[no-untyped-def]
    """Sum of the elements in units of the scale."""
    total = all_of(_F(0))
    for t in range(count):
        total += load(taps, t * WIDTH) * scale
    return total


@njit(**INLINE)
def summed_exactly(taps, count, scale):  # type: ignore[no-untyped-def]
    """Sum of the elements in units of the scale, and what it loses by rounding (Knuth)."""
    total, rest = all_of(_F(0)), all_of(_F(0))
    for t in range(count):
        x = load(taps, t * WIDTH) * scale
        after = total + x
        added = after - total
        rest += (total - (after - added)) + (x - added)
        total = after
    return total, rest
