"""Depth and map of a piece of the built-in street against its exact truth."""

import numpy as np
import pytest

from litescene.core import CAMVID, Camera, SegmentationMap
from litescene.scene.depth import EpipolarDepth, PosedView, select_neighbours
from litescene.scene.fusion import SemanticVoxelMap
from litescene.synth.street import Street

STEP, LAST = 3, 13


@pytest.fixture(scope="module")
def drive():
    """Every third frame of a short drive: views with landmarks and labels, true depths, camera."""
    street = Street(seed=3, seconds=2.0, rate=20.0, width=320, height=240)
    views, depths = [], []
    for frame in street.frames(0, LAST):
        if frame.index % STEP:
            continue
        near = np.argwhere((frame.depth > 0) & (frame.depth < 60) & (frame.labels < 8))
        rows, columns = near[np.random.default_rng(frame.index).choice(len(near), 150)].T
        views.append(
            PosedView(
                frame.index,
                frame.image,
                frame.pose,
                street.camera,
                np.stack([columns, rows, frame.depth[rows, columns]], 1).astype(np.float64),
                SegmentationMap(frame.labels, CAMVID),
            )
        )
        depths.append(frame.depth)
    return views, depths, street.camera


def seen(points: np.ndarray, view: PosedView, camera: Camera):
    """Rows, columns and z-depths of the points that fall into the view's picture; their numbers."""
    local = points @ view.pose[:3, :3] - view.pose[:3, 3] @ view.pose[:3, :3]
    number = np.flatnonzero(local[:, 2] > 0.5)
    x, y, z = local[number].T
    column = np.round(x / z * camera.fx + camera.cx).astype(int)
    row = np.round(y / z * camera.fy + camera.cy).astype(int)
    inside = (column >= 0) & (column < camera.width) & (row >= 0) & (row < camera.height)
    return row[inside], column[inside], z[inside], number[inside]


def test_depth_and_labelled_map_of_the_street_agree_with_its_truth(drive):
    views, depths, camera = drive
    source, scene = EpipolarDepth("metric"), SemanticVoxelMap(CAMVID, scale="metric")
    errors = []
    for view, truth in zip(views, depths, strict=True):
        others = [other for other in views if other.index != view.index]
        found = source.depth(view, select_neighbours(view, others))
        scene.integrate(view, found)
        known = found.depth > 0
        assert not np.any(known & (truth == 0))  # never on the sky
        assert not np.any(np.isin(view.labels.labels[known], [0, 8, 9, 10]))
        errors.append(np.abs(found.depth[known] / truth[known] - 1))
    error = np.concatenate(errors)
    print(f"{len(error) / len(views):.0f} pixels a view, median error {np.median(error):.4f}, "
          f"above 10 %: {np.mean(error > 0.1):.3f}")  # fmt: skip
    assert len(error) / len(views) > 1000
    assert np.median(error) < 0.02
    assert np.mean(error > 0.1) < 0.08

    result = scene.snapshot()
    points = result.points.astype(np.float64)
    gap, right = np.full(len(points), np.inf), np.zeros(len(points), bool)
    for view, truth in zip(views, depths, strict=True):
        row, column, z, number = seen(points, view, camera)
        apart = np.abs(truth[row, column] - z) / z
        nearer = apart < gap[number]
        gap[number[nearer]] = apart[nearer]
        agrees = view.labels.labels[row, column] == result.labels[number]
        right[number[nearer]] = agrees[nearer]
    print(f"{len(points)} points, within 5 %: {np.mean(gap < 0.05):.3f}, labels {right.mean():.3f}")
    assert len(points) > 500
    assert np.mean(gap < 0.05) > 0.95
    assert right.mean() > 0.95
