"""Several detection data sets as one: decoded once into memory, drawn in balance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError, SourceError, Taxonomy
from litescene.data.box_transforms import limit_size
from litescene.data.detection import DetectionData
from litescene.data.detection_records import DetectionSample
from litescene.data.memory import require_reserve
from litescene.data.mosaic import MosaicOptions, Tile, TrainingPicture, blended, mosaic, single
from litescene.media.pictures import read_picture

STRIDE = 32
"""The sides of training pictures are multiples of it: the coarsest stride of the detectors."""

RARE = 0.5
"""A class on less than this share of a source's pictures is drawn more often there."""


def load_tile(sample: DetectionSample, classes: int, longest: int) -> Tile:
    """Decode a picture, shrunk so that its longest side is at most `longest` pixels."""
    try:
        full = read_picture(sample.picture)
    except SourceError as error:
        raise DataError(str(error)) from error
    image = limit_size(full, longest)
    scale = [image.shape[1] / full.shape[1], image.shape[0] / full.shape[0]] * 2
    boxes = (sample.boxes * np.array(scale)).astype(np.float32)
    known = np.zeros(classes, bool)
    known[list(sample.known)] = True
    return Tile(image, boxes, sample.classes, sample.crowd, known)


def rarity_weights(samples: Sequence[DetectionSample]) -> NDArray[np.float64]:
    """Weight of each picture of a source, mean 1: √(RARE / share) of its rarest class.

    The rule of LVIS's repeat factor (Gupta et al., CVPR 2019); pictures without an object weigh
    as much as those with frequent classes only.
    """
    present = [set(s.classes[~s.crowd].tolist()) for s in samples]
    shares = {c: sum(c in p for p in present) / len(samples) for c in set[int]().union(*present)}
    factors = [max((max(1.0, RARE / shares[c]) ** 0.5 for c in p), default=1.0) for p in present]
    weights = np.array(factors)
    return weights / weights.mean()


@dataclass(frozen=True, slots=True)
class Rectangles:
    """A batch of single pictures of one height and width; its `number` is that in the epoch."""

    seed: int
    epoch: int
    number: int
    height: int
    width: int
    tiles: tuple[Tile, ...]


class DetectionMix:
    """Training pictures from several sources.

    `weights` says how often each source is drawn (in proportion). All random numbers of a
    training picture depend on (seed, epoch, position) alone.
    """

    def __init__(
        self,
        sources: Sequence[DetectionData],
        weights: Sequence[float],
        longest: int,
        options: MosaicOptions | None = None,
    ) -> None:
        if not sources or len(sources) != len(weights):
            raise DataError(f"{len(sources)} sources and {len(weights)} weights do not fit")
        self.taxonomy: Taxonomy = sources[0].taxonomy
        self.sources = tuple(sources)
        self.options = options or MosaicOptions()
        samples = [s for source in sources for s in source.samples]
        classes = len(self.taxonomy)
        self.tiles: list[Tile] = []
        with ThreadPoolExecutor(2) as pool:
            for tile in pool.map(lambda s: load_tile(s, classes, longest), samples):
                self.tiles.append(tile)
                require_reserve(
                    f"[detection].train: after {len(self.tiles)} of {len(samples)} pictures",
                    "take fewer pictures, or smaller ones by the size of the stages",
                )
        shares = [
            weight / len(source) * rarity_weights(source.samples)
            for source, weight in zip(sources, weights, strict=True)
        ]
        share = np.concatenate(shares)
        self.cumulative = np.cumsum(share / share.sum())

    def __len__(self) -> int:
        return len(self.tiles)

    def box_sizes(self, side: int) -> NDArray[np.float64]:
        """Widths and heights n×2 of all single objects, in pictures fitted into side×side."""
        sizes = [
            (t.boxes[~t.crowd, 2:] - t.boxes[~t.crowd, :2]) * (side / max(t.image.shape[:2]))
            for t in self.tiles
        ]
        return np.concatenate(sizes).astype(np.float64)

    def class_counts(self) -> NDArray[np.int64]:
        """Single objects of every class in all pictures."""
        found = [tile.classes[~tile.crowd] for tile in self.tiles]
        return np.bincount(np.concatenate(found), minlength=len(self.taxonomy))

    def _draw(self, count: int, g: np.random.Generator) -> list[Tile]:
        found = np.searchsorted(self.cumulative, g.random(count), side="right")
        return [self.tiles[min(int(i), len(self.tiles) - 1)] for i in found]

    def picture(
        self, seed: int, epoch: int, position: int, size: int, mosaic_share: float
    ) -> TrainingPicture:
        """The training picture at a position of an epoch: size×size, a mosaic or a single one."""
        g = np.random.default_rng((seed, epoch, position))
        if g.random() >= mosaic_share:
            return single(self._draw(1, g)[0], size, size, self.options, g)
        made = mosaic(self._draw(4, g), size, self.options, g)
        if self.options.mixup and g.random() < self.options.mixup:
            return blended(made, mosaic(self._draw(4, g), size, self.options, g), g)
        return made

    def rectangles(
        self, seed: int, epoch: int, sizes: Sequence[int], batch_size: int
    ) -> list[Rectangles]:
        """The batches of an epoch without mosaics, each of pictures of about one aspect.

        The pictures that are drawn for the epoch are sorted by aspect and cut into batches, whose
        order is random; a batch's sides are the least multiples of `STRIDE` into which all of its
        pictures fit with their longest side at its size. As YOLOv5's rectangular training.
        """
        batches = len(sizes)
        g = np.random.default_rng((seed, epoch))
        tiles = self._draw(batches * batch_size, g)
        tiles.sort(key=lambda tile: tile.image.shape[0] / tile.image.shape[1])
        groups = [tiles[i * batch_size : (i + 1) * batch_size] for i in range(batches)]
        return [
            Rectangles(seed, epoch, i, *_sides(groups[which], sizes[i]), tuple(groups[which]))
            for i, which in enumerate(g.permutation(batches))
        ]

    def rectangle(self, batch: Rectangles, index: int) -> TrainingPicture:
        """The training picture at an index of a batch."""
        position = batch.number * len(batch.tiles) + index
        g = np.random.default_rng((batch.seed, batch.epoch, position))
        return single(batch.tiles[index], batch.height, batch.width, self.options, g)


def _sides(tiles: Sequence[Tile], size: int) -> tuple[int, int]:
    """Height and width."""
    aspects = [tile.image.shape[0] / tile.image.shape[1] for tile in tiles]
    height, width = min(1.0, max(aspects)), min(1.0, 1.0 / min(aspects))
    rows, columns = (math.ceil(side * size / STRIDE - 1e-9) * STRIDE for side in (height, width))
    return rows, columns
