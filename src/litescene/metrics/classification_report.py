"""Pictures of how a classifier did on labelled pictures: confusion, and the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import Image
from litescene.media.accuracy_charts import draw_confusion
from litescene.media.contact_sheet import place, thumbnail
from litescene.media.overlay import caption
from litescene.media.pictures import encode_png
from litescene.metrics.classification import TopAccuracy
from litescene.metrics.report import Examples, Tiles

SHOWN, COLUMNS = 20, 5
"""Pictures on a sheet, and in a row of it."""
TILE = 240
"""Pixels of the longer side of a picture on a sheet."""
GROUND, WRONG = (24, 24, 24), (140, 24, 24)
"""Grounds of what is said of a picture, the second of one that was taken for another class."""


class ClassificationReport:
    """Collects the pictures of one evaluation beside its metric; `files()` draws them.

    `names` are those of the pictures that will come, in order; of pictures without a name nothing
    is shown. One sheet has `SHOWN` of them, evenly spread, another one those whose true class
    scored furthest below the likeliest one, worst first.
    """

    def __init__(self, metric: TopAccuracy, names: Sequence[str] = ()) -> None:
        self.metric = metric
        classes = len(metric.taxonomy)
        self.confusion: NDArray[np.int64] = np.zeros((classes, classes), np.int64)
        """Pictures of each true class (rows) that were taken for each class."""
        self._names = iter(names)
        self._examples = Examples(SHOWN, len(names))

    def add(
        self,
        images: Sequence[Image],
        scores: NDArray[np.floating[Any]],
        truth: NDArray[np.integer[Any]],
    ) -> None:
        """Count n pictures H×W×3 RGB as `TopAccuracy` does, and in the metric too."""
        self.metric.add(scores, truth)
        found = scores.argmax(axis=1)
        np.add.at(self.confusion, (truth, found), 1)
        for image, row, true, best in zip(images, scores, truth, found, strict=True):
            name = next(self._names, "")
            above = np.delete(row, true).max(initial=-np.inf) - row[true]
            self._examples.add(float(above), partial(self._tiles, image, name, true, best))

    def files(self, title: str) -> dict[str, bytes]:
        """PNG files by name: `confusion`, and where pictures have names `pictures` and `worst`."""
        files = {"confusion.png": self._confusion(title)}
        if self._examples.evenly:
            files["pictures.png"] = _sheet(self._examples.evenly)
            files["worst.png"] = _sheet(self._examples.worst)
        return files

    def _confusion(self, title: str) -> bytes:
        metric, counts = self.metric, self.confusion
        met = np.flatnonzero(counts.sum(0) + counts.sum(1)).tolist()
        said = (
            f"top-1 {metric.top1():.3f} of {metric.pictures} pictures; rows: true, columns: found"
        )
        names = [metric.taxonomy.names[i] for i in met]
        return draw_confusion(counts[np.ix_(met, met)], names, title, said).png()

    def _tiles(self, image: Image, name: str, true: int, best: int) -> Tiles:
        classes = self.metric.taxonomy.names
        said = [name, f"true: {classes[true]}", f"found: {classes[best]}"]
        lines = caption(said, TILE, GROUND if true == best else WRONG)
        return [place([[thumbnail(image, TILE)], [lines]], TILE)]


def _sheet(shown: Sequence[Tiles]) -> bytes:
    tiles = [tile for (tile,) in shown]
    rows = [tiles[i : i + COLUMNS] for i in range(0, len(tiles), COLUMNS)]
    return encode_png(place(rows, TILE + 8))
