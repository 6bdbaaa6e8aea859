"""Labels of map points against true depth and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from litescene.core import CAMVID, Camera, DataError, SceneMap
from litescene.metrics import TrueView, map_label_scores

CAMERA = Camera.from_fov(64, 48, 60)
ROAD, CAR = CAMVID.names.index("road"), CAMVID.names.index("car")


def wall(depth: float = 4.0) -> TrueView:
    """A wall: its left half is road, its right half a car."""
    labels = np.full((48, 64), ROAD, np.uint8)
    labels[:, 32:] = CAR
    return TrueView(np.eye(4), labels, np.full((48, 64), depth, np.float32))


def at_pixels(rows: np.ndarray, columns: np.ndarray, z: float, labels: list[int]) -> SceneMap:
    x = (columns - CAMERA.cx) / CAMERA.fx * z
    y = (rows - CAMERA.cy) / CAMERA.fy * z
    count = len(rows)
    return SceneMap(
        np.stack([x, y, np.full(count, z)], axis=1).astype(np.float32),
        np.zeros((count, 3), np.uint8),
        np.asarray(labels, np.uint8),
        np.ones(count, np.float32),
        np.zeros(count, np.int32),
        np.ones(count, np.int32),
        CAMVID,
        "metric",
    )


def test_points_on_the_surface_are_counted_by_their_true_label() -> None:
    rows, columns = np.array([10, 20, 30, 40]), np.array([5, 10, 50, 60])
    scene = at_pixels(rows, columns, 4.0, [ROAD, CAR, CAR, CAR])
    scores = map_label_scores(scene, CAMERA, [wall()])
    assert (scores.points, scores.confirmed, scores.correct) == (4, 4, 3)
    assert scores.accuracy == pytest.approx(0.75)
    assert scores.per_class["road"] == pytest.approx(0.5)
    assert scores.per_class["car"] == pytest.approx(1.0)
    assert scores.per_class["sky"] is None


def test_points_off_the_surface_are_not_counted() -> None:
    rows, columns = np.array([10, 20]), np.array([5, 10])
    near = at_pixels(rows, columns, 3.0, [ROAD, ROAD])
    scores = map_label_scores(near, CAMERA, [wall()])
    assert (scores.confirmed, scores.surface) == (0, 0.0)
    behind = replace(near, points=-near.points)
    assert map_label_scores(behind, CAMERA, [wall()]).confirmed == 0


def test_the_most_frequent_true_label_of_several_views_counts() -> None:
    scene = at_pixels(np.array([24]), np.array([10]), 4.0, [ROAD])
    other = wall()
    other.labels[:] = CAR
    assert map_label_scores(scene, CAMERA, [wall(), wall(), other]).correct == 1
    assert map_label_scores(scene, CAMERA, [wall(), other, other]).correct == 0


def test_the_pose_of_a_view_is_camera_to_world() -> None:
    scene = at_pixels(np.array([24]), np.array([50]), 4.0, [CAR])
    pose = np.eye(4)
    pose[2, 3] = -2.0  # two units behind: the wall is at depth 6 there
    view = replace(wall(6.0), pose=pose)
    assert map_label_scores(scene, CAMERA, [view]).correct == 1


def test_an_empty_map_is_refused() -> None:
    with pytest.raises(DataError, match="no points"):
        map_label_scores(at_pixels(np.zeros(0), np.zeros(0), 1.0, []), CAMERA, [wall()])
