"""A picture with its place in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""Picture, H×W×3, uint8, RGB."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source.

    `index` counts from 0; `time` is in seconds on the source's own clock (the container's
    presentation time stamps); `name` is the file name for pictures that come from files.
    """

    index: int
    time: float
    image: Image
    name: str = ""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            raise ValueError(
                f"a frame's image is H×W×3 uint8 RGB, not {self.image.shape} {self.image.dtype}"
            )

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.image.shape[1])
