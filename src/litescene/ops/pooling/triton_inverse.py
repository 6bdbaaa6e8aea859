# mypy: disable-error-code="no-untyped-def, assignment"
"""IDW, with the distance itself, for the Triton kernels; see `triton_kernel` for the names.

Elements are taken relative to the mean, a = x - m, with what the mean loses by rounding: where an
element is near the mean, its distance would else have few digits. With w the weights and y the
output less the mean, the exact gradient is w·y/a + (1 - y·Σ w/a) / K, and w itself in a window with
elements at the mean.
"""

from __future__ import annotations

import triton
import triton.language as tl

from litescene.ops.pooling.triton_blocks import LEAST, _count, _counted, _inverse, _sums


@triton.jit
def _away(v, mean, rest):
    """x - m, and 0 for a distance whose inverse would not be finite."""
    away = (v - mean) - rest
    return tl.where(tl.abs(away) < LEAST, 0.0, away)


@triton.jit
def _near(away, nearest):
    """The weight but for a factor: at most 1; elements at the mean share their window."""
    at_mean = tl.where(away == 0, 1.0, 0.0 * away)
    inverse = _inverse(tl.where(away == 0, 1.0, tl.abs(away)))
    return tl.where(nearest == 0, at_mean, nearest * inverse)


@triton.jit
def _inverse_distances(values, inside, WHOLE: tl.constexpr):
    """Of a window the mean, what it lost, the smallest distance, Σ w, and Σ w·a / Σ w."""
    count = _count(inside, WHOLE)
    total, lost = _sums(values, True)
    mean = (total + lost) / count
    rest = (tl.fma(-mean, count + tl.zeros_like(mean), total) + lost) / count
    nearest = _counted(tl.abs(_away(values[0], mean, rest)), inside[0], float("inf"), WHOLE)
    for i in tl.static_range(1, len(values)):
        away = _counted(tl.abs(_away(values[i], mean, rest)), inside[i], float("inf"), WHOLE)
        nearest = tl.minimum(nearest, away, propagate_nan=tl.PropagateNan.ALL)
    weights, dot = tl.zeros_like(mean), tl.zeros_like(mean)
    for i in tl.static_range(len(values)):
        away = _away(values[i], mean, rest)
        w = _counted(_near(away, nearest), inside[i], 0.0, WHOLE)
        weights += w
        dot += w * away
    return mean, rest, nearest, weights, dot * _inverse(weights)


@triton.jit
def _inverse_known(values, inside, g, EXACT: tl.constexpr, WHOLE: tl.constexpr):
    """What the gradients of a window's elements share.

    The mean, what it lost, the smallest distance, the output less the mean, a factor, an addend.
    """
    mean, rest, nearest, weights, output = _inverse_distances(values, inside, WHOLE)
    factor = g * _inverse(weights)
    addend = tl.zeros_like(mean)
    if EXACT:
        slopes = tl.zeros_like(mean)
        for i in tl.static_range(len(values)):
            away = _away(values[i], mean, rest)
            pull = _near(away, nearest) / tl.where(away == 0, 1.0, away)
            slopes += _counted(pull, inside[i], 0.0, WHOLE)
        addend = (g - factor * output * slopes) / _count(inside, WHOLE)
        addend = tl.where(nearest == 0, 0.0, addend)
    return mean, rest, nearest, output, factor, addend


@triton.jit
def _inverse_pull(v, known, EXACT: tl.constexpr):
    """An element's gradient from one window."""
    away = _away(v, known[0], known[1])
    found = known[4] * _near(away, known[2])
    if EXACT:
        slope = known[3] / tl.where(away == 0, 1.0, away)
        found = found * tl.where(known[2] == 0, 1.0, slope) + known[5]
    return found
