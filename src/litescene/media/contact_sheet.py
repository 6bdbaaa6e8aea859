"""Contact sheets: small pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from litescene.core import Image

_GROUND = 32


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the places 0 to `count` - 1, evenly from the first to the last.

    >>> spread(20, 5)
    [0, 5, 10, 14, 19]
    """
    return [round(v) for v in np.linspace(0, max(count - 1, 0), min(most, count)).tolist()]


def thumbnail_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width, in the same ratio, of which the longer one is `side`.

    >>> thumbnail_size(360, 480, 320)
    (240, 320)
    """
    scale = side / max(height, width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def thumbnail(image: Image, side: int) -> Image:
    """A picture H×W×3 at the size at which its longer side has `side` pixels."""
    height, width = thumbnail_size(image.shape[0], image.shape[1], side)
    method = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=method))


def place(rows: Sequence[Sequence[Image]], width: int, height: int | None = None) -> Image:
    """Pictures row by row, each in the middle of a field.

    Fields are `width` pixels wide, and `height` high or, without it, as high as the highest picture
    of their row. Without pictures there is one empty field.
    """
    columns = max((len(row) for row in rows), default=1)
    heights = [height or max(tile.shape[0] for tile in row) for row in rows] or [height or width]
    sheet = np.full((sum(heights), columns * width, 3), _GROUND, np.uint8)
    top = 0
    for row, high in zip(rows, heights, strict=False):
        for column, tile in enumerate(row):
            y = top + (high - tile.shape[0]) // 2
            x = column * width + (width - tile.shape[1]) // 2
            sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        top += high
    return sheet
