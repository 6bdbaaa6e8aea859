"""Kernels around the epipolar search: census codes, edge pixels, the smoothing of its results.

Census codes: Zabih and Woodfill, "Non-parametric local transforms for computing visual
correspondence", ECCV 1994.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit

F32 = NDArray[np.float32]

BORDER = 5
"""Pixels next to the picture's edge that are not matched."""
CENSUS_BITS = 32
_RING = [(-3, -3), (-3, -1), (-3, 1), (-3, 3), (-2, -2), (-2, 0), (-2, 2), (-1, -3)]
_RING += [(-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2), (-1, 3), (0, -3), (0, -1)]
CENSUS_OFFSETS = np.array(_RING + [(-dy, -dx) for dy, dx in _RING], np.int64)
"""Comparison pixels (row, column) around the centre: 32 of a 7×7 window."""


@njit(cache=True, nogil=True, error_model="numpy")
def census(gray: F32) -> NDArray[np.uint32]:
    """Census code of every pixel, H×W uint32; bit k says `gray[p + offset k] > gray[p]`.

    Pixels nearer than 3 to the edge get 0.
    """
    height, width = gray.shape
    codes = np.zeros((height, width), np.uint32)
    if width < 7:
        return codes
    for y in range(3, height - 3):
        code, centre = codes[y, 3 : width - 3], gray[y, 3 : width - 3]
        for k in range(CENSUS_OFFSETS.shape[0]):
            dy, dx = CENSUS_OFFSETS[k]
            other = gray[y + dy, 3 + dx : width - 3 + dx]
            bit = np.uint32(1 << k)
            for i in range(code.size):
                code[i] |= bit if other[i] > centre[i] else np.uint32(0)
    return codes


@njit(cache=True, nogil=True, error_model="numpy")
def _steepness(gx: float, gy: float, x: int, y: int, epipoles: NDArray[np.float64]) -> float:
    """Mean square of the gradient along the pixel's epipolar lines."""
    total = 0.0
    for n in range(epipoles.shape[0]):
        lx, ly = epipoles[n, 0] - x * epipoles[n, 2], epipoles[n, 1] - y * epipoles[n, 2]
        along = gx * lx + gy * ly
        total += along * along / max(lx * lx + ly * ly, 1e-30)
    return total / epipoles.shape[0]


@njit(cache=True, nogil=True, error_model="numpy")
def edge_pixels(
    gray: F32,
    usable: NDArray[np.bool_],
    block: int,
    min_gradient: float,
    epipoles: NDArray[np.float64],
) -> tuple[NDArray[np.int32], F32, NDArray[np.int32]]:
    """The usable pixel of every `block`×`block` cell that is steepest along its epipolar lines.

    `epipoles` views×3: the neighbours' camera centres in the picture, homogeneous. Only what
    changes along the line can be found on it. Returns pixels (n×2 int32: column, row), their
    gradients (n×2 float32: d/dx, d/dy) and the grid of cells (rows×columns int32) with the number
    of each one's pixel, -1 where none is.
    """
    height, width = gray.shape
    rows, columns = max(height - 2 * BORDER, 0) // block, max(width - 2 * BORDER, 0) // block
    pixels = np.empty((rows * columns, 2), np.int32)
    gradients = np.empty((rows * columns, 2), np.float32)
    cells = np.full((rows, columns), -1, np.int32)
    count = 0
    for row in range(rows):
        for column in range(columns):
            steepest = min_gradient * min_gradient
            found = False
            for y in range(BORDER + row * block, BORDER + (row + 1) * block):
                for x in range(BORDER + column * block, BORDER + (column + 1) * block):
                    gx = np.float32(0.5) * (gray[y, x + 1] - gray[y, x - 1])
                    gy = np.float32(0.5) * (gray[y + 1, x] - gray[y - 1, x])
                    # The whole gradient bounds its part along the line.
                    if not (gx * gx + gy * gy > steepest and usable[y, x]):
                        continue
                    steepness = _steepness(gx, gy, x, y, epipoles)
                    if steepness > steepest:
                        steepest = steepness
                        pixels[count, 0], pixels[count, 1] = x, y
                        gradients[count, 0], gradients[count, 1] = gx, gy
                        found = True
            if found:
                cells[row, column] = count
                count += 1
    return pixels[:count], gradients[:count], cells


@njit(cache=True, nogil=True, error_model="numpy")
def regularise(inverse_depth: F32, sigma: F32, cells: NDArray[np.int32], support: int) -> F32:
    """Averages each estimate with the agreeing ones of the 5×5 cells around; 0 if unsupported.

    An estimate stays when at least `support` others agree with it (within two standard
    deviations of the difference) and they are not outvoted by those that disagree.
    """
    rows, columns = cells.shape
    smooth = np.zeros(inverse_depth.size, np.float32)
    for row in range(rows):
        for column in range(columns):
            own = cells[row, column]
            if own < 0 or inverse_depth[own] <= 0.0:
                continue
            q, variance = inverse_depth[own], sigma[own] * sigma[own]
            weight, total = 1.0 / variance, q / variance
            agree = differ = 0
            for j in range(max(row - 2, 0), min(row + 3, rows)):
                for i in range(max(column - 2, 0), min(column + 3, columns)):
                    k = cells[j, i]
                    if k < 0 or k == own or inverse_depth[k] <= 0.0:
                        continue
                    both = variance + sigma[k] * sigma[k]
                    gap = inverse_depth[k] - q
                    if gap * gap <= 4.0 * both:
                        agree += 1
                        # Slanted surfaces: farther cells say less about this one.
                        far = 1.0 + (i - column) ** 2 + (j - row) ** 2
                        weight += 1.0 / (both * far)
                        total += inverse_depth[k] / (both * far)
                    else:
                        differ += 1
            if agree >= support and agree >= differ:
                smooth[own] = total / weight
    return smooth
