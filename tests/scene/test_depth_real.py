"""Semi-dense depth against a depth sensor: 7-Scenes RedKitchen.

The set's colour and depth pictures are not registered and its poses come from fusion, so the
depth in a picture is a few per cent off as a whole; the bounds leave room for that.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest

from litescene.core import Camera
from litescene.scene.depth import EpipolarDepth, PosedView, select_neighbours

DEPTH_FOCAL, COLOR_FOCAL = 292.5, 262.5
CAMERA = Camera(320, 240, COLOR_FOCAL, COLOR_FOCAL, 159.75, 119.75)
OFFSET = np.array([0.02, 0.0, 0.0])
"""Colour camera's centre in the depth camera, metres (nominal for the sensor)."""

pytestmark = pytest.mark.data


def seen_by_colour_camera(sensor: np.ndarray) -> np.ndarray:
    """Sensor depth in metres, drawn as the colour camera sees it; 0 where unknown."""
    v, u = np.nonzero(sensor)
    z = sensor[v, u]
    x = (u - 160) / DEPTH_FOCAL - OFFSET[0] / z
    column = np.round(x * COLOR_FOCAL + CAMERA.cx).astype(int)
    row = np.round((v - 120) / DEPTH_FOCAL * COLOR_FOCAL + CAMERA.cy).astype(int)
    inside = (column >= 0) & (column < 320) & (row >= 0) & (row < 240)
    drawn = np.zeros((240, 320), np.float32)
    order = np.flatnonzero(inside)[np.argsort(-z[inside])]
    drawn[row[order], column[order]] = z[order]
    return drawn


def posed_view(
    folder: Path, frame: int, poses: dict[int, np.ndarray]
) -> tuple[PosedView, np.ndarray]:
    picture = cv2.imread(str(folder / "rgb" / f"{frame:06d}.jpg"))[:, :, ::-1].copy()
    raw = cv2.imread(str(folder / "depth" / f"{frame:06d}.png"), cv2.IMREAD_UNCHANGED)
    truth = seen_by_colour_camera(np.where(raw == 65535, 0, raw) / 1000.0)
    rows, columns = np.nonzero(truth)
    some = np.random.default_rng(frame).choice(len(rows), 100, replace=False)
    marks = np.stack([columns[some], rows[some], truth[rows[some], columns[some]]], 1)
    pose = poses[frame].copy()
    pose[:3, 3] += pose[:3, :3] @ OFFSET
    return PosedView(frame, picture, pose, CAMERA, marks.astype(np.float64)), truth


def test_semi_dense_depth_of_a_kitchen_agrees_with_the_depth_sensor(data_set):
    folder = data_set("redkitchen_seq_a")
    table = np.loadtxt(folder / "poses_c2w.txt")
    poses = {int(row[0]): np.vstack([row[1:].reshape(3, 4), [0, 0, 0, 1.0]]) for row in table}
    ratios, shares = [], []
    for frame in range(40, 640, 80):
        view, truth = posed_view(folder, frame, poses)
        around = [i for i in range(max(frame - 36, 0), min(frame + 38, 700), 6) if i != frame]
        chosen = select_neighbours(view, [posed_view(folder, i, poses)[0] for i in around])
        depth = EpipolarDepth("metric").depth(view, chosen).depth
        shares.append(np.mean(depth > 0))
        both = (depth > 0) & (truth > 0)
        ratios.append(depth[both] / truth[both])
    ratio = np.concatenate(ratios)
    print(f"share {np.mean(shares):.3f}, median error {np.median(np.abs(ratio - 1)):.3f}")
    assert np.mean(shares) > 0.02
    assert abs(np.median(ratio) - 1) < 0.04
    assert np.median(np.abs(ratio - 1)) < 0.08
    assert np.mean(np.abs(ratio - 1) < 0.25) > 0.85
