"""How right the labels of a map's points are, against pictures of true depth and labels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import IGNORE, Camera, DataError, SceneMap
from litescene.geometry import invert, project, transform_points

DEPTH_TOLERANCE = 0.05
"""Relative difference up to which a point lies on the surface that a pixel shows."""


@dataclass(frozen=True, slots=True)
class TrueView:
    """What is true in one picture: T_world_camera, H×W labels (uint8), H×W z-depth (float32)."""

    pose: NDArray[np.float64]
    labels: NDArray[np.uint8]
    depth: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MapScores:
    """Points of the map; `confirmed` lie on a true surface that some view shows; `correct` of
    those have its label, `accuracy` is their share; `surface` the share that is confirmed.
    """

    points: int
    confirmed: int
    correct: int
    accuracy: float
    surface: float
    per_class: dict[str, float | None]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def map_label_scores(
    scene_map: SceneMap,
    camera: Camera,
    views: Iterable[TrueView],
    tolerance: float = DEPTH_TOLERANCE,
) -> MapScores:
    """Compare each point's label with the true label where it is seen.

    The map must be in the world and unit of the views (align it first); `views` are labelled in
    the map's taxonomy. A view confirms a point when its true depth there differs by at most
    `tolerance` (relative); over several views the most frequent true label counts. Accuracy per
    class is over points whose true label is that class, `None` where there is none.

    Raises `DataError` for a map without points.
    """
    count, classes = len(scene_map), len(scene_map.taxonomy)
    if count == 0:
        raise DataError("the map has no points to compare")
    votes = np.zeros((count, classes), np.int32)
    points = scene_map.points.astype(np.float64)
    for view in views:
        index, labels = _confirmed(points, camera, view, tolerance)
        known = labels < classes
        votes[index[known], labels[known]] += 1
    confirmed = votes.any(axis=1)
    truth = np.where(confirmed, votes.argmax(axis=1), IGNORE)
    right = confirmed & (scene_map.labels == truth)
    per_class = {
        name: float(right[truth == c].mean()) if (truth == c).any() else None
        for c, name in enumerate(scene_map.taxonomy.names)
    }
    found, correct = int(confirmed.sum()), int(right.sum())
    return MapScores(count, found, correct, correct / max(found, 1), found / count, per_class)


def _confirmed(
    points: NDArray[np.float64], camera: Camera, view: TrueView, tolerance: float
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Indices of the points that the view shows, and the true labels there."""
    seen = transform_points(invert(view.pose), points)
    pixels, valid = project(camera, seen)
    columns, rows = np.round(np.where(valid[:, None], pixels, -1)).astype(np.int64).T
    height, width = view.labels.shape
    index = np.flatnonzero((columns >= 0) & (columns < width) & (rows >= 0) & (rows < height))
    depth = view.depth[rows[index], columns[index]]
    z = seen[index, 2]
    fits = (depth > 0) & (np.abs(z - depth) <= tolerance * depth)
    index = index[fits]
    return index, view.labels[rows[index], columns[index]]
