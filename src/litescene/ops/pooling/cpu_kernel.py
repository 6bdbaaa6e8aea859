"""AdaPool, eM and eDSCW on the CPU, fused: x is read once, and alone kept for the gradient.

For planes that are contiguous: sixteen windows side by side in a row are computed at a time, see
`lanes`. Rows that are no multiple of sixteen long have a last block that overlaps the one before;
what both compute is the same. A plane belongs to one thread, which alone writes its part of the
gradient: results do not depend on the number of threads.

`shape` is the kernel, the stride, the padding and the dilation, three numbers each: depth, rows and
columns. β is `share`, see `transfer.share_of`: channels by positions.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from litescene.ops.pooling.lanes import answer, pull
from litescene.ops.pooling.transfer import add, fetch, places, put, share_of
from litescene.ops.pooling.vectors import (
    FAST,
    INLINE,
    WIDTH,
    add_to,
    all_of,
    between,
    keep,
    load,
    pointer,
    store,
    woven_high,
    woven_low,
)


@njit(**FAST)
def _blocks(width, windows, stride, padding, dilation, taps):  # type: ignore[no-untyped-def]
    """The blocks of a row: first windows, whether windows are whole, and places in the row.

    Tap j of a block has elements from `edges[block, j, 0]` up to `edges[block, j, 1]`.
    """
    count = (windows + WIDTH - 1) // WIDTH
    lefts, whole = np.zeros(count, np.int64), np.ones(count, np.bool_)
    edges = np.zeros((count, taps, 2), np.int64)
    for b in range(count):
        lefts[b] = min(b * WIDTH, max(0, windows - WIDTH))
        for j in range(taps):
            first = lefts[b] * stride - padding + j * dilation
            low = max(0, (stride - 1 - first) // stride)
            high = min(WIDTH, (width - first + stride - 1) // stride)
            edges[b, j, 0], edges[b, j, 1] = low, high
            if low > 0 or high < min(WIDTH, windows):
                whole[b] = False
    return lefts, whole, edges


@njit(**INLINE)
def _rows(plane, depth, height, width, zs, deep, ys, high, rows):  # type: ignore[no-untyped-def]
    """Where the rows of a row of windows begin; answers how many they are."""
    for i in range(deep):
        for j in range(high):
            rows[i * high + j] = ((plane * depth + zs[i]) * height + ys[j]) * width
    return deep * high


@njit(**INLINE)
def _elements(x, size, rows, count, columns, first, stride, dilation, edges, at, whole, taps, inside):  # type: ignore[no-untyped-def]
    """The elements of a block whose first window begins at column `first`; how many of a window."""
    for k in range(count):
        for j in range(columns):
            low, high, to = edges[at + 2 * j], edges[at + 2 * j + 1], (k * columns + j) * WIDTH
            fetch(x, size, rows[k] + first + j * dilation, stride, low, high, taps, to)
            if not whole:
                store(inside, to, between(all_of(np.float32(1)), low, high))
    return count * columns


@njit(**FAST)
def forward_planes(x, y, share, shares, shape, mode, first, last):  # type: ignore[no-untyped-def]
    """x planes×D×H×W to y planes×D'×H'×W'; planes from first to last."""
    (kd, kh, kw), (sd, sh, sw), (pd, ph, pw), (dd, dh, dw) = shape
    _, depth, height, width = x.shape
    od, oh, ow = y.shape[1:]
    lefts_, whole_, edges_ = _blocks(width, ow, sw, pw, dw, kw)
    blocks = lefts_.size
    lefts, whole, edges = pointer(lefts_), pointer(whole_), pointer(edges_)
    vectors, numbers = (np.zeros((2 * kd * kh * kw + 1) * WIDTH, np.float32),
        np.zeros(kd + kh + kd * kh, np.int64))
    taps, inside, scratch = pointer(vectors), pointer(vectors[kd*kh*kw*WIDTH:]), pointer(vectors[2*kd*kh*kw*WIDTH:])
    zs, ys, rows = pointer(numbers), pointer(numbers[kd:]), pointer(numbers[kd+kh:])
    values, outputs, betas = pointer(x), pointer(y), pointer(share)
    lanes = min(WIDTH, ow)
    size=x.size
    for plane in range(first, last):
        for z in range(od):
            deep = places(depth, z, sd, pd, dd, kd, 1, zs)
            for r in range(oh):
                high = places(height, r, sh, ph, dh, kh, 1, ys)
                n = _rows(plane, depth, height, width, zs, deep, ys, high, rows)
                for b in range(blocks):
                    count = _elements(values, size, rows, n, kw, lefts[b] * sw - pw, sw, dw, edges, b*kw*2,
                                      whole[b], taps, inside)
                    position = (z * oh + r) * ow + lefts[b]
                    beta = share_of(betas, shares, plane, position)
                    value = answer(taps, inside, count, whole[b], beta, mode)
                    put(value, outputs, plane * od * oh * ow + position, lanes, scratch)
    keep(lefts_); keep(whole_); keep(edges_); keep(vectors); keep(numbers)


@njit(**INLINE)
def _fold(sheet, at, step, taps, dilation, stride, padding, windows, x, row, width, scratch):  # type: ignore[no-untyped-def]
    """Add to the row x[row : row + width] what its taps give: sheet[at + j·step + window]."""
    reach = (taps - 1) * dilation // stride
    for q in range(0, windows + reach, WIDTH):
        for f in range(stride):
            value = all_of(np.float32(0))
            for j in range(taps):
                if j * dilation % stride == f:
                    value += load(sheet, at + j * step + q - j * dilation // stride)
            store(scratch, f * WIDTH, value)
        first = q * stride - padding
        if stride > 2:
            for o in range(max(0, -first), min(stride * WIDTH, width - first)):
                x[row + first + o] += scratch[o % stride * WIDTH + o // stride]
        elif stride == 1:
            add(load(scratch, 0), x, row + first, -first, width - first, scratch)
        else:
            even, odd = load(scratch, 0), load(scratch, WIDTH)
            add(woven_low(even, odd), x, row + first, -first, width - first, scratch)
            first += WIDTH
            add(woven_high(even, odd), x, row + first, -first, width - first, scratch)


@njit(**FAST)
def backward_planes(x, g, share, shares, shape, mode, exact, to_x, to_beta, sums, first, last):  # type: ignore[no-untyped-def]
    """Gradients of x and of β for g planes×D'×H'×W'.

    β's are summed to one value per plane in `sums`, or where that is empty written per output to
    `to_beta`, or if both are empty left out.
    """
    (kd, kh, kw), (sd, sh, sw), (pd, ph, pw), (dd, dh, dw) = shape
    _, depth, height, width = x.shape
    od, oh, ow = g.shape[1:]
    lefts_, whole_, edges_ = _blocks(width, ow, sw, pw, dw, kw)
    blocks = lefts_.size
    lefts, whole, edges = pointer(lefts_), pointer(whole_), pointer(edges_)
    K = kd * kh * kw * WIDTH
    margin = (kw - 1) * dw // sw + WIDTH
    step = 2 * margin + lefts[blocks-1] + WIDTH
    vectors, numbers = (np.zeros(4*K + sw*WIDTH + kd*kh*kw*step, np.float32),
        np.zeros(kd + kh + kd * kh, np.int64))
    taps, inside, kept, scratch, sheet = pointer(vectors), pointer(vectors[K:]), pointer(vectors[2*K:]), pointer(vectors[4*K:]), pointer(vectors[4*K+sw*WIDTH:])
    zs, ys, rows = pointer(numbers), pointer(numbers[kd:]), pointer(numbers[kd+kh:])
    values, given, gradients, betas, to_betas = pointer(x), pointer(g), pointer(to_x), pointer(share), pointer(to_beta)
    totals_ = np.zeros(WIDTH, np.float64); totals=pointer(totals_)
    lanes = min(WIDTH, ow)
    size, gsize=x.size, g.size
    summing, writing = sums.size > 0, to_beta.size > 0
    volume=depth*height*width
    for plane in range(first, last):
        for o in range(volume): gradients[plane*volume+o] = np.float32(0)
        for o in range(WIDTH): totals[o] = 0
        for z in range(od):
            deep = places(depth, z, sd, pd, dd, kd, 1, zs)
            for r in range(oh):
                high = places(height, r, sh, ph, dh, kh, 1, ys)
                n = _rows(plane, depth, height, width, zs, deep, ys, high, rows)
                total = all_of(np.float32(0))
                for b in range(blocks):
                    count = _elements(values, size, rows, n, kw, lefts[b] * sw - pw, sw, dw, edges, b*kw*2,
                                      whole[b], taps, inside)
                    position = (z * oh + r) * ow + lefts[b]
                    beta = share_of(betas, shares, plane, position)
                    position += plane * od * oh * ow
                    fetch(given, gsize, position, 1, 0, lanes, scratch, 0)
                    to = margin + lefts[b]
                    of_beta = pull(taps, inside, count, whole[b], load(scratch, 0), beta, mode,
                                   exact, kept, sheet, to, step)
                    if lanes < WIDTH:
                        for t in range(count):
                            at = to + t * step
                            store(sheet, at, between(load(sheet, at), 0, lanes))
                    if summing:
                        total += between(of_beta, b * WIDTH - lefts[b], lanes)
                    elif writing:
                        put(of_beta, to_betas, position, lanes, scratch)
                add_to(totals, total)
                for k in range(n):
                    _fold(sheet, k * kw * step + margin, step, kw, dw, sw, pw, ow,
                          gradients, rows[k], width, scratch)
        if summing:
            t=0.0
            for o in range(WIDTH): t+=totals[o]
            sums[plane] = t
    keep(lefts_); keep(whole_); keep(edges_); keep(vectors); keep(numbers); keep(totals_)
