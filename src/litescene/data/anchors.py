"""Anchors that fit the boxes of a data set.

An anchor meets a box where neither side differs by more than `LIMIT`: with r the ratios of both
sides, min(r, 1/r) over the sides is above 1/LIMIT. What no anchor meets cannot be learned. Redmon
and Farhadi, "YOLO9000", CVPR 2017, section 2, cluster the sizes; Ultralytics' YOLOv5 (2020) then
varies the centres at random and keeps what is better. Written from a fact sheet of that procedure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Sizes = NDArray[np.float64]
"""Widths and heights in pixels, n×2."""

LIMIT = 4.0
ENOUGH = 0.98
"""Recall from which given anchors are good enough."""
_LEAST_SIDE = 2.0
_ROUNDS, _GENERATIONS = 30, 1000
_CHANGED, _SIGMA, _RANGE = 0.9, 0.1, (0.3, 3.0)
"""Of a variation: chance of each number to change, spread of its factor, limits of it."""


def closeness(sizes: Sizes, anchors: Sizes) -> NDArray[np.float64]:
    """min over both sides of min(r, 1/r), 0 to 1: n×m."""
    ratio = sizes[:, None] / anchors[None]
    return np.asarray(np.minimum(ratio, 1 / ratio).min(axis=2))


def possible_recall(sizes: Sizes, anchors: Sizes) -> float:
    """Share of boxes that at least one anchor meets; 1 without boxes."""
    if not len(sizes):
        return 1.0
    return float((closeness(sizes, anchors).max(axis=1) > 1 / LIMIT).mean())


def fit_anchors(sizes: Sizes, count: int, seed: int = 0) -> Sizes:
    """So many anchors for these boxes, by rising area.

    k-means on sizes in units of their standard deviations, then variations of the centres that
    raise the mean closeness of what the nearest anchor meets. Depends on its arguments alone.

    Raises `ValueError` where fewer than `count` boxes have both sides above 2 pixels.
    """
    usable = sizes[(sizes > _LEAST_SIDE).all(axis=1)].astype(np.float64)
    if len(usable) < count:
        raise ValueError(f"{count} anchors need as many boxes above 2 pixels, not {len(usable)}")
    g = np.random.default_rng(seed)
    anchors = _varied(usable, _clustered(usable, count, g), g)
    return anchors[np.argsort(anchors.prod(axis=1), kind="stable")]


def _clustered(sizes: Sizes, count: int, g: np.random.Generator) -> Sizes:
    """Lloyd's algorithm from centres that are drawn far from each other (k-means++)."""
    unit = np.maximum(sizes.std(axis=0), 1e-9)
    points = sizes / unit
    centres = points[[int(g.integers(len(points)))]]
    while len(centres) < count:
        far = ((points[:, None] - centres[None]) ** 2).sum(2).min(1)
        weights = far / far.sum() if far.sum() > 0 else np.full(len(points), 1 / len(points))
        centres = np.vstack([centres, points[g.choice(len(points), p=weights)]])
    for _ in range(_ROUNDS):
        nearest = ((points[:, None] - centres[None]) ** 2).sum(2).argmin(1)
        for k in range(count):
            if (nearest == k).any():
                centres[k] = points[nearest == k].mean(axis=0)
    return np.asarray(centres * unit)


def _fitness(sizes: Sizes, anchors: Sizes) -> float:
    best = closeness(sizes, anchors).max(axis=1)
    return float((best * (best > 1 / LIMIT)).mean())


def _varied(sizes: Sizes, anchors: Sizes, g: np.random.Generator) -> Sizes:
    best, fitness = anchors, _fitness(sizes, anchors)
    for _ in range(_GENERATIONS):
        chosen = g.random(best.shape) < _CHANGED
        factors = 1 + chosen * g.random() * g.standard_normal(best.shape) * _SIGMA
        other = np.maximum(best * np.clip(factors, *_RANGE), _LEAST_SIDE)
        found = _fitness(sizes, other)
        if found > fitness:
            best, fitness = other, found
    return best
