"""Between memory and the sixteen places of a vector, for the CPU kernels."""

from __future__ import annotations

import numpy as np

from litescene.core.njit import njit
from litescene.ops.vectors import (
    INLINE,
    WIDTH,
    all_of,
    between,
    evens,
    load,
    load_apart,
    load_one,
    odds,
    store,
)


@njit(**INLINE)
def fetch(x, size, at, stride, low, high, into, to):  # type: ignore[no-untyped-def]
    """into[to : to + 16] = x[at], x[at + stride], …; 0 outside the places from low up to high.

    x has `size` elements. What lies outside the places is read all the same where it is x's, and 0
    put in its stead: a load that leaves out places is no faster, and many machines have none.
    """
    if at < 0 or at + (WIDTH - 1) * stride >= size or stride > 2:
        store(into, to, all_of(np.float32(0)))
        for o in range(low, high):
            into[to + o] = load_one(x, at + o * stride)
        return
    value = load(x, at) if stride == 1 else load_apart(x, at)
    if low > 0 or high < WIDTH:
        value = between(value, low, high)
    store(into, to, value)


@njit(**INLINE)
def fetch_row(x, at, ninth, columns, stride, dilation, into, to):  # type: ignore[no-untyped-def]
    """As `fetch` for all columns of a row of sixteen whole windows, with a stride of 1 or 2.

    Neighbours two apart are the halves of what is read once. Of a window two wide the ninth may
    be anywhere; otherwise x[ninth] is where the stride leads to.
    """
    j = 0
    if stride == 2 and dilation == 1:
        while j + 1 < columns:
            left, right = load(x, at + j), load(x, ninth + j)
            store(into, to + j * WIDTH, evens(left, right))
            store(into, to + (j + 1) * WIDTH, odds(left, right))
            j += 2
    while j < columns:
        here = at + j * dilation
        store(into, to + j * WIDTH, load(x, here) if stride == 1 else load_apart(x, here))
        j += 1


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
def add(value, into, to, low, high, fresh, scratch):  # type: ignore[no-untyped-def]
    """Add the places from low up to high to into[to + low : to + high]; write them if `fresh`."""
    if low <= 0 and high >= WIDTH:
        if not fresh:
            value = load(into, to) + value
        store(into, to, value)
        return
    store(scratch, 0, value)
    for o in range(max(low, 0), min(high, WIDTH)):
        into[to + o] = scratch[o] if fresh else into[to + o] + scratch[o]


@njit(**INLINE)
def share_of(share, shape, major, minor):  # type: ignore[no-untyped-def]
    """β of sixteen neighbours, from `major`×`minor` values of which each may be 1: for all.

    Behind the last value there are as many that are not looked at.
    """
    at = major % shape[0] * shape[1]
    if shape[1] == 1:
        return all_of(share[at])
    return load(share, at + minor)
