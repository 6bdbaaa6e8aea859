"""Training pictures for detectors: four pictures around a random point, or one by itself.

Each tile is scaled, shifted and perhaps turned at random and drawn straight into its quadrant,
which costs one warp of the output's size in total. Beside picture and boxes a map says, for each
cell of `CELL` pixels, which classes are annotated there (see `training.losses.detection`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import Image
from litescene.data.box_transforms import (
    Boxes,
    about,
    box_areas,
    clip_boxes,
    jitter_hsv,
    place,
    place_boxes,
)
from litescene.media.letterbox import PAD_VALUE

CELL = 8
"""Side of a cell of the map of known classes: the finest stride of the detectors."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A source picture in memory: `image` H×W×3, `boxes` n×4 and `classes` n in its pixels,
    `crowd` n, and `known`, C bool: the classes its source annotates."""

    image: Image
    boxes: Boxes
    classes: NDArray[np.int32]
    crowd: NDArray[np.bool_]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TrainingPicture:
    """`image` h×w×3 uint8, `boxes` n×4 pixels, `classes` n, `known` (h/8)×(w/8)×C bool."""

    image: Image
    boxes: Boxes
    classes: NDArray[np.int32]
    known: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MosaicOptions:
    """Ranges of the random changes.

    `scale`: size of a tile's longest side relative to the output (single pictures use the upper
    half of the range); `turn` and `shear`: most degrees, either way; `mixup`: share of mosaics that
    are blended with another one; `least_visible`: share of an object that must stay in the tile.
    """

    scale: tuple[float, float] = (0.5, 1.5)
    flip: float = 0.5
    hsv: tuple[float, float, float] = (0.015, 0.7, 0.4)
    turn: float = 0.0
    shear: float = 0.0
    mixup: float = 0.0
    least_visible: float = 0.25
    least_side: float = 3.0


class _Canvas:
    """Collects tiles into one training picture."""

    def __init__(self, height: int, width: int, classes: int) -> None:
        self.image = np.full((height, width, 3), PAD_VALUE, np.uint8)
        self.known = np.ones((height // CELL, width // CELL, classes), bool)
        self.boxes: list[Boxes] = []
        self.classes: list[NDArray[np.int32]] = []

    def add(
        self,
        tile: Tile,
        region: tuple[int, int, int, int],
        matrix: NDArray[np.float64],
        options: MosaicOptions,
    ) -> None:
        place(tile.image, self.image, region, matrix)
        height, width = tile.image.shape[:2]
        whole = place_boxes(np.array([[0, 0, width, height]], np.float32), matrix)
        self._mark(clip_boxes(whole, region)[0], tile.known)
        boxes = place_boxes(tile.boxes, matrix)
        seen = clip_boxes(boxes, region)
        visible = box_areas(seen) > 0
        kept = (
            visible
            & ~tile.crowd
            & (box_areas(seen) >= options.least_visible * box_areas(boxes))
            & ((seen[:, 2:] - seen[:, :2]).min(axis=1, initial=np.inf) >= options.least_side)
        )
        # What is left of crowds, and of objects cut too small, is neither object nor background.
        nothing = np.zeros_like(tile.known)
        for box in seen[visible & ~kept]:
            self._mark(box, nothing)
        self.boxes.append(seen[kept])
        self.classes.append(tile.classes[kept])

    def _mark(self, box: NDArray[np.float32], known: NDArray[np.bool_]) -> None:
        """Restrict what is known in the cells whose centres lie in the box."""
        x1, y1, x2, y2 = np.ceil(box / CELL - 0.5).astype(int)
        self.known[y1:y2, x1:x2] &= known

    def finish(self, options: MosaicOptions, g: np.random.Generator) -> TrainingPicture:
        image = jitter_hsv(self.image, options.hsv, g)
        return TrainingPicture(
            image, np.concatenate(self.boxes), np.concatenate(self.classes), self.known
        )


def _shift(length: float, low: int, high: int, towards_low: bool, g: np.random.Generator) -> float:
    """Where a tile of this length begins so that it covers, or touches the centre of, low..high."""
    slack = (high - low) - length
    if slack > 0:
        return low if towards_low else high - length
    return low + slack * float(g.random())


def mosaic(
    tiles: Sequence[Tile], size: int, options: MosaicOptions, g: np.random.Generator
) -> TrainingPicture:
    """Four tiles around a centre drawn from the middle half of the size×size output."""
    canvas = _Canvas(size, size, len(tiles[0].known))
    cx, cy = (int(v) for v in g.integers(size // 4, size - size // 4 + 1, 2))
    for index, tile in enumerate(tiles):
        right, lower = index % 2 == 1, index >= 2
        x1, x2 = (cx, size) if right else (0, cx)
        y1, y2 = (cy, size) if lower else (0, cy)
        height, width = tile.image.shape[:2]
        scale = size / max(height, width) * float(g.uniform(*options.scale))
        left = _shift(width * scale, x1, x2, right, g)
        top = _shift(height * scale, y1, y2, lower, g)
        canvas.add(tile, (x1, y1, x2, y2), _matrix(tile, scale, left, top, options, g), options)
    return canvas.finish(options, g)


def single(
    tile: Tile, height: int, width: int, options: MosaicOptions, g: np.random.Generator
) -> TrainingPicture:
    """One picture, scaled around the letterbox size and shifted within the height×width output."""
    canvas = _Canvas(height, width, len(tile.known))
    rows, columns = tile.image.shape[:2]
    low, high = options.scale
    fit = min(height / rows, width / columns)
    scale = fit * float(g.uniform((low + 1) / 2, (high + 1) / 2))
    left = (width - columns * scale) * float(g.random())
    top = (height - rows * scale) * float(g.random())
    matrix = _matrix(tile, scale, left, top, options, g)
    canvas.add(tile, (0, 0, width, height), matrix, options)
    return canvas.finish(options, g)


def blended(
    one: TrainingPicture, other: TrainingPicture, g: np.random.Generator
) -> TrainingPicture:
    """Both pictures in one, with the boxes of both; a class is known where it is known in both.

    The share of the first is drawn from Beta(8, 8), about a half, as YOLOv5 does. Zhang et al.,
    "mixup: Beyond Empirical Risk Minimization", ICLR 2018.
    """
    share = float(g.beta(8.0, 8.0))
    image = cv2.addWeighted(one.image, share, other.image, 1.0 - share, 0.0)
    return TrainingPicture(
        np.asarray(image),
        np.concatenate((one.boxes, other.boxes)),
        np.concatenate((one.classes, other.classes)),
        one.known & other.known,
    )


def _matrix(
    tile: Tile,
    scale: float,
    left: float,
    top: float,
    options: MosaicOptions,
    g: np.random.Generator,
) -> NDArray[np.float64]:
    """2×3 from the tile to the output, in edge coordinates."""
    height, width = tile.image.shape[:2]
    matrix = np.array([[scale, 0.0, left], [0.0, scale, top], [0.0, 0.0, 1.0]])
    if g.random() < options.flip:
        matrix[0, 0], matrix[0, 2] = -scale, left + width * scale
    if options.turn or options.shear:
        centre = left + width * scale / 2, top + height * scale / 2
        turn, shear = g.uniform(-1, 1, 2) * (options.turn, options.shear)
        matrix = about(centre, turn, shear) @ matrix
    return np.asarray(matrix[:2])
