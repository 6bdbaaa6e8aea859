"""The gradient of a depthwise convolution's kernel on channels-last bfloat16 or float32, by numba.

Arrays are flat, N×H×W×C with the channels together; sums are in float32. A row of the gradient and
a row of the kernel's taps meet in runs of neighbouring pixels, which with stride 1 are one run of
values: every tap has a tile of several pixels to sum up in, so that the inner loops are long
whatever the number of channels. Indices are masked, which tells the compiler that they are not
negative: an index that might be would keep it from vector instructions.
"""

from __future__ import annotations

from typing import Any

from litescene.core.njit import njit
from litescene.ops.bfloat16 import widened

PARTS = 16
"""What sums over pixels are shared out in: always as many, whatever the number of threads."""

_POSITIVE = 0x7FFF_FFFF_FFFF
_FAST: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": {"contract"}}


@njit(inline="always")
def span(offset, stride, length, count):  # type: ignore[no-untyped-def]
    """The o below count, from first to before last, whose o·stride + offset is in the length."""
    first = max(0, (stride - 1 - offset) // stride)
    last = min(count, (length - 1 - offset) // stride + 1)
    return first, max(first, last)


@njit(**_FAST)
def _multiply(sums, tap, size, x, at, step, g, from_, pixels, channels):  # type: ignore[no-untyped-def]
    """Add x times g to a tap's sums."""
    if step == channels:
        total = pixels * channels
        for base in range(0, total, size):
            for k in range(min(size, total - base)):
                sums[(tap + k) & _POSITIVE] += widened(x[(at + base + k) & _POSITIVE]) * widened(
                    g[(from_ + base + k) & _POSITIVE]
                )
        return
    for p in range(pixels):
        for c in range(channels):
            sums[(tap + c) & _POSITIVE] += widened(x[(at + p * step + c) & _POSITIVE]) * widened(
                g[(from_ + p * channels + c) & _POSITIVE]
            )


@njit(**_FAST)
def weight_gradient(x, g, sums, shape, how, low, high):  # type: ignore[no-untyped-def]
    """Added to `sums[part]`, flat taps×tile: the products in the parts from `low` to `high`.

    `shape` is (height, width, rows, columns, channels) of x and g, `how` the kernel's height and
    width, stride, padding and dilation, each vertical first.
    """
    height, width, rows, columns, channels = shape
    (tall, wide), (down, across), (top, left), (dy, dx) = how
    size = sums.shape[1] // (tall * wide)
    total = g.size // (columns * channels)
    for part in range(low, high):
        for row in range(part * total // PARTS, (part + 1) * total // PARTS):
            picture, oy = row // rows, row % rows
            for i in range(tall):
                iy = oy * down - top + i * dy
                if iy < 0 or iy >= height:
                    continue
                line = (picture * height + iy) * width
                for j in range(wide):
                    shift = j * dx - left
                    first, last = span(shift, across, width, columns)
                    _multiply(
                        sums[part], (i * wide + j) * size, size,
                        x, (line + first * across + shift) * channels, across * channels,
                        g, (row * columns + first) * channels, last - first, channels,
                    )  # fmt: skip
