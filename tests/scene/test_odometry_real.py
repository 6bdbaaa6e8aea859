"""Odometry on real drives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from litescene.core import CAMVID, Camera, Frame, SegmentationMap
from litescene.geometry import align_poses, relative, rotation_angle, umeyama
from litescene.scene.odometry import Odometry
from litescene.scene.odometry_result import OdometryResult
from real_data import DataSet

pytestmark = [pytest.mark.data, pytest.mark.slow]


def kitti(folder: Path) -> Iterator[Frame]:
    times = np.loadtxt(folder / "times.txt")
    for k, file in enumerate(sorted((folder / "image_0").iterdir())):
        yield Frame(k, float(times[k]), cv2.imread(str(file), cv2.IMREAD_COLOR_RGB), file.name)


def kitti_camera(folder: Path) -> Camera:
    P = [float(x) for x in (folder / "calib.txt").read_text().split("\n")[0].split()[1:]]
    return Camera(1226, 370, P[0], P[5], P[2], P[6])


def drive(frames: Iterator[Frame], camera: Camera) -> OdometryResult:
    odometry = Odometry(camera, seed=0)
    for frame in frames:
        odometry.track(frame)
    return odometry.finish()


@pytest.fixture(scope="module")
def seven(data_set: DataSet) -> OdometryResult:
    folder = data_set("kitti07_160")
    return drive(kitti(folder), kitti_camera(folder))


def kitti_truth(folder: Path) -> np.ndarray:
    poses = np.tile(np.eye(4), (160, 1, 1))
    poses[:, :3] = np.loadtxt(folder / "poses.txt")[:160].reshape(-1, 3, 4)
    return poses


def test_kitti_07_is_tracked_from_the_first_frame_to_the_last(seven):
    assert seven.tracked == 1.0
    assert (seven.segments == 0).all()


def test_kitti_07_is_half_a_metre_off_on_ninety(seven, data_set):
    truth = kitti_truth(data_set("kitti07_160"))
    poses = seven.trajectory.poses
    s, R, t = umeyama(poses[:, :3, 3], truth[:, :3, 3])
    gaps = align_poses(s, R, t, poses)[:, :3, 3] - truth[:, :3, 3]
    assert np.sqrt(np.square(gaps).sum(axis=1).mean()) < 0.6  # the bound is 1.0


def test_kitti_07_turns_as_the_car_did(seven, data_set):
    truth, poses = kitti_truth(data_set("kitti07_160")), seven.trajectory.poses
    steps = [relative(p[:-1], p[1:])[:, :3, :3] for p in (poses, truth)]
    assert np.degrees(rotation_angle(*steps)).mean() < 0.05  # the bound is 0.10


def test_kitti_07_is_the_same_twice(seven, data_set):
    folder = data_set("kitti07_160")
    again = drive(kitti(folder), kitti_camera(folder))
    np.testing.assert_array_equal(again.poses, seven.poses)


def test_there_and_back_closes_a_loop(data_set):
    folder = data_set("kitti07_160")
    frames = list(kitti(folder))[60:140]
    order = [*range(80), *range(78, -1, -1)]
    replayed = (Frame(k, 0.1 * k, frames[row].image) for k, row in enumerate(order))
    result = drive(replayed, kitti_camera(folder))
    assert result.tracked > 0.97
    assert len(result.loops) >= 1
    for loop in result.loops:
        older, newer = (order[result.keyframes[k].frame] for k in (loop.older, loop.newer))
        assert abs(older - newer) <= 6


def test_the_camvid_clip_is_tracked_without_calibration(data_set):
    folder = data_set("camvid")
    odometry = Odometry(Camera.from_fov(480, 360, 60.0))
    for k, file in enumerate(sorted((folder / "val").iterdir())):
        labels = cv2.imread(str(folder / "valannot" / f"{file.stem}.png"), cv2.IMREAD_GRAYSCALE)
        labels[labels >= len(CAMVID)] = 255
        image = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
        odometry.track(Frame(k, k / 15, image), SegmentationMap(labels, CAMVID))
    result = odometry.finish()
    assert result.tracked == 1.0
    ahead = result.trajectory.positions[-1]
    assert ahead[2] > 5 * np.abs(ahead[:2]).max()


def test_the_motorway_is_tracked_but_for_the_start(data_set):
    clip = cv2.VideoCapture(str(data_set("video/solidWhiteRight.mp4")))
    odometry = Odometry(Camera.from_fov(960, 540, 60.0))
    for k in range(221):
        found, image = clip.read()
        assert found
        odometry.track(Frame(k, k / 25, np.ascontiguousarray(image[..., ::-1])))
    result = odometry.finish()
    assert result.tracked > 0.95
    assert "lost" not in result.states
