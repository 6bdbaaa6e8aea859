"""Overlap of boxes and COCO's greedy assignment of detections to true boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def box_areas(boxes: ArrayLike) -> Floats:
    """Areas n of boxes n×4 (x1, y1, x2, y2)."""
    boxes = np.asarray(boxes, np.float64)
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_iou(boxes: ArrayLike, others: ArrayLike, crowd: Bools | None = None) -> Floats:
    """Intersection over union n×m of boxes n×4 and m×4 (x1, y1, x2, y2).

    Against the others that are a `crowd` (m, bool) the union is the first box's own area, so
    that a box inside a crowd overlaps it fully.
    """
    a, b = np.asarray(boxes, np.float64), np.asarray(others, np.float64)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.prod(np.maximum(high - low, 0.0), axis=2)
    own = np.broadcast_to(box_areas(a)[:, None], overlap.shape)
    union = own + box_areas(b)[None] - overlap
    if crowd is not None:
        union = np.where(crowd[None], own, union)
    return np.where(union > 0, overlap / np.where(union > 0, union, 1.0), 0.0)


def match_greedily(
    iou: Floats, ignored: Bools, crowd: Bools, thresholds: Floats
) -> tuple[Bools, Bools]:
    """Which detections are matched, and which of them to an ignored box; both A×T×D.

    `iou` D×G with detections in falling order of score; `ignored` A×G says for A settings (area
    ranges) which true boxes do not count; `crowd` G may be matched again and again. Each
    detection in turn takes the free box of the largest overlap of at least the threshold (T),
    boxes that count before those that do not, the last of equals, as COCO's evaluation does.
    """
    settings, boxes = ignored.shape
    matched = np.zeros((settings, len(thresholds), len(iou)), bool)
    to_ignored = np.zeros_like(matched)
    if boxes == 0:
        return matched, to_ignored
    limits = np.minimum(thresholds, 1 - 1e-10)[None, :, None]
    free = np.ones((settings, len(thresholds), boxes), bool)
    rows, columns = np.ogrid[:settings, : len(thresholds)]
    for d in np.flatnonzero(iou.max(axis=1) >= limits.min()):
        fits = free & (iou[d] >= limits)
        # Boxes that count are preferred to all others whatever the overlap.
        preference = np.where(fits, iou[d] + np.where(ignored, 0.0, 2.0)[:, None], -1.0)
        best = boxes - 1 - np.argmax(preference[..., ::-1], axis=2)
        found = fits[rows, columns, best]
        matched[..., d] = found
        to_ignored[..., d] = found & ignored[rows, best]
        free[rows, columns, best] &= ~found | crowd[best]
    return matched, to_ignored
