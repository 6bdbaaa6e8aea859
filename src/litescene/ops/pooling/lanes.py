"""Steps of AdaPool's CPU kernel over lanes: up to 128 windows that are computed side by side.

A lane is a window; lanes are neighbours along a row. All that is known of them so far stands in one
flat array, row by row (`SUM`, `TOP`, …), so that the compiler sees that the rows do not overlap and
makes vector instructions of the loops. Each step takes one element of n windows: `v[at + o]` is
that of lane `low + o`. Offsets are masked, which tells the compiler that they are not negative: an
index that might be would need a test for each element, and no vector instruction came of it.
Slices instead of offsets would be counted as references, which took as long as the arithmetic.

float32 throughout. exp is a polynomial with a relative error below 1e-7 (a minimax fit of degree 5
for 2^f on [-1/2, 1/2], of degree 6 for e^(2h) on [-1/4, 1/4]). The similarity does not depend on
the scale, so it is computed of values divided by the power of two below the window's largest
magnitude.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from litescene.ops.pooling.weighting import EM, SIMILAR

LANES = 128
WIDTH = 16
"""Lanes of a vector register; loops over a multiple of it have no slow rest."""

(
    SUM, REST, TOP, BIG, SCALE, MEAN, SIZE, SQUARE, COUNT, BETA,
    E_SUM, E_DOT, F_SUM, F_DOT, Q_SUM, Q_DOT,
    TO_E, TO_F, TO_ALL, E_MEAN, F_MEAN,
) = (row * LANES for row in range(21))  # fmt: skip
ROWS = 21

_F = np.float32
_LOG2E, _MAGIC, _LOWEST = _F(1.4426950408889634), _F(12582912.0), _F(-125.0)
_BIAS, _EXPONENT, _SHIFT = np.int32(0x7F000000), np.int32(0x7F800000), np.int32(23)
POSITIVE = 0x7FFF_FFFF_FFFF
"""Mask of offsets, far above any array: with 31 bits those of large inputs would wrap."""
_TINY, _NOTHING, _NAN, _INF = _F(1e-37), _F(1e-30), _F(np.nan), _F(np.inf)

# No reassociation, and NaN and infinities stay what they are.
_FAST: dict[str, Any] = {
    "cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"},
}  # fmt: skip


@intrinsic
def _bits(_: Any, x: Any) -> Any:
    """The int32 with the bits of a float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.int32))

    return types.int32(types.float32), generate


@intrinsic
def _float(_: Any, bits: Any) -> Any:
    """The float32 with the bits of an int32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.int32), generate


@njit(inline="always")
def _exp_below(t):  # type: ignore[no-untyped-def]
    """e^t for t ≤ 0; below -86 a value that is as good as 0."""
    z = t * _LOG2E
    z = z if z > _LOWEST else _LOWEST
    rounded = z + _MAGIC
    f = z - (rounded - _MAGIC)
    p = _F(0.001327647129073739)
    p = p * f + _F(0.009675540961325169)
    p = p * f + _F(0.05550713092088699)
    p = p * f + _F(0.24022120237350464)
    p = p * f + _F(0.6931469440460205)
    p = p * f + _F(1.0000001192092896)
    return _float(_bits(p) + (_bits(rounded) << _SHIFT))


@njit(inline="always")
def _exp_twice(s):  # type: ignore[no-untyped-def]
    """e^(2s) for s from 0 to 1/2."""
    h = s - _F(0.25)
    p = _F(0.1454121470451355)
    p = p * h + _F(0.44418779015541077)
    p = p * h + _F(1.0993248224258423)
    p = p * h + _F(2.1981565952301025)
    p = p * h + _F(3.297437906265259)
    p = p * h + _F(3.2974436283111572)
    return p * h + _F(1.6487213373184204)


@njit(**_FAST)
def begin(a, n):  # type: ignore[no-untyped-def]
    """No element seen yet."""
    for o in range(n):
        a[SUM + o] = _F(0)
        a[REST + o] = _F(0)
        a[TOP + o] = -_INF
        a[BIG + o] = _F(0)
        a[E_SUM + o] = _F(0)
        a[E_DOT + o] = _F(0)
        a[F_SUM + o] = _F(0)
        a[F_DOT + o] = _F(0)
        a[Q_SUM + o] = _F(0)
        a[Q_DOT + o] = _F(0)


@njit(**_FAST)
def survey(v, at, a, low, n):  # type: ignore[no-untyped-def]
    """Sum, maximum and largest magnitude.

    What the sum loses by rounding is kept (Knuth's two-sum), for slopes of the similarity grow with
    the inverse of the mean: with a plain sum a mean near 0 has no digit left.
    """
    at, low, n = at & POSITIVE, low & POSITIVE, n & POSITIVE
    for o in range(n):
        t, before = v[at + o], a[SUM + low + o]
        after = before + t
        added = after - before
        a[SUM + low + o] = after
        a[REST + low + o] += (before - (after - added)) + (t - added)
        top = a[TOP + low + o]
        a[TOP + low + o] = t if t > top else top
        size, big = abs(t), a[BIG + low + o]
        a[BIG + low + o] = size if size > big else big


@njit(**_FAST)
def settle(a, n):  # type: ignore[no-untyped-def]
    """Scale and mean, from what `survey` saw; NaN as the scale of a window that is not finite."""
    for o in range(n):
        big = a[BIG + o]
        scale = _float(_BIAS - (_bits(big) & _EXPONENT))
        scale = scale if big < _INF else _NAN
        mean = (a[SUM + o] + a[REST + o]) / a[COUNT + o] * scale
        a[SCALE + o] = scale
        a[MEAN + o] = mean
        a[SIZE + o] = abs(mean)
        a[SQUARE + o] = mean * mean


@njit(**_FAST)
def exponentials(v, at, a, low, n):  # type: ignore[no-untyped-def]
    """eM: Σ e^x and Σ x·e^x, x less the maximum in the exponent."""
    at, low, n = at & POSITIVE, low & POSITIVE, n & POSITIVE
    for o in range(n):
        t = v[at + o]
        e = _exp_below(t - a[TOP + low + o])
        a[E_SUM + low + o] += e
        a[E_DOT + low + o] += e * t


@njit(**_FAST)
def likenesses(v, at, a, low, n):  # type: ignore[no-untyped-def]
    """eDSCW: Σ e^s and Σ x·e^s; where the mean is 0 any weights give 0."""
    at, low, n = at & POSITIVE, low & POSITIVE, n & POSITIVE
    for o in range(n):
        t = v[at + o]
        x = abs(t * a[SCALE + low + o])
        f = _exp_twice(x * a[SIZE + low + o] / (x * x + (a[SQUARE + low + o] + _TINY)))
        a[F_SUM + low + o] += f
        a[F_DOT + low + o] += f * t


@njit(**_FAST)
def answer(a, mode, y, at, n):  # type: ignore[no-untyped-def]
    """The output of each lane, to y from `at` on."""
    at, n = at & POSITIVE, n & POSITIVE
    for o in range(n):
        share = a[BETA + o]
        largest = a[E_DOT + o] / a[E_SUM + o]
        similar = a[F_DOT + o] / a[F_SUM + o]
        value = similar if mode == SIMILAR else largest
        if mode == EM | SIMILAR:
            value = share * similar + (_F(1) - share) * largest
        y[at + o] = value + (a[SCALE + o] - a[SCALE + o])  # NaN where the window is not finite


@njit(**_FAST)
def keep_exponentials(v, at, a, low, kept, to, n):  # type: ignore[no-untyped-def]
    """`exponentials`, whose values are kept for the gradient."""
    at, low, n = at & POSITIVE, low & POSITIVE, n & POSITIVE
    to = to & POSITIVE
    for o in range(n):
        t = v[at + o]
        value = _exp_below(t - a[TOP + low + o])
        kept[to + o] = value
        a[E_SUM + low + o] += value
        a[E_DOT + low + o] += value * t


@njit(**_FAST)
def keep_likenesses(v, at, a, low, kept, to, n):  # type: ignore[no-untyped-def]
    """`likenesses` of scaled values with what the gradient needs.

    With c = 2 sgn(xm) (m² - x²) / (x² + m²)² it is ds/dx = c·m and ds/dm = -c·x.
    """
    at, low, n = at & POSITIVE, low & POSITIVE, n & POSITIVE
    to = to & POSITIVE
    for o in range(n):
        x, m = v[at + o] * a[SCALE + low + o], a[MEAN + low + o]
        product, squares = x * m, x * x + a[SQUARE + low + o]
        some = squares > _NOTHING
        inverse = _F(1) / (squares if some else _F(1))
        value = _exp_twice(abs(product) * inverse if some else _F(0.5))
        slope = _F(2) * (a[SQUARE + low + o] - x * x) * inverse * inverse
        slope = slope if product > _F(0) else -slope
        slope = slope if some and product != _F(0) else _F(0)
        kept[to + LANES + o] = value
        kept[to + 2 * LANES + o] = slope
        a[F_SUM + low + o] += value
        a[F_DOT + low + o] += value * x
        a[Q_SUM + low + o] -= value * slope * x
        a[Q_DOT + low + o] -= value * slope * x * x


@njit(**_FAST)
def prepare(a, g, at, exact, mode, to_beta, n):  # type: ignore[no-untyped-def]
    """What the gradient of every element shares, and the gradient of β; g from `at` on."""
    at, n = at & POSITIVE, n & POSITIVE
    for o in range(n):
        share, scale = a[BETA + o], a[SCALE + o]
        bad = scale - scale
        share_e = _F(1) - share if mode == EM | SIMILAR else _F(1)
        share_f = share if mode == EM | SIMILAR else _F(1)
        e_mean, f_mean = a[E_DOT + o] / a[E_SUM + o], a[F_DOT + o] / a[F_SUM + o]
        a[E_MEAN + o] = e_mean
        a[F_MEAN + o] = f_mean
        a[TO_E + o] = g[at + o] * share_e / a[E_SUM + o] + bad
        a[TO_F + o] = g[at + o] * share_f / a[F_SUM + o] + bad
        pull = (a[Q_DOT + o] - f_mean * a[Q_SUM + o]) / a[COUNT + o]
        a[TO_ALL + o] = a[TO_F + o] * pull if exact else _F(0)
        to_beta[at + o] = g[at + o] * (f_mean / scale - e_mean) + bad


@njit(**_FAST)
def pull_exponentials(v, at, a, low, kept, to, exact, into, n):  # type: ignore[no-untyped-def]
    """Add eM's part of the gradient."""
    at, low, n = at & POSITIVE, low & POSITIVE, n & POSITIVE
    to = to & POSITIVE
    if exact:
        for o in range(n):
            into[at + o] += (
                a[TO_E + low + o] * kept[to + o] * (_F(1) + (v[at + o] - a[E_MEAN + low + o]))
            )
    else:
        for o in range(n):
            into[at + o] += a[TO_E + low + o] * kept[to + o]


@njit(**_FAST)
def pull_likenesses(v, at, a, low, kept, to, exact, into, n):  # type: ignore[no-untyped-def]
    """Add eDSCW's part of the gradient."""
    at, low, n = at & POSITIVE, low & POSITIVE, n & POSITIVE
    to = to & POSITIVE
    if exact:
        for o in range(n):
            away = v[at + o] * a[SCALE + low + o] - a[F_MEAN + low + o]
            into[at + o] += (
                a[TO_F + low + o]
                * kept[to + LANES + o]
                * (_F(1) + away * kept[to + 2 * LANES + o] * a[MEAN + low + o])
                + a[TO_ALL + low + o]
            )
    else:
        for o in range(n):
            into[at + o] += a[TO_F + low + o] * kept[to + LANES + o]
