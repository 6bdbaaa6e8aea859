"""Pictures of how a segmenter did on labelled pictures: confusion, and true and found classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import IGNORE, Image
from litescene.media.accuracy_charts import draw_confusion
from litescene.media.contact_sheet import place, spread, thumbnail
from litescene.media.overlay import blend_labels, draw_status, legend
from litescene.media.pictures import encode_png
from litescene.metrics.segmentation import ConfusionMatrix

SHOWN = 8
"""Pictures on a sheet."""
TILE = 320
"""Pixels of the longer side of a picture on a sheet."""
WRONG = (255, 48, 48)
"""Colour of wrong pixels."""

Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A picture on a sheet: its place in the data, its share of wrong pixels, its tiles."""

    index: int
    wrong: float
    tiles: list[Image]


class SegmentationReport:
    """Collects the pictures of one evaluation beside its confusion matrix; `files()` draws them.

    `names` are those of the pictures that will come, in order; of pictures without a name nothing
    is shown. One sheet has `SHOWN` of them, evenly spread, another one those with the largest share
    of wrong pixels, worst first. Each is shown as it is, with its true and with its found classes,
    and with its wrong pixels in red; what has no class is black there.
    """

    def __init__(self, matrix: ConfusionMatrix, names: Sequence[str] = ()) -> None:
        self.matrix = matrix
        self._names = names
        self._chosen = set(spread(len(names), SHOWN))
        self._count = 0
        self._spread: list[_Seen] = []
        self._worst: list[_Seen] = []

    def add(self, image: Image, predicted: Labels, truth: Labels) -> None:
        """Count one picture H×W×3 RGB and its labels, both H×W, in the matrix too."""
        self.matrix.add(predicted, truth)
        index, self._count = self._count, self._count + 1
        if index >= len(self._names):
            return
        known = truth != IGNORE
        wrong = known & (predicted != truth)
        share = float(wrong.sum() / max(known.sum(), 1))
        among_worst = len(self._worst) < SHOWN or share > self._worst[-1].wrong
        if not among_worst and index not in self._chosen:
            return
        shown = _Seen(index, share, self._tiles(image, predicted, truth, index, share))
        if index in self._chosen:
            self._spread.append(shown)
        if among_worst:
            ranked = sorted([*self._worst, shown], key=lambda seen: (-seen.wrong, seen.index))
            self._worst = ranked[:SHOWN]

    def files(self, title: str) -> dict[str, bytes]:
        """PNG files by name: `confusion`, and where pictures have names `pictures` and `worst`."""
        files = {"confusion.png": self._confusion(title)}
        if self._spread:
            files["pictures.png"] = self._sheet(self._spread)
            files["worst.png"] = self._sheet(self._worst)
        return files

    def _confusion(self, title: str) -> bytes:
        matrix = self.matrix
        met = np.flatnonzero(matrix.present).tolist()
        missed = [len(matrix.taxonomy)] if matrix.counts[:, -1].any() else []
        said = (
            f"mean IoU {matrix.mean_iou():.3f}; rows: true, columns: found, in percent of the true "
            "pixels"
        )
        return draw_confusion(
            matrix.counts[np.ix_(met, met + missed)],
            [matrix.taxonomy.names[i] for i in met],
            title,
            said,
            percent=True,
            beside=[f"IoU {value:.3f}" for value in matrix.iou()[met]],
        ).png()

    def _sheet(self, seen: Sequence[_Seen]) -> bytes:
        sheet = place([one.tiles for one in seen], TILE)
        present = np.flatnonzero(self.matrix.present).tolist()
        return encode_png(np.vstack([sheet, legend(self.matrix.taxonomy, sheet.shape[1], present)]))

    def _tiles(
        self, image: Image, predicted: Labels, truth: Labels, index: int, share: float
    ) -> list[Image]:
        small = thumbnail(image, TILE)
        size = small.shape[1], small.shape[0]
        true, found = (
            np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST))
            for labels in (truth, predicted)
        )
        palette = self.matrix.taxonomy.palette
        errors = np.repeat(small.mean(axis=2, keepdims=True) / 2, 3, axis=2).astype(np.uint8)
        errors[true != found] = WRONG
        errors[true == IGNORE] = 0
        return [
            draw_status(small.copy(), self._names[index]),
            draw_status(blend_labels(small, true, palette, 0.6), "true"),
            draw_status(blend_labels(small, found, palette, 0.6), "found"),
            draw_status(errors, f"wrong: {share:.1%}"),
        ]
