"""Lens distortion is taken out of pictures, labels and object ids before mapping."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from short_drive import HEIGHT, WIDTH, RunJob, assert_whole

from litescene.core import CAMVID, Camera, Frame, SegmentationMap
from litescene.scene.mapping import Rectifier

LENS = Camera(WIDTH, HEIGHT, 110, 112, 81, 58, "radtan", (-0.25, 0.06, 0.001, -0.002))


def seen_at(ideal: Camera, u: int, v: int) -> np.ndarray:
    """Where the real lens shows what the ideal camera has at pixel u, v."""
    ray = np.array([[(u - ideal.cx) / ideal.fx, (v - ideal.cy) / ideal.fy, 1.0]])
    at, _ = cv2.projectPoints(ray, np.zeros(3), np.zeros(3), LENS.K, np.array(LENS.distortion))
    return at.reshape(2)


def test_pixels_come_from_where_the_lens_shows_them() -> None:
    rectifier = Rectifier(LENS)
    assert rectifier.camera.model == "none"
    ramp = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    ramp[..., 0] = np.arange(WIDTH)
    ramp[..., 1] = np.arange(HEIGHT)[:, None]
    labels = SegmentationMap((ramp[..., 0] // 16 % 11).astype(np.uint8), CAMVID)
    ids = ramp[..., 1].astype(np.int32) // 16 + 70_000
    picture, moved = rectifier.picture(ramp), rectifier.labels(labels).labels
    instances = rectifier.ids(ids)
    checked = 0
    for v in range(2, HEIGHT, 9):
        for u in range(2, WIDTH, 9):
            x, y = seen_at(rectifier.camera, u, v)
            if not (1 <= x <= WIDTH - 2 and 1 <= y <= HEIGHT - 2):
                continue
            np.testing.assert_allclose(picture[v, u, :2], (x, y), atol=0.6)
            if 0.1 < (x + 0.5) / 16 % 1 < 0.9:  # not at the border of a label
                assert moved[v, u] == int((x + 0.5) // 16) % 11
            if 0.1 < (y + 0.5) / 16 % 1 < 0.9:
                assert instances[v, u] == int((y + 0.5) // 16) + 70_000
            checked += 1
    assert checked > 150


def test_outside_the_picture_there_is_no_label_and_no_object() -> None:
    barrel = Camera(WIDTH, HEIGHT, 60, 60, 20, 60, "radtan", (0.3, 0.1, 0, 0))
    rectifier = Rectifier(barrel)
    labels = SegmentationMap(np.zeros((HEIGHT, WIDTH), np.uint8), CAMVID)
    moved = rectifier.labels(labels).labels
    assert set(np.unique(moved)) <= {0, 255}
    ids = rectifier.ids(np.full((HEIGHT, WIDTH), 5, np.int32))
    np.testing.assert_array_equal(ids == -1, moved == 255)


def test_an_ideal_camera_passes_everything_through() -> None:
    rectifier = Rectifier(Camera.from_fov(WIDTH, HEIGHT, 70))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    labels = SegmentationMap(image[..., 0], CAMVID)
    ids = np.zeros((HEIGHT, WIDTH), np.int32)
    assert rectifier.picture(image) is image
    assert rectifier.labels(labels) is labels
    assert rectifier.ids(ids) is ids


@pytest.mark.slow
def test_a_run_with_a_distorted_camera_gives_a_map(drive: list[Frame], run_job: RunJob) -> None:
    lens = Camera(WIDTH, HEIGHT, 114.25, 114.25, 79.5, 59.5, "radtan", (-0.01, 0, 0, 0))
    scene = run_job(drive, camera=lens)
    assert_whole(scene.out, len(drive))
    assert len(scene.scene_map) > 500
    assert "OPENCV" in (scene.out / "map" / "cameras.txt").read_text()
