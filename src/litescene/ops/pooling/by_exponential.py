"""eM, eDSCW and AdaPool of sixteen windows side by side; see `survey` for what describes them.

Both exponentials are polynomials with an error below 2e-7 (minimax fits of 2^f on [-1/2, 1/2] with
the value 1 at 0, and of (e^(2s) - 1)/s on [0, 1/2]). Their terms are summed up in pairs, as in
Estrin's scheme: a chain of one power after the other keeps the processor waiting. Of the
similarity's exponential only what it has above 1 is summed up: with m the mean and e = e^s - 1

    Σ e^s·x / Σ e^s = (K·m + Σ e·x) / (K + Σ e)

loses no digit where m is small, and slopes of the similarity grow with the inverse of m.
"""

from __future__ import annotations

import numpy as np

from litescene.core.njit import njit
from litescene.ops.pooling.survey import summed, summed_exactly, survey
from litescene.ops.pooling.weighting import EM, SIMILAR
from litescene.ops.vectors import (
    INLINE,
    WIDTH,
    all_of,
    bits,
    floats,
    load,
    magnitude,
    signed_by,
    store,
    where,
)

_F = np.float32
_LOG2E, _MAGIC, _LOWEST, _SHIFT = _F(1.4426950408889634), _F(12582912.0), _F(-88.0), np.int32(23)
_TINY, _NOTHING = _F(1e-37), _F(1e-30)


@njit(**INLINE)
def exp_below(t):  # type: ignore[no-untyped-def]
    """e^t for t from -88 to 0; exactly 1 at 0."""
    z = t * _LOG2E
    rounded = z + _MAGIC
    f = z - (rounded - _MAGIC)
    q = f * f
    low = f * _F(0.6931470036506653) + _F(1.0)
    middle = f * _F(0.05550733581185341) + _F(0.24022242426872253)
    high = f * _F(0.001326472731307149) + _F(0.009671512991189957)
    p = (high * q + middle) * q + low
    return floats(bits(p) + (bits(rounded) << _SHIFT))


@njit(**INLINE)
def exp_more(s):  # type: ignore[no-untyped-def]
    """e^(2s) - 1 for s from 0 to 1/2."""
    q = s * s
    low = s * _F(2.000035285949707) + _F(1.999999761581421)
    middle = s * _F(0.6740456819534302) + _F(1.3324825763702393)
    high = s * _F(0.13661031424999237) + _F(0.23840771615505219)
    return ((high * q + middle) * q + low) * s


@njit(**INLINE)
def _below(x, top):  # type: ignore[no-untyped-def]
    """x less the maximum, at least -88: what is farther away weighs nothing."""
    t = x - top
    return where(t > _LOWEST, t, all_of(_LOWEST))


@njit(**INLINE)
def _largest(taps, inside, count, whole, scale, top):  # type: ignore[no-untyped-def]
    """eM of sixteen windows."""
    total, dot = all_of(_F(0)), all_of(_F(0))
    for t in range(count):
        below = _below(load(taps, t * WIDTH), top)
        e = exp_below(below)
        if not whole:
            e = e * load(inside, t * WIDTH)
        total += e
        dot += e * below
    return top + (dot / total + (scale - scale))  # NaN where the window is not finite


@njit(**INLINE)
def _similar(taps, count, scale, number):  # type: ignore[no-untyped-def]
    """eDSCW of sixteen windows; where the mean is 0 any weights give 0."""
    all_x = summed(taps, count, scale)
    mean = all_x / number
    size, square = magnitude(mean), mean * mean + _TINY
    more, dot = all_of(_F(0)), all_x
    for t in range(count):
        x = load(taps, t * WIDTH) * scale
        e = exp_more(magnitude(x) * size / (x * x + square))
        more += e
        dot += e * x
    return dot / (number + more)


@njit(**INLINE)
def answer(taps, inside, count, whole, share, mode):  # type: ignore[no-untyped-def]
    """The output of sixteen windows."""
    top, scale, unit, number = survey(taps, inside, count, whole)
    if mode == EM:
        return _largest(taps, inside, count, whole, scale, top)
    similar = _similar(taps, count, scale, number) * unit
    if mode == SIMILAR:
        return similar
    largest = _largest(taps, inside, count, whole, scale, top)
    return share * similar + (all_of(_F(1)) - share) * largest


@njit(**INLINE)
def _pull_largest(taps, inside, count, whole, scale, top, g, exact, kept, back, at, step):  # type: ignore[no-untyped-def]
    """eM's part of the gradient to `back`; answers eM."""
    total, dot = all_of(_F(0)), all_of(_F(0))
    for t in range(count):
        below = _below(load(taps, t * WIDTH), top)
        e = exp_below(below)
        if not whole:
            e = e * load(inside, t * WIDTH)
        store(back, at + t * step, e)
        store(kept, 2 * t * WIDTH, below)
        total += e
        dot += e * below
    value = dot / total
    # a window that is not finite has a gradient that is not, even where weights are constants
    pull = g / total + (scale - scale)
    for t in range(count):
        d = load(back, at + t * step) * pull
        if exact:
            d += d * (load(kept, 2 * t * WIDTH) - value)
        store(back, at + t * step, d)
    return top + value


@njit(**INLINE)
def _pull_similar(taps, inside, count, whole, scale, number, g, exact, kept, back, at, step):  # type: ignore[no-untyped-def]
    """Add eDSCW's part of the gradient to `back`; answers eDSCW.

    With c = 2 sgn(xm) (m² - x²) / (x² + m²)² it is ds/dx = c·m and ds/dm = -c·x.
    """
    all_x, rest = summed_exactly(taps, count, scale)
    mean = (all_x + rest) / number
    square = mean * mean
    more, dot = all_of(_F(0)), all_x + rest
    slopes, slopes_dot = all_of(_F(0)), all_of(_F(0))
    for t in range(count):
        x = load(taps, t * WIDTH) * scale
        product, squares = x * mean, x * x + square
        nothing = squares <= _NOTHING
        inverse = all_of(_F(1)) / where(nothing, all_of(_F(1)), squares)
        e = exp_more(where(nothing, all_of(_F(0.5)), magnitude(product) * inverse))
        c = (square - x * x) * inverse * (inverse + inverse)
        c = where(nothing | (product == _F(0)), all_of(_F(0)), signed_by(c, product))
        weight = e + _F(1)
        if not whole:
            present = load(inside, t * WIDTH)
            weight, e = weight * present, e * present
        store(kept, 2 * t * WIDTH, weight)
        store(kept, (2 * t + 1) * WIDTH, c)
        more += e
        dot += e * x
        c = weight * c * x
        slopes += c
        slopes_dot += c * x
    inverse = all_of(_F(1)) / (number + more)
    value = dot * inverse
    pull = g * inverse
    to_all = pull * (slopes * value - slopes_dot) / number
    for t in range(count):
        d = load(kept, 2 * t * WIDTH) * pull
        if exact:
            x = load(taps, t * WIDTH) * scale
            d += d * (x - value) * (load(kept, (2 * t + 1) * WIDTH) * mean) + to_all
        store(back, at + t * step, load(back, at + t * step) + d)
    return value


@njit(**INLINE)
def pull(taps, inside, count, whole, g, share, mode, exact, kept, back, at, step):  # type: ignore[no-untyped-def]
    """The gradients of sixteen windows: to back[at + t·step :] that of element t; answers β's.

    g is that of the output; `kept` is scratch for two vectors per element. What it gives to the
    places of none is to be ignored.
    """
    top, scale, unit, number = survey(taps, inside, count, whole)
    none = all_of(_F(0))
    g_largest, g_similar = g, g
    if mode == EM | SIMILAR:
        g_largest, g_similar = g * (all_of(_F(1)) - share), g * share
    largest, similar = none, none
    if mode & EM:
        largest = _pull_largest(
            taps, inside, count, whole, scale, top, g_largest, exact, kept, back, at, step
        )
    else:
        for t in range(count):
            store(back, at + t * step, none)
    if mode & SIMILAR:
        similar = _pull_similar(
            taps, inside, count, whole, scale, number, g_similar, exact, kept, back, at, step
        )
    return g * (similar * unit - largest)
