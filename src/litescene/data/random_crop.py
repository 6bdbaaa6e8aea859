"""A random part of a picture at the size of training, for classification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from litescene.core import Image
from litescene.media.fitting import resize


@dataclass(frozen=True, slots=True)
class CropRange:
    """Least and largest share of the picture's area, and of the ratio of width to height.

    Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6, has 0.08 to 1 and 3/4
    to 4/3.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)


@dataclass(frozen=True, slots=True)
class Crop:
    """A part of a picture in pixels, mirrored or not."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool

    @classmethod
    def draw(
        cls, picture: tuple[int, int], limits: CropRange, flip: float, g: np.random.Generator
    ) -> Crop:
        """Draw a part of a picture (height, width): area evenly, ratio evenly in its logarithm.

        Sides that would be longer than the picture's are cut to those. `flip` is how often the
        part is mirrored.
        """
        height, width = picture
        area = height * width * g.uniform(*limits.scale)
        ratio = np.exp(g.uniform(*np.log(limits.ratio)))
        rows = min(max(round(np.sqrt(area / ratio)), 1), height)
        columns = min(max(round(np.sqrt(area * ratio)), 1), width)
        top, left = int(g.integers(height - rows + 1)), int(g.integers(width - columns + 1))
        return cls(top, left, rows, columns, bool(g.random() < flip))

    def cut(self, image: Image, size: tuple[int, int]) -> Image:
        """The part of H×W×3 at (height, width)."""
        rows = slice(self.top, self.top + self.height)
        part = resize(image[rows, self.left : self.left + self.width], size)
        return part[:, ::-1] if self.mirrored else part
