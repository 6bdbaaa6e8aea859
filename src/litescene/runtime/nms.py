"""YOLOv5's decoding and non-maximum suppression on raw head maps, fused.

A head map holds, for every anchor, the planes x, y, w, h, objectness, class 0, class 1, …, all
before the sigmoid. With s = sigmoid(t), stride p and anchor (aw, ah) in pixels:

    x = (2 s_x - 0.5 + column) p    w = (2 s_w)² aw    score = s_objectness · s_class
    y = (2 s_y - 0.5 + row) p       h = (2 s_h)² ah

Soft suppression (Bodla et al., "Soft-NMS", ICCV 2017) lowers the score of what overlaps a better
box, by exp(-IoU²/σ), instead of dropping it.

Objectness is compared with the threshold before the sigmoid, so that almost all cells cost one
comparison. Order of rows: level, anchor, row, column; suppression is greedy by score (equal
scores in row order), within a class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit
from litescene.runtime.kernels import announce

MAX_CANDIDATES = 30_000
MAX_BOXES = 300

SIGMA = 0.5
"""Of soft suppression, the paper's value."""

Suppression = Literal["class", "all", "soft"]
"""Boxes suppress others of their class, of all classes, or softly those of their class."""

Anchors = Sequence[Sequence[tuple[float, float]]]


def decode(
    heads: Sequence[NDArray[np.float32]],
    anchors: Anchors,
    strides: Sequence[int],
    score: float,
    *,
    multi_label: bool = False,
) -> NDArray[np.float32]:
    """Boxes above a score, of one picture.

    Args:
        heads: one (a·(5+C))×h×w float32 map per level.
        anchors: per level, widths and heights in pixels.
        strides: per level.
        score: a box is kept where objectness and objectness·class are above it, 0 to 1.
        multi_label: keep every class above `score` instead of the best one.

    Returns:
        n×6 float32 rows x1, y1, x2, y2 (pixels of the input), score, class.

    """
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"a score threshold is between 0 and 1, not {score}")
    _announce_compilation()
    levels = [
        _decode_level(*_level(head, sizes), float(stride), *_threshold(score), multi_label)
        for head, sizes, stride in zip(heads, anchors, strides, strict=True)
    ]
    return np.concatenate(levels)


def suppress(
    rows: NDArray[np.float32], iou: float, *, agnostic: bool = False, limit: int = MAX_BOXES
) -> NDArray[np.float32]:
    """Non-maximum suppression.

    Args:
        rows: n×6 as `decode` gives them; only the best `MAX_CANDIDATES` are considered.
        iou: a box goes when it overlaps a better one of its class by more than this.
        agnostic: boxes of different classes suppress each other too.
        limit: at most so many boxes.

    Returns:
        The rows that stay, best score first.

    """
    order = np.argsort(-rows[:, 4], kind="stable")[:MAX_CANDIDATES]
    ranked = np.ascontiguousarray(rows[order], np.float32)
    return np.asarray(ranked[_keep(ranked, iou, agnostic, limit)])


def suppress_softly(
    rows: NDArray[np.float32],
    score: float,
    *,
    sigma: float = SIGMA,
    agnostic: bool = False,
    limit: int = MAX_BOXES,
) -> NDArray[np.float32]:
    """Soft non-maximum suppression.

    Args:
        rows: n×6 as `decode` gives them; only the best `MAX_CANDIDATES` are considered.
        score: a box goes when its lowered score is not above this.
        sigma: how fast scores fall with the overlap, above 0.
        agnostic: boxes of different classes lower each other's scores too.
        limit: at most so many boxes.

    Returns:
        The rows that stay with their lowered scores, best first.

    """
    if sigma <= 0.0:
        raise ValueError(f"sigma is above 0, not {sigma}")
    order = np.argsort(-rows[:, 4], kind="stable")[:MAX_CANDIDATES]
    ranked = np.array(rows[order], np.float32, order="C")
    return np.asarray(ranked[_fade(ranked, score, sigma, agnostic, limit)])


@cache
def _announce_compilation() -> None:
    announce("the decoding kernels", _decode_level, _keep)


def _threshold(score: float) -> tuple[float, float]:
    """The score and its logit, lowered by a hair; the exact test follows after the sigmoid."""
    if score <= 0.0:
        return score, -math.inf
    return score, math.inf if score >= 1.0 else math.log(score / (1.0 - score)) - 1e-4


def _level(
    head: NDArray[np.float32], anchors: Sequence[tuple[float, float]]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    channels, height, width = head.shape
    if channels % len(anchors) or channels // len(anchors) < 6:
        raise ValueError(f"a head map of {channels} channels does not fit {len(anchors)} anchors")
    planes = np.ascontiguousarray(head, np.float32).reshape(len(anchors), -1, height, width)
    return planes, np.asarray(anchors, np.float64)


@njit(cache=True, nogil=True)
def _sigmoid(t):  # type: ignore[no-untyped-def]
    return 1.0 / (1.0 + math.exp(-t))


@njit(cache=True, nogil=True)
def _decode_level(planes, anchors, stride, score, logit, multi_label):  # type: ignore[no-untyped-def]
    count, channels, height, width = planes.shape
    rows = np.empty((64, 6), np.float32)
    n = 0
    for a in range(count):
        for y in range(height):
            for x in range(width):
                if planes[a, 4, y, x] <= logit:
                    continue
                objectness = _sigmoid(planes[a, 4, y, x])
                if objectness <= score:
                    continue
                first, last = 5, channels
                if not multi_label:
                    for c in range(6, channels):
                        if planes[a, c, y, x] > planes[a, first, y, x]:
                            first = c
                    last = first + 1
                for c in range(first, last):
                    value = objectness * _sigmoid(planes[a, c, y, x])
                    if value <= score:
                        continue
                    if n == len(rows):
                        grown = np.empty((2 * n, 6), np.float32)
                        grown[:n] = rows
                        rows = grown
                    _write_box(planes[a, :4, y, x], anchors[a], x, y, stride, rows[n])
                    rows[n, 4], rows[n, 5] = value, c - 5
                    n += 1
    return rows[:n]


@njit(cache=True, nogil=True)
def _write_box(raw, anchor, column, row, stride, out):  # type: ignore[no-untyped-def]
    x = (2.0 * _sigmoid(raw[0]) - 0.5 + column) * stride
    y = (2.0 * _sigmoid(raw[1]) - 0.5 + row) * stride
    half_width = 2.0 * _sigmoid(raw[2]) ** 2 * anchor[0]
    half_height = 2.0 * _sigmoid(raw[3]) ** 2 * anchor[1]
    out[0], out[1] = x - half_width, y - half_height
    out[2], out[3] = x + half_width, y + half_height


@njit(cache=True, nogil=True)
def _overlap(box, other):  # type: ignore[no-untyped-def]
    """Area that two boxes share, and that of both."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    if width <= 0.0 or height <= 0.0:
        return 0.0, 1.0
    common = width * height
    area = (box[2] - box[0]) * (box[3] - box[1])
    return common, area + (other[2] - other[0]) * (other[3] - other[1]) - common


@njit(cache=True, nogil=True)
def _fade(rows, score, sigma, agnostic, limit):  # type: ignore[no-untyped-def]
    """Indices of the boxes that stay, best first; the scores in `rows` are lowered."""
    total = len(rows)
    kept = np.empty(min(limit, total), np.int64)
    waiting = np.ones(total, np.bool_)
    n = 0
    while n < len(kept):
        best = -1
        for i in range(total):
            if waiting[i] and rows[i, 4] > score and (best < 0 or rows[i, 4] > rows[best, 4]):
                best = i
        if best < 0:
            break
        waiting[best] = False
        kept[n] = best
        n += 1
        for i in range(total):
            if waiting[i] and (agnostic or rows[i, 5] == rows[best, 5]):
                common, union = _overlap(rows[best], rows[i])
                if common > 0.0:
                    rows[i, 4] *= math.exp(-((common / union) ** 2) / sigma)
    return kept[:n]


@njit(cache=True, nogil=True)
def _keep(rows, iou, agnostic, limit):  # type: ignore[no-untyped-def]
    """Indices of the boxes that stay, in order."""
    kept = np.empty(min(limit, len(rows)), np.int64)
    n = 0
    for i in range(len(rows)):
        if n == len(kept):
            break
        box = rows[i]
        alive = True
        for j in range(n):
            other = rows[kept[j]]
            if not agnostic and other[5] != box[5]:
                continue
            common, union = _overlap(box, other)
            if common > iou * union:
                alive = False
                break
        if alive:
            kept[n] = i
            n += 1
    return kept[:n]
