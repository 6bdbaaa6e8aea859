"""The epipolar search: the inverse depth of single pixels from several posed views.

One pixel is matched in two stages. The search compares census codes of all neighbour views at
once along the epipolar line, as in multiple-baseline stereo (Okutomi and Kanade, PAMI 1993). The
refinement then estimates the inverse depth in each view alone by Gauss-Newton on the grey values
of a small pattern, with the variance of Engel, Sturm and Cremers, "Semi-dense visual odometry for
a monocular camera" (ICCV 2013); views that agree are averaged by their certainty.

A neighbour view is given by `H` (3×3) and `b` (3): the pixel p = (u, v, 1) at inverse depth q of
the reference view appears at the image of H p + q b.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit
from litescene.scene.depth_kernels import BORDER, CENSUS_BITS

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

MAX_STEPS = 160
PATTERN = np.array(
    [(0, 0), (0, -2), (0, 2), (-2, 0), (2, 0), (-1, -1), (-1, 1), (1, -1), (1, 1)], np.float64
)
"""Pixels (row, column) around the centre whose grey values refine the match."""


@njit(cache=True, nogil=True, error_model="numpy")
def _ray(H: F32, u: float, v: float, out: F32) -> None:
    for i in range(3):
        out[i] = H[i, 0] * u + H[i, 1] * v + H[i, 2]


@njit(cache=True, nogil=True, error_model="numpy")
def _clip(a: F32, b: F32, low: float, high: float, width: int, height: int) -> tuple[float, float]:
    """The part of the range of inverse depths that a view sees inside its picture."""
    # Each border is a half space: its value is linear in the inverse depth.
    for edge in range(5):
        if edge == 0:
            at, slope = a[2] - 0.05, b[2]
        elif edge == 1:
            at, slope = a[0] - BORDER * a[2], b[0] - BORDER * b[2]
        elif edge == 2:
            far = width - 1 - BORDER
            at, slope = far * a[2] - a[0], far * b[2] - b[0]
        elif edge == 3:
            at, slope = a[1] - BORDER * a[2], b[1] - BORDER * b[2]
        else:
            far = height - 1 - BORDER
            at, slope = far * a[2] - a[1], far * b[2] - b[1]
        if slope > 0:
            low = max(low, -at / slope)
        elif slope < 0:
            high = min(high, -at / slope)
        elif at < 0:
            return 1.0, 0.0
    return low, high


@njit(cache=True, nogil=True, error_model="numpy")
def _add_distances(
    code: np.uint32,
    ray: F32,
    b: F32,
    q: F32,
    codes: NDArray[np.uint32],
    cost: F32,
    seen: F32,
    at: NDArray[np.int32],
    found: NDArray[np.uint32],
) -> None:
    """Adds one view's truncated Hamming distance at every inverse depth q, and where it sees it.

    The arithmetic before and after the look-up is free of branches, so that it runs on vectors;
    the look-up alone does not.
    """
    height, width = codes.shape
    flat = codes.reshape(-1)
    a0, a1, a2, b0, b1, b2 = ray[0], ray[1], ray[2], b[0], b[1], b[2]
    one, half, near, least = np.float32(1), np.float32(0.5), np.float32(0.05), np.float32(3)
    right, down, columns = np.float32(width - 4), np.float32(height - 4), np.float32(width)
    most = np.uint32(int(0.4 * CENSUS_BITS))
    for s in range(q.size):
        z = a2 + q[s] * b2
        inverse = one / (z if z > near else near)
        x = np.float32(np.int32((a0 + q[s] * b0) * inverse + half))
        y = np.float32(np.int32((a1 + q[s] * b1) * inverse + half))
        inside = (z > near) & (x >= least) & (y >= least) & (x <= right) & (y <= down)
        at[s] = np.int32(y * columns + x) if inside else np.int32(0)
    for s in range(q.size):
        found[s] = flat[np.uint32(at[s])]
    for s in range(q.size):
        bits = code ^ found[s]
        bits = bits - ((bits >> np.uint32(1)) & np.uint32(0x55555555))
        bits = (bits & np.uint32(0x33333333)) + ((bits >> np.uint32(2)) & np.uint32(0x33333333))
        bits = (bits + (bits >> np.uint32(4))) & np.uint32(0x0F0F0F0F)
        bits = np.uint32(bits * np.uint32(0x01010101)) >> np.uint32(24)
        inside = at[s] > 0
        cost[s] += np.float32(bits if bits < most else most) if inside else np.float32(0)
        seen[s] += one if inside else np.float32(0)


@njit(cache=True, nogil=True, error_model="numpy")
def _search(
    code: np.uint32,
    rays: F32,
    b: F32,
    codes: NDArray[np.uint32],
    low: float,
    high: float,
    work: F32,
) -> tuple[float, float, float]:
    """Best inverse depth in low..high, its cost, and the cost of the best other minimum.

    Steps are one pixel of the view with the longest epipolar segment.
    """
    views, height, width = codes.shape
    longest, lead = 0.0, -1
    lead_low, lead_high = low, high
    for n in range(views):
        first, last = _clip(rays[n], b[n], low, high, width, height)
        if first >= last:
            continue
        z0, z1 = rays[n, 2] + first * b[n, 2], rays[n, 2] + last * b[n, 2]
        dx = (rays[n, 0] + last * b[n, 0]) / z1 - (rays[n, 0] + first * b[n, 0]) / z0
        dy = (rays[n, 1] + last * b[n, 1]) / z1 - (rays[n, 1] + first * b[n, 1]) / z0
        length = math.hypot(dx, dy)
        if length > longest:
            longest, lead, lead_low, lead_high = length, n, first, last
    if lead < 0 or longest < 2.0:
        return -1.0, 0.0, 0.0
    steps = min(int(longest) + 2, MAX_STEPS)
    z0, z1 = rays[lead, 2] + lead_low * b[lead, 2], rays[lead, 2] + lead_high * b[lead, 2]
    q, costs, seen = work[0, :steps], work[1, :steps], work[2, :steps]
    at_pixel = work[3, :steps].view(np.int32)
    found = work[4, :steps].view(np.uint32)
    for s in range(steps):
        # Equal steps t on the line are not equal steps of q when the camera moves forward.
        t = s / (steps - 1)
        q[s] = lead_low + (lead_high - lead_low) * t * z0 / ((1.0 - t) * z1 + t * z0)
    costs[:] = 0
    seen[:] = 0
    for n in range(views):
        _add_distances(code, rays[n], b[n], q, codes[n], costs, seen, at_pixel, found)
    best, at = float(CENSUS_BITS), 0
    for s in range(steps):
        costs[s] = costs[s] / seen[s] if seen[s] > 0 else np.float32(CENSUS_BITS)
        if costs[s] < best:
            best, at = float(costs[s]), s
    second = float(CENSUS_BITS)
    for s in range(steps):
        if abs(s - at) > 3 and costs[s] < second:
            second = float(costs[s])
    return float(q[at]), best, second


@njit(cache=True, nogil=True, error_model="numpy")
def _refine(
    reference: F32, rays: F32, b: F32, gray: F32, q: float, noise: float
) -> tuple[float, float]:
    """Gauss-Newton on the inverse depth in one view: estimate and variance (negative: failed).

    `reference` holds the pattern's grey values less their mean, `rays` (pattern×3) its H p.
    """
    height, width = gray.shape
    size = reference.shape[0]
    start, variance = q, -1.0
    for iteration in range(4):
        sum_i = sum_j = sum_ii = sum_jj = sum_ij = sum_ir = sum_jr = sum_rr = 0.0
        speed = 0.0
        for k in range(size):
            z = rays[k, 2] + q * b[2]
            if z < 0.05:
                return q, -1.0
            inverse = 1.0 / z
            x, y = (rays[k, 0] + q * b[0]) * inverse, (rays[k, 1] + q * b[1]) * inverse
            if not (1.0 <= x < width - 2.0 and 1.0 <= y < height - 2.0):
                return q, -1.0
            x0, y0 = int(x), int(y)
            fx, fy = x - x0, y - y0
            i00, i01 = gray[y0, x0], gray[y0, x0 + 1]
            i10, i11 = gray[y0 + 1, x0], gray[y0 + 1, x0 + 1]
            top, bottom = i00 + fx * (i01 - i00), i10 + fx * (i11 - i10)
            value = top + fy * (bottom - top)
            gx = (1.0 - fy) * (i01 - i00) + fy * (i11 - i10)
            # The image point moves along (b - x b_z) / z.
            ex, ey = (b[0] - x * b[2]) * inverse, (b[1] - y * b[2]) * inverse
            slope = gx * ex + (bottom - top) * ey
            if k == 0:
                speed = math.hypot(ex, ey)
            r = reference[k]
            sum_i += value
            sum_j += slope
            sum_ii += value * value
            sum_jj += slope * slope
            sum_ij += value * slope
            sum_ir += value * r
            sum_jr += slope * r
            sum_rr += r * r
        spread = sum_ii - sum_i * sum_i / size
        curvature = sum_jj - sum_j * sum_j / size
        if curvature <= 1e-12 or spread <= 1e-9 or speed <= 0.0:
            return q, -1.0
        step = -(sum_ij - sum_i * sum_j / size - sum_jr) / curvature
        limit = 1.0 / speed
        if iteration == 3 or abs(step) < 0.03 * limit:
            if sum_ir <= 0.0 or sum_ir * sum_ir < 0.72 * spread * sum_rr:
                return q, -1.0
            residual = (spread - 2.0 * sum_ir + sum_rr) / (size - 2)
            variance = (2.0 * noise * noise + residual) / curvature
            break
        q += min(max(step, -limit), limit)
        if abs(q - start) > 2.0 * limit:
            return q, -1.0
    return q, variance


@njit(cache=True, nogil=True, error_model="numpy")
def _agree(estimates: F64, variances: F64, need: int) -> tuple[float, float, int]:
    """Average of the views that agree with the most certain one: value, variance, their number."""
    lead = -1
    for n in range(estimates.shape[0]):
        if variances[n] > 0.0 and (lead < 0 or variances[n] < variances[lead]):
            lead = n
    if lead < 0:
        return 0.0, -1.0, 0
    weight = total = 0.0
    views = 0
    for n in range(estimates.shape[0]):
        if variances[n] <= 0.0:
            continue
        gap = estimates[n] - estimates[lead]
        if gap * gap <= 6.0 * (variances[n] + variances[lead]):
            weight += 1.0 / variances[n]
            total += estimates[n] / variances[n]
            views += 1
    if views < need:
        return 0.0, -1.0, views
    return total / weight, 1.0 / weight, views


@njit(cache=True, nogil=True, error_model="numpy")
def match(
    gray: F32,
    codes: NDArray[np.uint32],
    pixels: NDArray[np.int32],
    gradients: F32,
    ranges: F64,
    neighbour_gray: F32,
    neighbour_codes: NDArray[np.uint32],
    neighbour_usable: NDArray[np.bool_],
    H: F32,
    b: F32,
    settings: F64,
) -> tuple[F32, F32]:
    """Inverse depth and its standard deviation for `pixels`, n float32 each; 0 where none.

    `ranges` n×2: inverse depths to search; neighbours stacked (views×H×W); `settings`: noise of
    grey values, standard deviation of the epipolar line in pixels, most Hamming bits, ratio of
    best to second best, most relative standard deviation, views that must agree.
    """
    noise, line, most_bits, ratio, most_relative, need = settings
    views = neighbour_codes.shape[0]
    size = PATTERN.shape[0]
    inverse_depth = np.zeros(pixels.shape[0], np.float32)
    sigma = np.zeros(pixels.shape[0], np.float32)
    rays, pattern_rays = np.empty((views, 3), np.float32), np.empty((size, 3), np.float32)
    reference, work = np.empty(size, np.float32), np.empty((5, MAX_STEPS), np.float32)
    estimates, variances = np.empty(views), np.empty(views)
    for i in range(pixels.shape[0]):
        u, v = pixels[i, 0], pixels[i, 1]
        for n in range(views):
            _ray(H[n], u, v, rays[n])
        q, best, second = _search(
            codes[v, u], rays, b, neighbour_codes, ranges[i, 0], ranges[i, 1], work
        )
        if q < 0.0 or best > most_bits or best > ratio * second:
            continue
        mean = np.float32(0.0)
        for k in range(size):
            reference[k] = gray[v + int(PATTERN[k, 0]), u + int(PATTERN[k, 1])]
            mean += reference[k] / size
        reference -= mean
        gradient = math.hypot(gradients[i, 0], gradients[i, 1])
        for n in range(views):
            for k in range(size):
                _ray(H[n], u + PATTERN[k, 1], v + PATTERN[k, 0], pattern_rays[k])
            value, variance = _refine(reference, pattern_rays, b[n], neighbour_gray[n], q, noise)
            variances[n] = -1.0
            if variance > 0.0:
                z = rays[n, 2] + value * b[n, 2]
                x, y = (rays[n, 0] + value * b[n, 0]) / z, (rays[n, 1] + value * b[n, 1]) / z
                ex, ey = (b[n, 0] - x * b[n, 2]) / z, (b[n, 1] - y * b[n, 2]) / z
                speed = math.hypot(ex, ey)
                along = (gradients[i, 0] * ex + gradients[i, 1] * ey) / (speed * gradient)
                # An edge along the epipolar line says nothing about the place on the line.
                if abs(along) > 0.2 and neighbour_usable[n, int(y + 0.5), int(x + 0.5)]:
                    estimates[n] = value
                    variances[n] = variance + (line / (along * speed)) ** 2
        value, variance, _ = _agree(estimates, variances, int(need))
        if variance > 0.0 and value > 0.0 and variance < (most_relative * value) ** 2:
            inverse_depth[i] = value
            sigma[i] = math.sqrt(variance)
    return inverse_depth, sigma
