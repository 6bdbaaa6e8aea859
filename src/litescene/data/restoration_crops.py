"""Random crops of windows: what a restoration network learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from litescene.core import DataError
from litescene.data.restoration import Sample, cut_sample
from litescene.data.restoration_clips import Window


@dataclass(frozen=True, slots=True)
class CropOptions:
    """Side of the square crops, a multiple of the factor; how often they are turned over.

    `flip` is the share of crops mirrored left to right, `upside_down` top to bottom, and `reverse`
    those whose frames come in reverse order.
    """

    side: int
    factor: int = 1
    flip: float = 0.5
    upside_down: float = 0.0
    reverse: float = 0.5


def random_crop(
    window: Window, options: CropOptions, generator: np.random.Generator, name: str
) -> Sample:
    """A crop at a random place, the same in all pictures of a window.

    Raises `DataError` for pictures smaller than the crop.
    """
    side = options.side
    height, width = window[0].shape[:2]
    if min(height, width) < side:
        raise DataError(
            f"{name} has pictures of {width}×{height}, smaller than the crops of {side}×{side}"
        )
    top, left = (
        int(generator.integers(height - side + 1)),
        int(generator.integers(width - side + 1)),
    )
    chances = generator.random(3) < (options.flip, options.upside_down, options.reverse)
    rows = slice(None, None, -1 if chances[1] else 1)
    columns = slice(None, None, -1 if chances[0] else 1)
    crops = tuple(
        np.ascontiguousarray(image[top : top + side, left : left + side][rows, columns])
        for image in window
    )
    return cut_sample(crops[::-1] if chances[2] else crops, options.factor)
