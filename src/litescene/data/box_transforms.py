"""Transforms of pictures with boxes: placement, clipping, colour.

Boxes are n×4 x1, y1, x2, y2 in pixels, measured at pixel edges: a box around a whole picture is
0, 0, width, height.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import Image
from litescene.media.letterbox import PAD_VALUE

Boxes = NDArray[np.float32]


def limit_size(image: Image, longest: int) -> Image:
    """Shrink a picture whose longest side is above `longest` pixels; never enlarge."""
    height, width = image.shape[:2]
    ratio = longest / max(height, width)
    if ratio >= 1:
        return image
    size = (max(round(width * ratio), 1), max(round(height * ratio), 1))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def clip_boxes(boxes: Boxes, region: tuple[float, float, float, float]) -> Boxes:
    """Boxes cut to a region x1, y1, x2, y2."""
    low = np.array(region[:2] * 2, np.float32)
    high = np.array(region[2:] * 2, np.float32)
    return np.clip(boxes, low, high).astype(np.float32)


def box_areas(boxes: Boxes) -> NDArray[np.float32]:
    """Areas in square pixels, n."""
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def place(
    image: Image, canvas: Image, region: tuple[int, int, int, int], matrix: NDArray[np.float64]
) -> None:
    """Draw a picture into the region (x1, y1, x2, y2) of a canvas, in place; grey where it ends.

    `matrix`, 2×3, maps the picture to the canvas in edge coordinates. Sampled bilinearly at pixel
    centres.
    """
    x1, y1, x2, y2 = region
    if x2 <= x1 or y2 <= y1:
        return
    centres = matrix.copy()
    centres[:, 2] += 0.5 * matrix[:, :2].sum(1) - 0.5 - np.array([x1, y1])
    canvas[y1:y2, x1:x2] = cv2.warpAffine(
        image,
        centres,
        (x2 - x1, y2 - y1),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(PAD_VALUE,) * 3,
    )


def place_boxes(boxes: Boxes, matrix: NDArray[np.float64]) -> Boxes:
    """Upright boxes around those of a picture on the canvas, for the matrix of `place`."""
    corners = boxes.astype(np.float64)[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2)
    moved = corners @ matrix[:, :2].T + matrix[:, 2]
    return np.concatenate((moved.min(1), moved.max(1)), axis=1).astype(np.float32)


def about(centre: tuple[float, float], turn: float, shear: float) -> NDArray[np.float64]:
    """3×3: a shear along the rows, then a turn, both in degrees and about a point (x, y).

    A positive turn takes x towards y, clockwise as seen on the screen.
    """
    angle, slant = np.deg2rad(turn), np.tan(np.deg2rad(shear))
    cosine, sine = np.cos(angle), np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.array([[1.0, slant], [0.0, 1.0]])
    matrix = np.eye(3)
    matrix[:2, :2] = linear
    matrix[:2, 2] = np.array(centre) - linear @ np.array(centre)
    return matrix


def jitter_hsv(image: Image, gains: tuple[float, float, float], g: np.random.Generator) -> Image:
    """Random hue, saturation and value by look-up tables: factors 1 ± gain, hue wraps around."""
    hue, saturation, value = 1.0 + g.uniform(-1, 1, 3) * gains
    levels = np.arange(256, dtype=np.float64)
    tables = np.stack(
        (
            (levels * hue) % 180,
            np.clip(levels * saturation, 0, 255),
            np.clip(levels * value, 0, 255),
        ),
        axis=1,
    )
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    changed = cv2.LUT(hsv, tables.astype(np.uint8)[:, None, :])
    return np.asarray(cv2.cvtColor(changed, cv2.COLOR_HSV2RGB))
