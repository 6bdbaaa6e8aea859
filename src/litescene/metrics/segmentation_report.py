"""Pictures of how a segmenter did on labelled pictures: confusion, and true and found classes."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import IGNORE, Image
from litescene.media.accuracy_charts import draw_confusion
from litescene.media.contact_sheet import place, thumbnail
from litescene.media.overlay import blend_labels, draw_status, legend
from litescene.media.pictures import encode_png
from litescene.metrics.report import Examples, Tiles
from litescene.metrics.segmentation import ConfusionMatrix

SHOWN = 8
"""Pictures on a sheet."""
TILE = 320
"""Pixels of the longer side of a picture on a sheet."""
WRONG = (255, 48, 48)
"""Colour of wrong pixels."""
_COLOURED = 0.6
"""Share of the classes' colours in what is painted over."""

Labels = NDArray[np.uint8]


class SegmentationReport:
    """Collects the pictures of one evaluation beside its confusion matrix; `files()` draws them.

    `names` are those of the pictures that will come, in order; of pictures without a name nothing
    is shown. One sheet has `SHOWN` of them, evenly spread, another one those with the largest share
    of wrong pixels, worst first. Each is shown as it is, with its true and with its found classes,
    and with its wrong pixels in red; what has no class is black there.
    """

    def __init__(self, matrix: ConfusionMatrix, names: Sequence[str] = ()) -> None:
        self.matrix = matrix
        self._names = iter(names)
        self._examples = Examples(SHOWN, len(names))

    def add(self, image: Image, predicted: Labels, truth: Labels) -> None:
        """Count one picture H×W×3 RGB and its labels, both H×W, in the matrix too."""
        self.matrix.add(predicted, truth)
        name, known = next(self._names, ""), truth != IGNORE
        wrong = float((known & (predicted != truth)).sum() / max(known.sum(), 1))
        self._examples.add(wrong, lambda: self._tiles(image, predicted, truth, name, wrong))

    def files(self, title: str) -> dict[str, bytes]:
        """PNG files by name: `confusion`, and where pictures have names `pictures` and `worst`."""
        files = {"confusion.png": self._confusion(title)}
        if self._examples.evenly:
            files["pictures.png"] = self._sheet(self._examples.evenly)
            files["worst.png"] = self._sheet(self._examples.worst)
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

    def _sheet(self, rows: Sequence[Tiles]) -> bytes:
        sheet = place(rows, TILE)
        present = np.flatnonzero(self.matrix.present).tolist()
        return encode_png(np.vstack([sheet, legend(self.matrix.taxonomy, sheet.shape[1], present)]))

    def _tiles(
        self, image: Image, predicted: Labels, truth: Labels, name: str, wrong: float
    ) -> Tiles:
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
            draw_status(small.copy(), name),
            draw_status(blend_labels(small, true, palette, _COLOURED), "true"),
            draw_status(blend_labels(small, found, palette, _COLOURED), "found"),
            draw_status(errors, f"wrong: {wrong:.1%}"),
        ]
