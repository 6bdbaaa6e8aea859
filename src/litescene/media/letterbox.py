"""The letterbox of YOLOv5: fit a picture into a detector's input and map boxes back.

The picture keeps its aspect ratio, is resized bilinearly and centred on grey (114). With
`auto` only the padding up to the next multiple of the stride is kept, so a wide picture gives a
wide input. Ratio and padding are saved: recomputing them from the shapes, as the original's
`scale_coords` does, is wrong by up to half a pixel where the padding is odd.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core.frame import Image

PAD_VALUE = 114
"""Grey of every place without picture, in training too."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a picture lies in the network's input; sizes are (height, width) in pixels."""

    picture: tuple[int, int]
    resized: tuple[int, int]
    top: int
    left: int
    size: tuple[int, int]

    @classmethod
    def plan(
        cls, picture: tuple[int, int], target: tuple[int, int], *, stride: int = 32, auto: bool
    ) -> Letterbox:
        """Place a picture of (height, width) in `target`; halves round as YOLOv5 rounds them."""
        (height, width), (rows, columns) = picture, target
        ratio = min(rows / height, columns / width)
        resized = max(round(height * ratio), 1), max(round(width * ratio), 1)
        pad_y, pad_x = rows - resized[0], columns - resized[1]
        if auto:
            pad_y, pad_x = pad_y % stride, pad_x % stride
        top, left = round(pad_y / 2 - 0.1), round(pad_x / 2 - 0.1)
        return cls(picture, resized, top, left, (resized[0] + pad_y, resized[1] + pad_x))

    def apply(self, image: Image) -> Image:
        """The padded picture, `size` × 3 uint8."""
        if image.shape[:2] != self.picture:
            raise ValueError(f"planned for a picture of {self.picture}, not {image.shape[:2]}")
        padded = np.full((*self.size, 3), PAD_VALUE, np.uint8)
        bottom, right = self.top + self.resized[0], self.left + self.resized[1]
        inside = padded[self.top : bottom, self.left : right]
        if self.resized == self.picture:
            inside[:] = image
        else:
            inside[:] = cv2.resize(image, self.resized[::-1], interpolation=cv2.INTER_LINEAR)
        return padded

    def to_picture(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map n×4 boxes x1, y1, x2, y2 from the input to the picture and clip them to it."""
        (height, width), (rows, columns) = self.picture, self.resized
        offset = np.array([self.left, self.top] * 2, np.float32)
        scale = np.array([width / columns, height / rows] * 2, np.float32)
        limit = np.array([width, height] * 2, np.float32)
        return np.clip((boxes - offset) * scale, 0, limit).astype(np.float32)
