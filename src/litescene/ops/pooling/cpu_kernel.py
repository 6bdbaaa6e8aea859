"""AdaPool, eM and eDSCW on the CPU, fused: x is read once, and alone kept for the gradient.

Planes are contiguous. A row is first taken apart by the stride's remainders, so that one element of
all windows of the row lies contiguously; then the steps of `lanes` go over up to 128 windows at a
time. A plane belongs to one thread, which alone writes its part of the gradient: results do not
depend on the number of threads.

`shape` is the kernel, the stride, the padding and the dilation, three numbers each: depth, rows and
columns.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from litescene.ops.pooling.lanes import (
    _FAST,
    BETA,
    COUNT,
    LANES,
    POSITIVE,
    ROWS,
    WIDTH,
    answer,
    begin,
    exponentials,
    keep_exponentials,
    keep_likenesses,
    likenesses,
    prepare,
    pull_exponentials,
    pull_likenesses,
    settle,
    survey,
)
from litescene.ops.pooling.weighting import EM, SIMILAR


@njit(**_FAST)
def _spans(first, lanes, width, stride, taps, dilation, steps, spans, ranges):  # type: ignore[no-untyped-def]
    """Where a block of windows reads a row.

    `spans[f]` are the steps q of remainder f whose column first + q·stride + f is in the row;
    `ranges[j]` are where tap j of lane `low` lies, with `steps` steps per remainder, `low`, and for
    how many lanes from there on it is in the row.
    """
    for f in range(stride):
        spans[f, 0] = max(0, (-first - f + stride - 1) // stride)
        spans[f, 1] = min(lanes + (taps - 1) * dilation // stride + 1,
                          (width - first - f + stride - 1) // stride)  # fmt: skip
    for j in range(taps):
        f, q = j * dilation % stride, j * dilation // stride
        low, high = max(0, spans[f, 0] - q), min(lanes, spans[f, 1] - q)
        if low == 0 and high == lanes:
            high = (lanes + WIDTH - 1) // WIDTH * WIDTH  # what is beyond is never looked at
        ranges[j, 0], ranges[j, 1], ranges[j, 2] = f * steps + q + low, low, high - low


@njit(**_FAST)
def _apart(x, row, first, stride, spans, into, at, steps):  # type: ignore[no-untyped-def]
    """Take the row from x[row] on apart: into[at + f·steps + q] = x[row + first + q·stride + f]."""
    low, high = spans[0, 0], spans[0, 1]
    if stride == 2:
        low, high = max(low, spans[1, 0]), min(high, spans[1, 1])
        source = (row + first + 2 * low) & POSITIVE
        even, odd, n = (at + low) & POSITIVE, (at + low + steps) & POSITIVE, (high - low) & POSITIVE
        for q in range(n):
            into[even + q] = x[source + 2 * q]
            into[odd + q] = x[source + 2 * q + 1]
    for f in range(stride):
        for q in range(spans[f, 0], low if stride == 2 else spans[f, 1]):
            into[at + f * steps + q] = x[row + first + q * stride + f]
        for q in range(high if stride == 2 else spans[f, 1], spans[f, 1]):
            into[at + f * steps + q] = x[row + first + q * stride + f]


@njit(**_FAST)
def _together(parts, at, steps, first, stride, spans, x, row):  # type: ignore[no-untyped-def]
    """Add what `_apart` took apart to the row that begins at x[row]."""
    low, high = spans[0, 0], spans[0, 1]
    if stride == 2:
        low, high = max(low, spans[1, 0]), min(high, spans[1, 1])
        target = (row + first + 2 * low) & POSITIVE
        even, odd, n = (at + low) & POSITIVE, (at + low + steps) & POSITIVE, (high - low) & POSITIVE
        for q in range(n):
            x[target + 2 * q] += parts[even + q]
            x[target + 2 * q + 1] += parts[odd + q]
    for f in range(stride):
        for q in range(spans[f, 0], low if stride == 2 else spans[f, 1]):
            x[row + first + q * stride + f] += parts[at + f * steps + q]
        for q in range(high if stride == 2 else spans[f, 1], spans[f, 1]):
            x[row + first + q * stride + f] += parts[at + f * steps + q]


@njit(**_FAST)
def _counts(ranges, columns):  # type: ignore[no-untyped-def]
    """How many taps along the row each lane's window has."""
    columns[:] = 0
    for j in range(ranges.shape[0]):
        for o in range(ranges[j, 1], ranges[j, 1] + ranges[j, 2]):
            columns[o] += 1


@njit(**_FAST)
def _places(size, out, stride, padding, dilation, taps, found):  # type: ignore[no-untyped-def]
    """Positions along an axis that window `out` has inside the input; answers how many."""
    count = 0
    for i in range(taps):
        at = out * stride - padding + i * dilation
        if 0 <= at < size:
            found[count] = at
            count += 1
    return count


@njit(**_FAST)
def _share(a, share, plane, position, lanes):  # type: ignore[no-untyped-def]
    """β of windows side by side: `share` is channels×positions, 1 where all have the same."""
    c = plane % share.shape[0]
    if share.shape[1] == 1:
        for o in range(lanes):
            a[BETA + o] = share[c, 0]
    else:
        for o in range(lanes):
            a[BETA + o] = share[c, position + o]


@njit(**_FAST)
def forward_planes(x, y, share, shape, mode, first, last):  # type: ignore[no-untyped-def]
    """x planes×D×H×W to y planes×D'×H'×W'; planes from first to last. β is C×positions or 1."""
    (kd, kh, kw), (sd, sh, sw), (pd, ph, pw), (dd, dh, dw) = shape
    _, depth, height, width = x.shape
    od, oh, ow = y.shape[1:]
    spans, ranges = np.zeros((sw, 2), np.int64), np.zeros((kw, 3), np.int64)
    steps = LANES + (kw - 1) * dw // sw + 1 + WIDTH
    parts = np.zeros((kd * kh, sw, steps), np.float32)
    flat, row_steps, values = parts.ravel(), sw * steps, x.ravel()
    outputs = y.ravel()
    a, columns = np.zeros(ROWS * LANES, np.float32), np.zeros(LANES, np.float32)
    zs, ys = np.zeros(kd, np.int64), np.zeros(kh, np.int64)
    for left in range(0, ow, LANES):
        lanes = min(LANES, ow - left)
        n = (lanes + WIDTH - 1) // WIDTH * WIDTH
        start = left * sw - pw
        _spans(start, lanes, width, sw, kw, dw, steps, spans, ranges)
        _counts(ranges, columns)
        for plane in range(first, last):
            for z in range(od):
                deep = _places(depth, z, sd, pd, dd, kd, zs)
                for r in range(oh):
                    high = _places(height, r, sh, ph, dh, kh, ys)
                    begin(a, n)
                    for o in range(n):
                        a[COUNT + o] = columns[o] * deep * high
                    for k in range(deep * high):
                        row = ((plane * depth + zs[k // high]) * height + ys[k % high]) * width
                        _apart(values, row, start, sw, spans, flat, k * row_steps, steps)
                        for j in range(kw):
                            at, low, count = ranges[j, 0], ranges[j, 1], ranges[j, 2]
                            survey(flat, k * row_steps + at, a, low, count)
                    settle(a, n)
                    for k in range(deep * high):
                        for j in range(kw):
                            at, low, count = ranges[j, 0], ranges[j, 1], ranges[j, 2]
                            at += k * row_steps
                            if mode & EM:
                                exponentials(flat, at, a, low, count)
                            if mode & SIMILAR:
                                likenesses(flat, at, a, low, count)
                    _share(a, share, plane, (z * oh + r) * ow + left, lanes)
                    answer(a, mode, outputs, (plane * od + z) * oh * ow + r * ow + left, lanes)


@njit(**_FAST)
def backward_planes(x, g, share, shape, mode, exact, to_x, to_beta, first, last):  # type: ignore[no-untyped-def]
    """Gradients of x and of β (per output, to be summed) for g planes×D'×H'×W'."""
    (kd, kh, kw), (sd, sh, sw), (pd, ph, pw), (dd, dh, dw) = shape
    _, depth, height, width = x.shape
    od, oh, ow = g.shape[1:]
    spans, ranges = np.zeros((sw, 2), np.int64), np.zeros((kw, 3), np.int64)
    steps = LANES + (kw - 1) * dw // sw + 1 + WIDTH
    parts = np.zeros((kd * kh, sw, steps), np.float32)
    flat, row_steps, values = parts.ravel(), sw * steps, x.ravel()
    back = np.zeros(parts.shape, np.float32)
    into = back.ravel()
    kept = np.zeros(kd * kh * kw * 3 * LANES, np.float32)
    gradients, given, shares = to_x.ravel(), g.ravel(), to_beta.ravel()
    a, columns = np.zeros(ROWS * LANES, np.float32), np.zeros(LANES, np.float32)
    zs, ys = np.zeros(kd, np.int64), np.zeros(kh, np.int64)
    to_x[first:last] = 0
    for left in range(0, ow, LANES):
        lanes = min(LANES, ow - left)
        n = (lanes + WIDTH - 1) // WIDTH * WIDTH
        start = left * sw - pw
        _spans(start, lanes, width, sw, kw, dw, steps, spans, ranges)
        _counts(ranges, columns)
        for plane in range(first, last):
            for z in range(od):
                deep = _places(depth, z, sd, pd, dd, kd, zs)
                for r in range(oh):
                    high = _places(height, r, sh, ph, dh, kh, ys)
                    begin(a, n)
                    for o in range(n):
                        a[COUNT + o] = columns[o] * deep * high
                    for k in range(deep * high):
                        row = ((plane * depth + zs[k // high]) * height + ys[k % high]) * width
                        _apart(values, row, start, sw, spans, flat, k * row_steps, steps)
                        for j in range(kw):
                            at, low, count = ranges[j, 0], ranges[j, 1], ranges[j, 2]
                            survey(flat, k * row_steps + at, a, low, count)
                    settle(a, n)
                    for k in range(deep * high):
                        for j in range(kw):
                            at, low, count = ranges[j, 0], ranges[j, 1], ranges[j, 2]
                            at, to = k * row_steps + at, (k * kw + j) * 3 * LANES
                            if mode & EM:
                                keep_exponentials(flat, at, a, low, kept, to, count)
                            if mode & SIMILAR:
                                keep_likenesses(flat, at, a, low, kept, to, count)
                    _share(a, share, plane, (z * oh + r) * ow + left, lanes)
                    out = (plane * od + z) * oh * ow + r * ow + left
                    prepare(a, given, out, exact, mode, shares, lanes)
                    for k in range(deep * high):
                        into[k * row_steps : (k + 1) * row_steps] = 0
                        for j in range(kw):
                            at, low, count = ranges[j, 0], ranges[j, 1], ranges[j, 2]
                            at, to = k * row_steps + at, (k * kw + j) * 3 * LANES
                            count = min(count, lanes - low)
                            if mode & EM:
                                pull_exponentials(flat, at, a, low, kept, to, exact, into, count)
                            if mode & SIMILAR:
                                pull_likenesses(flat, at, a, low, kept, to, exact, into, count)
                        row = ((plane * depth + zs[k // high]) * height + ys[k % high]) * width
                        _together(into, k * row_steps, steps, start, sw, spans, gradients, row)
