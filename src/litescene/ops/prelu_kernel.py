"""PReLU and its gradients on rows of bfloat16 or float32 channels, as numba kernels.

Arrays are flat, rows×channels with the channels together, as in channels-last memory. `slopes`
holds one slope per value of a block of whole rows, so that the inner loop is long whatever the
number of channels; the array may end within a block. Indices are masked, which tells the compiler
that they are not negative: an index that might be would keep it from vector instructions.
"""

from __future__ import annotations

import numpy as np

from litescene.core.njit import njit
from litescene.ops.bfloat16 import narrowed, widened

PARTS = 16
"""What the work is shared out in: always as many, so that sums do not depend on the threads."""

_ZERO = np.float32(0)
_POSITIVE = 0x7FFF_FFFF_FFFF


@njit(inline="always")
def _bounds(part, size, total):  # type: ignore[no-untyped-def]
    """Where a part begins and ends, in whole blocks."""
    blocks = (total + size - 1) // size
    return part * blocks // PARTS * size, min((part + 1) * blocks // PARTS * size, total)


@njit(cache=True, nogil=True)
def forward(x, slopes, y, low, high):  # type: ignore[no-untyped-def]
    """y = max(x, 0) + slope·min(x, 0) in the parts from `low` to `high`."""
    size = slopes.size
    for part in range(low, high):
        begin, end = _bounds(part, size, x.size)
        for at in range(begin, end, size):
            for i in range(min(size, end - at)):
                read = x[(at + i) & _POSITIVE]
                v = widened(read)
                falling = v * slopes[i & _POSITIVE]
                y[(at + i) & _POSITIVE] = narrowed(falling if v < _ZERO else v, read)


@njit(cache=True, nogil=True, fastmath={"contract"})
def backward(x, g, slopes, to_x, to_slopes, low, high):  # type: ignore[no-untyped-def]
    """Gradient of x, and for each part added to `to_slopes[part]` (float32) that of the slopes."""
    size = slopes.size
    for part in range(low, high):
        begin, end = _bounds(part, size, x.size)
        sums = to_slopes[part]
        for at in range(begin, end, size):
            for i in range(min(size, end - at)):
                read = x[(at + i) & _POSITIVE]
                v, to_y = widened(read), widened(g[(at + i) & _POSITIVE])
                below = v < _ZERO
                falling = to_y * slopes[i & _POSITIVE]
                to_x[(at + i) & _POSITIVE] = narrowed(falling if below else to_y, read)
                sums[i & _POSITIVE] += to_y * v if below else _ZERO
