"""Pictures of how a detector did on labelled pictures: curves, confusion, and the pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from litescene.core import Detections, Image
from litescene.media.accuracy_charts import Curve, draw_confusion, draw_curves
from litescene.media.contact_sheet import place, thumbnail
from litescene.media.overlay import draw_detections
from litescene.media.pictures import encode_png
from litescene.metrics.box_confusion import BoxConfusion, in_use
from litescene.metrics.detection import BoxTruth, DetectionMetric
from litescene.metrics.report import Examples, Tiles

SHOWN = 16
TILE = 320
"""Pixels of the longest side of a picture on the sheet."""
_TRUE = (255, 255, 255)


class DetectionReport:
    """Collects the pictures of one evaluation beside its metric; `files()` draws them.

    Of the pictures themselves, of which there will be `pictures`, one sheet shows `SHOWN`, evenly
    spread, another one those with most boxes that were missed, of another class or found where
    nothing is, worst first: true boxes thin and white, found ones, from the confusion's score on,
    in the colours of their classes.
    """

    def __init__(self, metric: DetectionMetric, pictures: int) -> None:
        self.metric = metric
        self.confusion = BoxConfusion(metric.taxonomy)
        self._examples = Examples(SHOWN, pictures)

    def add(self, image: Image, detections: Detections, truth: BoxTruth) -> None:
        """Count one picture H×W×3 RGB, in the metric too."""
        self.metric.add(detections, truth)
        before = self.confusion.mistakes
        self.confusion.add(detections, truth)
        mistakes = self.confusion.mistakes - before
        self._examples.add(mistakes, lambda: [self._tile(image, detections, truth)])

    def files(self, title: str) -> dict[str, bytes]:
        """PNG files by name: `precision_recall`, `confusion`, `pictures`, `worst`."""
        scores, taxonomy = self.metric.scores(), self.metric.taxonomy
        curves = []
        for index, (name, color) in enumerate(zip(taxonomy.names, taxonomy.colors, strict=True)):
            average = scores.ap50_per_class[name]
            if average is not None:
                curve = self.metric.curve(index)
                curves.append(Curve(name, color, curve.recall, curve.precision, average))
        said = f"{scores.pictures} pictures, {scores.boxes} boxes"
        overall = f"AP50 {scores.ap50:.3f} at an overlap of 0.5; {said}"
        pairs = (
            f"rows: true, columns: found; score from {self.confusion.score:g}, overlap from "
            f"{self.confusion.iou:g}"
        )
        counts = self.confusion.counts
        met = np.flatnonzero((counts.sum(0) + counts.sum(1))[:-1])
        kept = [*met, len(taxonomy)]
        names = [taxonomy.names[i] for i in met]
        matrix = draw_confusion(counts[np.ix_(kept, kept)], names, title, pairs)
        return {
            "precision_recall.png": draw_curves(curves, title, overall).png(),
            "confusion.png": matrix.png(),
            "pictures.png": _sheet(self._examples.evenly),
            "worst.png": _sheet(self._examples.worst),
        }

    def _tile(self, image: Image, detections: Detections, truth: BoxTruth) -> Image:
        scale, tile = TILE / max(image.shape[:2]), thumbnail(image, TILE)
        seen = in_use(detections, self.confusion.score)
        found = Detections(
            detections.boxes[seen] * np.float32(scale),
            detections.scores[seen],
            detections.classes[seen],
            detections.taxonomy,
        )
        draw_detections(tile, found)
        for box in truth.boxes * scale:
            x1, y1, x2, y2 = (round(float(value)) for value in box)
            cv2.rectangle(tile, (x1, y1), (x2, y2), _TRUE, 1)
        return tile


def _sheet(shown: Sequence[Tiles]) -> bytes:
    """On a square grid."""
    tiles = [tile for (tile,) in shown]
    side = max(math.ceil(math.sqrt(len(tiles))), 1)
    rows = [tiles[i : i + side] for i in range(0, len(tiles), side)]
    return encode_png(place(rows, TILE, TILE))
