"""Which classes a detector takes for which, with what it misses and what it invents."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from litescene.core import Detections, Taxonomy
from litescene.metrics.box_matching import box_iou
from litescene.metrics.detection import BoxTruth

SCORE, IOU = 0.25, 0.45
"""YOLOv5's: boxes from this score on, paired from this overlap on."""


class BoxConfusion:
    """Counts pairs of true and found boxes, whatever their classes.

    `counts[t, f]` are boxes of class `t` found as class `f`, (C+1)×(C+1) int64. In the last column
    are true boxes that nothing was found for, in the last row found boxes where nothing is.
    """

    def __init__(self, taxonomy: Taxonomy, score: float = SCORE, iou: float = IOU) -> None:
        self.taxonomy, self.score, self.iou = taxonomy, score, iou
        self.counts: NDArray[np.int64] = np.zeros((len(taxonomy) + 1,) * 2, np.int64)

    @property
    def mistakes(self) -> int:
        """Boxes that were missed, taken for another class, or found where nothing is."""
        return int(self.counts.sum() - np.trace(self.counts))

    def add(self, detections: Detections, truth: BoxTruth) -> None:
        """Count one picture; classes are indices of the confusion's taxonomy in both.

        By falling score each found box takes the free true one that it overlaps most; of a box that
        was given several classes the best one counts. Found boxes that lie on a crowd or an ignored
        box, or whose class was not annotated in the picture, are not counted.
        """
        seen = in_use(detections, self.score, truth.known)
        boxes, classes = detections.boxes[seen], detections.classes[seen]
        none = np.zeros(len(truth.boxes), bool)
        crowd = none if truth.crowd is None else truth.crowd
        optional = crowd | (none if truth.ignored is None else truth.ignored)
        overlap = box_iou(boxes, truth.boxes, crowd)
        found, true = _paired(np.where(optional[None], 0.0, overlap), self.iou)
        np.add.at(self.counts, (truth.classes[true], classes[found]), 1)
        missed = ~optional
        missed[true] = False
        np.add.at(self.counts[:, -1], truth.classes[missed], 1)
        invented = np.ones(len(boxes), bool)
        invented[found] = False
        if optional.any():
            invented &= overlap[:, optional].max(axis=1, initial=0.0) < self.iou
        np.add.at(self.counts[-1], classes[invented], 1)


def in_use(
    detections: Detections, score: float, known: Collection[int] | None = None
) -> NDArray[np.intp]:
    """Indices of the boxes from a score on, best first; of equal boxes the best one alone.

    Where only the classes `known` were annotated, the others are left out before.
    """
    order = np.argsort(-detections.scores, kind="stable")
    order = order[detections.scores[order] >= score]
    if known is not None:
        order = order[np.isin(detections.classes[order], list(known))]
    _, first = np.unique(detections.boxes[order], axis=0, return_index=True)
    return np.asarray(order[np.sort(first)])


def _paired(
    overlap: NDArray[np.float64], least: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of pairs from a D×G overlap, each at most once; the D choose in order."""
    free = np.ones(overlap.shape[1], bool)
    pairs: list[tuple[int, int]] = []
    for found in np.flatnonzero((overlap >= least).any(axis=1)).tolist():
        offered = np.where(free, overlap[found], -1.0)
        best = int(offered.argmax())
        if offered[best] >= least:
            free[best] = False
            pairs.append((found, best))
    both = np.array(pairs, np.intp).reshape(-1, 2)
    return both[:, 0], both[:, 1]
