"""Several detection data sets as one: decoded once into memory, drawn in balance."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError, SourceError, Taxonomy
from litescene.data.box_transforms import limit_size
from litescene.data.detection import DetectionData
from litescene.data.detection_records import DetectionSample
from litescene.data.mosaic import MosaicOptions, Tile, TrainingPicture, mosaic, single
from litescene.media.pictures import read_picture

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
        with ThreadPoolExecutor(2) as pool:
            self.tiles = list(pool.map(lambda s: load_tile(s, classes, longest), samples))
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

    def _draw(self, count: int, g: np.random.Generator) -> list[Tile]:
        found = np.searchsorted(self.cumulative, g.random(count), side="right")
        return [self.tiles[min(int(i), len(self.tiles) - 1)] for i in found]

    def picture(
        self, seed: int, epoch: int, position: int, size: int, mosaic_share: float
    ) -> TrainingPicture:
        """The training picture at a position of an epoch: size×size, a mosaic or a single one."""
        g = np.random.default_rng((seed, epoch, position))
        if g.random() < mosaic_share:
            return mosaic(self._draw(4, g), size, self.options, g)
        return single(self._draw(1, g)[0], size, self.options, g)
