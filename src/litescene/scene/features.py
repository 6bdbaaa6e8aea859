"""Corners and how they are followed: grid-spread Shi-Tomasi corners, pyramidal Lucas-Kanade.

J. Shi, C. Tomasi, "Good features to track", 1994; J.-Y. Bouguet, "Pyramidal implementation of
the Lucas Kanade feature tracker", 2001; the forward-backward check is that of Kalal et al., 2010.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import MOVERS, SKY, Camera, Frame, SegmentationMap
from litescene.core.njit import njit
from litescene.geometry import project, undistort_points

Grey = NDArray[np.uint8]
Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]

WINDOW = 11
"""Side of the patch that is followed, pixels."""
LEVELS = 3
"""Pyramid levels above the picture."""
BORDER = 8
"""Corners nearer to the edge of the picture than this are let go."""
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 15, 0.02)
_ROUND_TRIP = 0.5
"""Largest distance in pixels between a corner and itself followed there and back."""
_LEAST_CORNER = 2e-4
"""Smallest eigenvalue (OpenCV's scale) of a corner worth following: keeps flat asphalt out."""
_MOVER_MARGIN = 3
"""Pixels around movers that are left out too: label edges are a few pixels off."""
_LENS_STEP = 4
_LENS_ERROR = 0.1
"""Pixels by which a ray may miss the pixel that it was found for."""
_WIDEST = 85.0
"""Degrees from the axis."""


def grey_picture(frame: Frame) -> Grey:
    """The frame as H×W uint8 grey."""
    return np.asarray(cv2.cvtColor(frame.image, cv2.COLOR_RGB2GRAY), np.uint8)


def static_mask(labels: SegmentationMap | None, shape: tuple[int, int]) -> Mask | None:
    """H×W bool, True where features may lie: neither movers (with a margin) nor sky.

    `labels` of another size are scaled to `shape` (height, width). None without labels.
    """
    if labels is None:
        return None
    barred = np.zeros(256, np.uint8)
    barred[list(labels.taxonomy.indices(MOVERS))] = 1
    picture = cv2.LUT(labels.labels, barred)
    side = 2 * _MOVER_MARGIN + 1
    picture = cv2.dilate(picture, np.ones((side, side), np.uint8))
    sky = np.zeros(256, np.uint8)
    sky[list(labels.taxonomy.indices(SKY))] = 1
    picture |= cv2.LUT(labels.labels, sky)
    if picture.shape != shape:
        picture = cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(picture == 0)


def lens_mask(camera: Camera) -> Mask | None:
    """H×W bool, True where the lens model knows the ray of a pixel; None where it does everywhere.

    Beyond the fold of a distortion no ray leads to a pixel, and rays near a right angle to the
    axis have no usable point at z = 1. Told for every fourth pixel, with a margin of one of them.
    """
    if camera.model == "none":
        return None
    columns = np.arange(0, camera.width + _LENS_STEP - 1, _LENS_STEP)
    rows = np.arange(0, camera.height + _LENS_STEP - 1, _LENS_STEP)
    pixels = np.stack(np.meshgrid(columns, rows), -1).astype(np.float64)
    rays = undistort_points(camera, pixels)
    again, known = project(camera, np.concatenate([rays, np.ones((*rays.shape[:2], 1))], -1))
    known &= np.linalg.norm(again - pixels, axis=-1) < _LENS_ERROR
    known &= np.linalg.norm(rays, axis=-1) < np.tan(np.radians(_WIDEST))
    if known.all():
        return None
    known = cv2.erode(known.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    whole = known.repeat(_LENS_STEP, 0).repeat(_LENS_STEP, 1)
    return np.asarray(whole[: camera.height, : camera.width])


def on_mask(mask: Mask | None, pixels: Pixels) -> Mask:
    """Which of `pixels` (n×2 x, y) lie where `mask` is True; all of them without a mask."""
    if mask is None:
        return np.ones(len(pixels), bool)
    columns = np.clip(np.rint(pixels[:, 0]).astype(np.intp), 0, mask.shape[1] - 1)
    rows = np.clip(np.rint(pixels[:, 1]).astype(np.intp), 0, mask.shape[0] - 1)
    return np.asarray(mask[rows, columns])


def cell_size(shape: tuple[int, int], features: int) -> int:
    """Side of the square cells that hold one corner each, for about `features` cells."""
    return max(8, round((shape[0] * shape[1] / features) ** 0.5))


def new_corners(grey: Grey, pixels: Pixels, mask: Mask | None, cell: int) -> Pixels:
    """The best corner of every grid cell that holds none of `pixels` (n×2 float32)."""
    scores = cv2.cornerMinEigenVal(grey, 3)
    allowed = np.ones(grey.shape, bool) if mask is None else mask
    return np.asarray(_best_of_cells(scores, allowed, pixels, cell, BORDER), np.float32)


def follow(previous: Grey, current: Grey, pixels: Pixels, predicted: Pixels) -> tuple[Pixels, Mask]:
    """Where `pixels` (n×2 float32) of `previous` are in `current`, and which were found.

    `predicted` is where they are expected. Found are those inside the picture that come back to
    where they started when followed backwards.
    """
    if not len(pixels):
        return pixels.copy(), np.zeros(0, bool)
    found, status = _flow(previous, current, pixels, predicted, LEVELS)
    guess = found - (predicted - pixels)
    back, back_status = _flow(current, previous, found, guess, LEVELS)
    height, width = current.shape
    inside = (
        (found[:, 0] >= BORDER)
        & (found[:, 1] >= BORDER)
        & (found[:, 0] < width - BORDER)
        & (found[:, 1] < height - BORDER)
    )
    returned = np.hypot(*(back - pixels).T) < _ROUND_TRIP
    good = status & back_status & inside & returned
    return found, np.asarray(good)


def _flow(
    previous: Grey, current: Grey, pixels: Pixels, guess: Pixels, levels: int
) -> tuple[Pixels, Mask]:
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        previous,
        current,
        pixels,
        guess.astype(np.float32, copy=True),
        winSize=(WINDOW, WINDOW),
        maxLevel=levels,
        criteria=_CRITERIA,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return found, status[:, 0] == 1


@njit(cache=True, nogil=True)
def _best_of_cells(
    scores: NDArray[np.float32], allowed: Mask, pixels: Pixels, cell: int, border: int
) -> Pixels:
    height, width = scores.shape
    rows, columns = (height + cell - 1) // cell, (width + cell - 1) // cell
    taken = np.zeros((rows, columns), np.bool_)
    blocked = np.zeros((height, width), np.bool_)
    radius = max(3, cell // 3)
    for i in range(len(pixels)):
        x, y = int(pixels[i, 0]), int(pixels[i, 1])
        taken[min(max(y // cell, 0), rows - 1), min(max(x // cell, 0), columns - 1)] = True
        blocked[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] = True
    chosen = np.empty((rows * columns, 2), np.float32)
    count = 0
    for r in range(rows):
        for c in range(columns):
            if taken[r, c]:
                continue
            best, best_x, best_y = np.float32(_LEAST_CORNER), -1, -1
            for y in range(max(border, r * cell), min(height - border, (r + 1) * cell)):
                for x in range(max(border, c * cell), min(width - border, (c + 1) * cell)):
                    if scores[y, x] > best and allowed[y, x] and not blocked[y, x]:
                        best, best_x, best_y = scores[y, x], x, y
            if best_x < 0:
                continue
            chosen[count, 0], chosen[count, 1] = best_x, best_y
            count += 1
            blocked[
                max(0, best_y - radius) : best_y + radius + 1,
                max(0, best_x - radius) : best_x + radius + 1,
            ] = True
    return chosen[:count]
