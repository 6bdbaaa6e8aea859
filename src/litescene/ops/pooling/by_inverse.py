"""Inverse-distance weighting of sixteen windows side by side; see `survey` for what describes them.

`delta` is the pseudo-Huber distance's, and 0 for the distance itself. Differences from the mean
are taken to more digits than float32 has: of elements near it nothing would be left, and they are
those that weigh. All is relative to the nearest element, so that no inverse overflows.
"""

from __future__ import annotations

import numpy as np

from litescene.core.njit import njit
from litescene.ops.pooling.survey import summed_exactly, survey
from litescene.ops.vectors import (
    INLINE,
    WIDTH,
    all_of,
    load,
    magnitude,
    root,
    store,
    where,
)

_F = np.float32
_STRAIGHT, _FAR, _INF = _F(4096.0), _F(1e37), _F(np.inf)


@njit(**INLINE)
def _slant(far, per_delta):  # type: ignore[no-untyped-def]
    """sqrt(1 + (d/δ)²), which is d/δ itself to float32 where that is large."""
    u = far * per_delta
    straight = u > _STRAIGHT
    u = where(u > _FAR, all_of(_FAR), u)
    bowed = where(straight, all_of(_F(0)), u)
    return where(straight, u, root(bowed * bowed + _F(1)))


@njit(**INLINE)
def _differences(taps, inside, count, whole, scale, number, kept):  # type: ignore[no-untyped-def]
    """Each element's difference from the mean to `kept`; the mean, what it lacks, the nearest."""
    total, rest = summed_exactly(taps, count, scale)
    mean = total / number
    lack = ((total - mean * number) + rest) / number
    nearest = all_of(_INF)
    for t in range(count):
        away = (load(taps, t * WIDTH) * scale - mean) - lack
        store(kept, 2 * t * WIDTH, away)
        far = magnitude(away)
        if not whole:
            far = where(load(inside, t * WIDTH) > _F(0), far, all_of(_INF))
        nearest = where(far < nearest, far, nearest)
    return mean, lack, nearest


@njit(**INLINE)
def _weight(away, nearest, per_delta, nearest_slant, huber):  # type: ignore[no-untyped-def]
    """Inverse distance relative to the nearest's, and the distance's relative slope.

    Elements at the mean share the window, and have no slope.
    """
    far = magnitude(away)
    shared, at_mean = nearest == _F(0), far == _F(0)
    here = where(at_mean, all_of(_F(1)), all_of(_F(0)))
    over = all_of(_F(1)) / where(at_mean, all_of(_F(1)), away)
    inverse, slope = nearest * magnitude(over), over
    if huber:
        # d²/(slant + 1) is the distance without cancellation
        slant = _slant(far, per_delta)
        inverse = inverse * inverse * ((slant + _F(1)) / (nearest_slant + _F(1)))
        slope = over * (all_of(_F(1)) + all_of(_F(1)) / slant)
    return where(shared, here, inverse), where(shared, all_of(_F(0)), slope)


@njit(**INLINE)
def _per_delta(unit, delta):  # type: ignore[no-untyped-def]
    found = unit * _F(1.0 / delta if delta > 0 else 0.0)
    return where(found > _FAR, all_of(_FAR), found)


@njit(**INLINE)
def answer(taps, inside, count, whole, delta, kept):  # type: ignore[no-untyped-def]
    """The output of sixteen windows."""
    _, scale, unit, number = survey(taps, inside, count, whole)
    mean, lack, nearest = _differences(taps, inside, count, whole, scale, number, kept)
    per_delta = _per_delta(unit, delta)
    nearest_slant = _slant(nearest, per_delta)
    total, dot = all_of(_F(0)), all_of(_F(0))
    for t in range(count):
        away = load(kept, 2 * t * WIDTH)
        w, _ = _weight(away, nearest, per_delta, nearest_slant, delta > 0)
        if not whole:
            w = w * load(inside, t * WIDTH)
        total += w
        dot += w * away
    return (mean + (lack + dot / total)) * unit


@njit(**INLINE)
def pull(taps, inside, count, whole, delta, g, exact, kept, back, at, step):  # type: ignore[no-untyped-def]
    """The gradients of the elements to `back`, see `lanes.pull`; 0 for β.

    With r_j the relative slope of element j's distance and b_j = -w_j (x_j - y) r_j it is
    w_j + b_j less the mean of all b.
    """
    _, scale, unit, number = survey(taps, inside, count, whole)
    _, _, nearest = _differences(taps, inside, count, whole, scale, number, kept)
    per_delta = _per_delta(unit, delta)
    nearest_slant = _slant(nearest, per_delta)
    zero = all_of(_F(0))
    total, dot, slopes, slopes_dot = zero, zero, zero, zero
    for t in range(count):
        away = load(kept, 2 * t * WIDTH)
        w, slope = _weight(away, nearest, per_delta, nearest_slant, delta > 0)
        if not whole:
            w = w * load(inside, t * WIDTH)
        slope = w * slope
        store(back, at + t * step, w)
        store(kept, (2 * t + 1) * WIDTH, slope)
        total += w
        dot += w * away
        slopes += slope
        slopes_dot += slope * away
    over = g / total
    shift = dot / total
    to_all = (slopes_dot - slopes * shift) / number
    for t in range(count):
        d = load(back, at + t * step)
        if exact:
            away, slope = load(kept, 2 * t * WIDTH), load(kept, (2 * t + 1) * WIDTH)
            d += to_all - slope * (away - shift)
        store(back, at + t * step, d * over)
    return zero
