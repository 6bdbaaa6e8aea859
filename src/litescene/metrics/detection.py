"""Average precision of detections as COCO defines it (Lin et al. 2014, 101 recall points)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError, Detections, Taxonomy
from litescene.metrics.box_matching import Bools, Floats, box_areas, box_iou, match_greedily

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
RECALLS: Floats = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = (1, 10, 100)
AREAS = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
"""Ranges of the area in square pixels, both ends included."""


@dataclass(frozen=True, slots=True)
class BoxTruth:
    """True boxes of one picture.

    `boxes` n×4 (x1, y1, x2, y2 in pixels), `classes` n. `crowd` n marks boxes around groups;
    `ignored` n boxes that need not be found; `areas` n, object areas where they are known better
    than by the box. `known` are the classes that were annotated in this picture at all (default:
    every class); detections of other classes are neither right nor wrong there.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int32]
    crowd: NDArray[np.bool_] | None = None
    ignored: NDArray[np.bool_] | None = None
    areas: NDArray[np.float64] | None = None
    known: Collection[int] | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.boxes.shape != (n, 4):
            raise ValueError(f"true boxes must be n×4, not {self.boxes.shape}")
        for name in ("classes", "crowd", "ignored", "areas"):
            array = getattr(self, name)
            if array is not None and array.shape != (n,):
                raise ValueError(f"{name} must have {n} entries, not {array.shape}")
        if self.known is not None and not set(self.classes.tolist()) <= set(self.known):
            raise ValueError("a true box has a class that is not among the known ones")


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Curve of one class: at `scores` (falling) the `recall` and `precision` reached so far."""

    recall: Floats
    precision: Floats
    scores: Floats


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """Average precision and recall; every figure 0..1, `None` where there is no true box.

    `ap` is the mean over IoU 0.50 to 0.95, `ap50` and `ap75` those at one threshold; `ar` is
    the mean recall by the number of detections allowed in a picture (and class).
    """

    ap: float
    ap50: float
    ap75: float
    ap_by_area: dict[str, float | None]
    ar: dict[int, float]
    ar_by_area: dict[str, float | None]
    ap_per_class: dict[str, float | None]
    ap50_per_class: dict[str, float | None]
    pictures: int
    boxes: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class _Matches:
    """Detections of one class in one picture, best first, matched under A areas × T IoUs."""

    scores: Floats
    matched: Bools
    left_out: Bools
    truths: NDArray[np.int64]


class DetectionMetric:
    """Collects detections and true boxes picture by picture, then gives `scores()`.

    At most the 100 best detections of a class and picture count.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._pictures = 0
        self._matches: list[list[_Matches]] = [[] for _ in taxonomy.names]

    def add(self, detections: Detections, truth: BoxTruth) -> None:
        """Count one picture; classes are indices of the metric's taxonomy in both."""
        for classes in (detections.classes, truth.classes):
            if classes.size and not 0 <= classes.min() <= classes.max() < len(self.taxonomy):
                raise ValueError(f"a box has a class outside taxonomy '{self.taxonomy.name}'")
        self._pictures += 1
        found = set(detections.classes.tolist())
        if truth.known is not None:
            found &= set(truth.known)
        for c in sorted(found | set(truth.classes.tolist())):
            self._matches[c].append(_match_class(detections, truth, c))

    def merge(self, other: DetectionMetric) -> None:
        """Add the pictures of another part of the same data."""
        if other.taxonomy != self.taxonomy:
            raise ValueError(f"cannot merge '{other.taxonomy.name}' into '{self.taxonomy.name}'")
        self._pictures += other._pictures
        for own, more in zip(self._matches, other._matches, strict=True):
            own.extend(more)

    def scores(self) -> DetectionScores:
        """All figures; `DataError` when no picture had a true box that counts."""
        areas, caps = len(AREAS), len(MAX_DETECTIONS)
        shape = (len(self.taxonomy), areas, len(IOU_THRESHOLDS))
        precision = np.full(shape, np.nan)
        recall = np.full((*shape, caps), np.nan)
        boxes = 0
        for c, matches in enumerate(self._matches):
            truths = sum((m.truths for m in matches), np.zeros(areas, np.int64))
            boxes += int(truths[0])
            for a in np.flatnonzero(truths):
                for k, cap in enumerate(MAX_DETECTIONS):
                    hits, misses, _ = _ranked(matches, int(a), cap)
                    recall[c, a, :, k] = hits[:, -1] / truths[a] if hits.size else 0.0
                precision[c, a] = _average_precision(hits, misses, int(truths[a]))
        if boxes == 0:
            raise DataError("there are no true boxes to measure detections against")
        return self._summary(precision, recall, boxes)

    def curve(self, class_index: int, iou: float = 0.5) -> PrecisionRecall:
        """Precision over recall of one class at one of the IoU thresholds (0.5, 0.55 ...)."""
        t = int(np.argmin(np.abs(IOU_THRESHOLDS - iou)))
        if abs(IOU_THRESHOLDS[t] - iou) > 1e-6:
            raise ValueError(f"iou must be one of 0.50, 0.55, ... 0.95, not {iou}")
        matches = self._matches[class_index]
        truths = sum(int(m.truths[0]) for m in matches)
        hits, misses, scores = _ranked(matches, 0, MAX_DETECTIONS[-1])
        counted = hits[t] + misses[t] > 0
        hit, miss = hits[t][counted], misses[t][counted]
        return PrecisionRecall(hit / max(truths, 1), hit / (hit + miss), scores[counted])

    def _summary(self, precision: Floats, recall: Floats, boxes: int) -> DetectionScores:
        names, areas = self.taxonomy.names, list(AREAS)[1:]
        per_class = [_mean(p) for p in precision[:, 0]]
        per_class50 = [_mean(p) for p in precision[:, 0, 0]]
        return DetectionScores(
            ap=_known(precision[:, 0]),
            ap50=_known(precision[:, 0, 0]),
            ap75=_known(precision[:, 0, 5]),
            ap_by_area={name: _mean(precision[:, i + 1]) for i, name in enumerate(areas)},
            ar={cap: _known(recall[:, 0, :, k]) for k, cap in enumerate(MAX_DETECTIONS)},
            ar_by_area={name: _mean(recall[:, i + 1, :, -1]) for i, name in enumerate(areas)},
            ap_per_class=dict(zip(names, per_class, strict=True)),
            ap50_per_class=dict(zip(names, per_class50, strict=True)),
            pictures=self._pictures,
            boxes=boxes,
        )


def _match_class(detections: Detections, truth: BoxTruth, c: int) -> _Matches:
    found = np.flatnonzero(detections.classes == c)
    best = np.argsort(-detections.scores[found], kind="stable")[: MAX_DETECTIONS[-1]]
    found, true = found[best], np.flatnonzero(truth.classes == c)
    none = np.zeros(len(truth.boxes), bool)
    crowd = (none if truth.crowd is None else truth.crowd)[true]
    optional = crowd | (none if truth.ignored is None else truth.ignored)[true]
    area = (box_areas(truth.boxes) if truth.areas is None else truth.areas)[true]
    ignored = optional | _outside(area)
    iou = box_iou(detections.boxes[found], truth.boxes[true], crowd)
    matched, to_ignored = match_greedily(iou, ignored, crowd, IOU_THRESHOLDS)
    outside = _outside(box_areas(detections.boxes[found]))[:, None, :]
    return _Matches(
        detections.scores[found].astype(np.float64),
        matched,
        to_ignored | (~matched & outside),
        (~ignored).sum(axis=1),
    )


def _outside(area: Floats) -> Bools:
    low, high = np.array(list(AREAS.values())).T[:, :, None]
    return np.asarray((area < low) | (area > high))


def _ranked(matches: list[_Matches], area: int, cap: int) -> tuple[Floats, Floats, Floats]:
    """Running hits and misses T×D over all pictures by falling score, and the scores."""
    if not matches:
        empty = np.zeros((len(IOU_THRESHOLDS), 0))
        return empty, empty, np.zeros(0)
    scores = np.concatenate([m.scores[:cap] for m in matches])
    order = np.argsort(-scores, kind="stable")
    matched = np.concatenate([m.matched[area, :, :cap] for m in matches], axis=1)[:, order]
    counts = ~np.concatenate([m.left_out[area, :, :cap] for m in matches], axis=1)[:, order]
    hits = np.cumsum(matched & counts, axis=1, dtype=np.float64)
    misses = np.cumsum(~matched & counts, axis=1, dtype=np.float64)
    return hits, misses, scores[order]


def _average_precision(hits: Floats, misses: Floats, truths: int) -> Floats:
    """Mean of the interpolated precision at 101 recalls, per IoU threshold (T)."""
    if not hits.size:
        return np.zeros(len(hits))
    precision = hits / np.maximum(hits + misses, 1.0)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # Beyond the highest recall the precision is 0.
    precision = np.concatenate([precision, np.zeros((len(hits), 1))], axis=1)
    at = [np.searchsorted(hit / truths, RECALLS, side="left") for hit in hits]
    return np.asarray(np.take_along_axis(precision, np.array(at), axis=1).mean(axis=1))


def _mean(values: Any) -> float | None:
    known = np.asarray(values)[~np.isnan(values)]
    return float(known.mean()) if known.size else None


def _known(values: Floats) -> float:
    return float(np.nanmean(values))
