"""Between memory and the sixteen places of a vector, for the CPU kernels."""

from __future__ import annotations

import numpy as np
from numba import njit

from litescene.ops.pooling.vectors import (
    INLINE,
    WIDTH,
    all_of,
    between,
    load,
    load_apart,
    store,
)


@njit(**INLINE)
def places(size, out, stride, padding, dilation, taps, step, found):  # type: ignore[no-untyped-def]
    """Positions times `step` along an axis that window `out` has in the input; how many."""
    count = 0
    for i in range(taps):
        at = out * stride - padding + i * dilation
        if 0 <= at < size:
            found[count] = at * step
            count += 1
    return count


@njit(**INLINE)
def fetch(x, size, at, stride, low, high, into, to):  # type: ignore[no-untyped-def]
    """into[to : to + 16] = x[at], x[at + stride], …; 0 outside the places from low up to high.

    x has `size` elements. What lies there in memory is read, and 0 put in its place: a read with a mask is no
    faster, and many machines have none.
    """
    if at < 0 or at + (WIDTH - 1) * stride >= size or stride > 2:
        store(into, to, all_of(np.float32(0)))
        for o in range(low, high):
            into[to + o] = x[at + o * stride]
        return
    value = load(x, at) if stride == 1 else load_apart(x, at)
    if low > 0 or high < WIDTH:
        value = between(value, low, high)
    store(into, to, value)


@njit(**INLINE)
def put(value, into, to, count, scratch):  # type: ignore[no-untyped-def]
    """into[to : to + count] = the first places of a vector."""
    if count == WIDTH:
        store(into, to, value)
        return
    store(scratch, 0, value)
    for o in range(count):
        into[to + o] = scratch[o]


@njit(**INLINE)
def add(value, into, to, low, high, scratch):  # type: ignore[no-untyped-def]
    """into[to + low : to + high] += the places from low up to high."""
    if low <= 0 and high >= WIDTH:
        store(into, to, load(into, to) + value)
        return
    store(scratch, 0, value)
    for o in range(max(low, 0), min(high, WIDTH)):
        into[to + o] += scratch[o]


@njit(**INLINE)
def share_of(share, shape, major, minor):  # type: ignore[no-untyped-def]
    """β of sixteen windows from `major`×`minor` values of which each may be 1 for all.

    There has to be room for a vector beyond its end.
    """
    at = major % shape[0] * shape[1]
    if shape[1] == 1:
        return all_of(share[at])
    return load(share, at + minor)
