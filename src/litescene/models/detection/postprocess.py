"""Rows of a detector to boxes: scores, classes and per-class non-maximum suppression."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_CANDIDATES = 30_000
MAX_BOXES = 300


def candidates(rows: Tensor, score: float, *, multi_label: bool = False) -> Tensor:
    """Decoded rows R×(5+C) to n×6: x1, y1, x2, y2, score, class.

    A row needs an objectness above `score`; its score is objectness · class score. The best class
    counts, or with `multi_label` each class whose score is above `score`.
    """
    rows = rows[rows[:, 4] > score]
    scores = rows[:, 5:] * rows[:, 4:5]
    half = rows[:, 2:4] / 2
    boxes = torch.cat((rows[:, :2] - half, rows[:, :2] + half), 1)
    if multi_label:
        index, cls = (scores > score).nonzero(as_tuple=True)
        best = scores[index, cls]
        return torch.cat((boxes[index], best[:, None], cls[:, None].to(rows.dtype)), 1)
    best, cls = scores.max(1)
    found = torch.cat((boxes, best[:, None], cls[:, None].to(rows.dtype)), 1)
    return found[best > score]


def pairwise_iou(a: Tensor, b: Tensor) -> Tensor:
    """IoU of boxes n×4 with boxes m×4 (corners): n×m."""
    area_a = (a[:, 2:4] - a[:, :2]).prod(1)
    area_b = (b[:, 2:4] - b[:, :2]).prod(1)
    low = torch.max(a[:, None, :2], b[None, :, :2])
    high = torch.min(a[:, None, 2:4], b[None, :, 2:4])
    inter = (high - low).clamp(min=0).prod(2)
    return inter / (area_a[:, None] + area_b[None] - inter)


def suppress(found: Tensor, iou: float, *, agnostic: bool = False) -> Tensor:
    """Greedy non-maximum suppression of rows n×6, best first; at most `MAX_BOXES` stay.

    Rows of one class (of any class if `agnostic`) that overlap a better kept row by more than
    `iou` are dropped. Equal scores keep their order.
    """
    order = found[:, 4].argsort(descending=True, stable=True)[:MAX_CANDIDATES]
    rest = found[order]
    kept: list[Tensor] = []
    while len(rest) and len(kept) < MAX_BOXES:
        best, rest = rest[0], rest[1:]
        kept.append(best)
        overlaps = pairwise_iou(best[None, :4], rest[:, :4])[0] > iou
        if not agnostic:
            overlaps &= rest[:, 5] == best[5]
        rest = rest[~overlaps]
    return torch.stack(kept) if kept else found[:0]


def detect(
    rows: Tensor, score: float, iou: float, *, multi_label: bool = False, agnostic: bool = False
) -> Tensor:
    """Decoded rows R×(5+C) of one picture to boxes n×6, best first."""
    return suppress(candidates(rows, score, multi_label=multi_label), iou, agnostic=agnostic)
