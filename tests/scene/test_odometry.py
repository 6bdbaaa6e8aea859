"""Odometry on a rendered corridor of textured planes, with exact poses."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import plane_world
import pytest

from litescene.core import CAMVID, Camera, Frame, SegmentationMap
from litescene.geometry import (
    align_poses,
    relative,
    rotation_angle,
    to_pixels,
    umeyama,
    undistort_points,
)
from litescene.scene import odometry as odometry_module
from litescene.scene import starting
from litescene.scene.features import lens_mask
from litescene.scene.initialization import ransac_parameters
from litescene.scene.odometry import Odometry, TrackResult
from litescene.scene.odometry_result import OdometryResult
from litescene.scene.settings import OdometrySettings
from litescene.scene.tracking import fit_pose

CAMERA = plane_world.camera(320, 240)
BLACK = np.zeros((240, 320, 3), np.uint8)


def path(count: int = 36) -> list[np.ndarray]:
    """Forwards with a gentle bend."""
    return [
        plane_world.pose(0.002 * k * k - 0.05 * k, 0.0, 0.28 * k, 0.25 * k) for k in range(count)
    ]


PATH = path()


def picture(k: int) -> np.ndarray:
    return plane_world.render(CAMERA, PATH[k])[0]


def drive(
    images: Sequence[np.ndarray],
    labels: Sequence[SegmentationMap | None] | None = None,
    camera: Camera = CAMERA,
    rate: float = 10.0,
) -> tuple[list[TrackResult], OdometryResult, Odometry]:
    odometry = Odometry(camera, seed=1)
    results = []
    for k, image in enumerate(images):
        label = labels[k] if labels is not None else None
        results.append(odometry.track(Frame(k, k / rate, image), label))
    return results, odometry.finish(), odometry


def test_frames_out_of_order_are_refused() -> None:
    odometry = Odometry(CAMERA)
    for time in (0.2, 0.3):
        odometry.track(Frame(0, time, BLACK))
    with pytest.raises(ValueError, match=r"frame 2 at 0\.300000 s comes after one at 0\.300000 s"):
        odometry.track(Frame(2, 0.3, BLACK))


def test_any_seed_will_do() -> None:
    for seed in (2**31, 2**63, -1):
        assert ransac_parameters(seed, 1.0).randomGeneratorState == seed % 2**31


def test_where_a_lens_has_no_ray_no_corner_is_followed() -> None:
    assert lens_mask(CAMERA) is None
    usual = Camera(640, 480, 458.7, 457.3, 367.2, 248.4, "radtan", (-0.283, 0.074, 2e-4, 2e-5))
    assert lens_mask(usual) is None
    wide = Camera(
        320, 240, 94.0, 94.0, 159.5, 119.5, "fisheye", (0.0, 0.0, 0.0, 0.0)
    )  # 195 degrees
    mask = lens_mask(wide)
    assert mask is not None
    rows, columns = np.mgrid[:240, :320]
    angle = np.degrees(np.hypot(columns - 159.5, rows - 119.5) / 94)  # equidistant
    assert not mask[angle > 85].any()
    assert mask[angle < 78].all()
    folding = Camera(1920, 1080, 900, 900, 960, 540, "radtan", (-0.35, 0.15, 1e-3, 1e-3, -0.03))
    mask = lens_mask(folding)
    assert mask is not None
    radius = np.hypot(*np.ogrid[-540:540, -960:960])
    assert not mask[radius > 900].any()
    assert mask[radius < 800].all()


@pytest.fixture(scope="module")
def corridor() -> tuple[list[TrackResult], OdometryResult, Odometry]:
    return drive([picture(k) for k in range(len(PATH))])


def errors(result: OdometryResult, truth: Sequence[np.ndarray]) -> tuple[float, float]:
    """Largest position error after Sim(3) alignment (metres), and rotation error a step (deg)."""
    poses, wanted = result.trajectory.poses, np.stack([truth[k] for k in result.frames])
    s, R, t = umeyama(poses[:, :3, 3], wanted[:, :3, 3])
    aligned = align_poses(s, R, t, poses)
    gap = np.linalg.norm(aligned[:, :3, 3] - wanted[:, :3, 3], axis=1).max()
    steps = [relative(p[:-1], p[1:])[:, :3, :3] for p in (poses, wanted)]
    turn = np.degrees(rotation_angle(*steps)).max()
    return float(gap), float(turn)


@pytest.mark.parametrize("bend", [0.0, 0.3], ids=["straight", "turning"])
@pytest.mark.parametrize("pitch", [25, 40, 65, 90])
def test_flat_ground_from_a_tilted_camera_is_enough(pitch: float, bend: float) -> None:
    """Two views of a plane at an angle leave two motions possible; a third one tells."""
    truth = [
        plane_world.pose(bend * k, 0.0, 0.35 * k, yaw=2 * bend * k, pitch=pitch) for k in range(25)
    ]
    rng = np.random.default_rng(3)
    pictures = [plane_world.render(CAMERA, T, planes=plane_world.GROUND)[0] for T in truth]
    noisy = [np.clip(p + rng.normal(0, 4, p.shape), 0, 255).astype(np.uint8) for p in pictures]
    _, result, _ = drive(noisy)
    assert result.tracked == 1.0
    assert result.trajectory.poses.shape == (25, 4, 4)
    gap, turn = errors(result, truth)
    assert gap < 0.15  # of a path of 8.4 m, ten metres above the ground
    assert turn < 0.2


def test_every_frame_gets_a_pose_the_first_ones_afterwards(corridor):
    results, result, _ = corridor
    assert results[0].state == "initializing"
    assert results[0].pose is None
    assert results[-1].state == "tracking"
    assert result.tracked == 1.0
    assert set(result.states) == {"tracking"}
    np.testing.assert_array_equal(result.frames, np.arange(len(PATH)))


def test_poses_are_true_up_to_a_similarity(corridor):
    gap, turn = errors(corridor[1], PATH)
    assert gap < 0.06  # of a path of 9.9 m
    assert turn < 0.15


def test_the_scale_is_called_arbitrary_and_the_first_depth_is_one(corridor):
    _, result, odometry = corridor
    assert result.trajectory.scale == "arbitrary"
    _, depths = odometry.map.depths(odometry.map.keyframes[0])
    assert np.median(depths) == pytest.approx(1.0, abs=0.2)


def test_landmarks_lie_on_the_planes(corridor):
    _, result, _ = corridor
    poses, wanted = result.trajectory.poses, np.stack(PATH)
    s, R, t = umeyama(poses[:, :3, 3], wanted[:, :3, 3])
    points = s * result.landmarks[result.observations >= 4] @ R.T + t
    planes = np.array([(*n, d) for n, d, *_ in plane_world.PLANES])
    gaps = np.abs(points @ planes[:, :3].T - planes[:, 3]).min(axis=1)
    assert len(points) > 150
    assert np.median(gaps) < 0.1


def test_keyframes_are_fewer_than_frames_and_reported(corridor):
    results, result, _ = corridor
    made = [r.frame for r in results if r.keyframe]
    frames = [k.frame for k in result.keyframes]
    assert 3 <= len(frames) < len(PATH) / 1.5
    # The start makes two at once: the first frame, and the one that had enough parallax.
    assert frames[1:] == made


def test_live_poses_are_close_to_the_final_ones(corridor):
    results, result, _ = corridor
    live = np.stack([r.pose for r in results if r.pose is not None])
    final = result.poses[[r.frame for r in results if r.pose is not None]]
    assert np.linalg.norm(live[:, :3, 3] - final[:, :3, 3], axis=1).max() < 0.02


def test_the_same_seed_gives_the_same_trajectory_bit_for_bit(corridor):
    again = drive([picture(k) for k in range(len(PATH))])[1]
    np.testing.assert_array_equal(again.poses, corridor[1].poses)
    np.testing.assert_array_equal(again.landmarks, corridor[1].landmarks)


def test_a_camera_that_stands_still_keeps_initializing():
    results, result, _ = drive([picture(0)] * 6)
    assert {r.state for r in results} == {"initializing"}
    assert result.tracked == 0.0
    assert len(result.trajectory) == 0
    assert result.keyframes == ()


def test_after_a_long_stand_the_start_succeeds_and_the_oldest_frames_have_no_pose(monkeypatch):
    monkeypatch.setattr(starting, "_MOST_SIGHTINGS", 8)
    standing = 12
    _, result, _ = drive([picture(max(k - standing, 0)) for k in range(standing + 12)])
    tracked = [state == "tracking" for state in result.states]
    assert tracked[0]  # the first frame is the first keyframe
    assert not any(tracked[1:4])
    assert all(tracked[standing:])


def test_a_frame_of_the_start_that_fits_no_landmarks_gets_no_pose(monkeypatch):
    calls = []

    def first_one_fails(guess, points, *rest):
        calls.append(len(points))
        pose, agree = fit_pose(guess, points, *rest)
        few = np.arange(len(agree)) < OdometrySettings().least_inliers - 1
        return (pose, agree & few) if len(calls) == 1 else (pose, agree)

    monkeypatch.setattr(odometry_module, "fit_pose", first_one_fails)
    _, result, _ = drive([picture(k) for k in range(12)])
    assert len(calls) >= 10
    assert result.states == ("tracking", "initializing", *["tracking"] * 10)
    assert result.segments[1] == -1
    gap, _ = errors(result, PATH)
    assert gap < 0.06


def test_a_camera_that_turns_on_the_spot_keeps_initializing():
    turning = [plane_world.render(CAMERA, plane_world.pose(yaw=0.8 * k))[0] for k in range(8)]
    results, *_ = drive(turning)
    assert {r.state for r in results} == {"initializing"}


def test_a_stop_makes_no_keyframes():
    results, *_ = drive([picture(min(k, 14)) for k in range(26)])
    assert {r.state for r in results[14:]} == {"tracking"}
    assert not any(r.keyframe for r in results[16:])


def test_lost_is_said_and_a_known_place_brings_the_pose_back():
    order = [*range(16), None, None, None, *range(13, 20)]
    images = [BLACK if k is None else picture(k) for k in order]
    results, result, _ = drive(images)
    states = [r.state for r in results]
    assert states[16:19] == ["lost"] * 3
    assert all(results[k].pose is None for k in (16, 17, 18))
    assert states[19:] == ["tracking"] * 7
    assert set(result.segments) == {0, -1}
    truth = [np.eye(4) if k is None else PATH[k] for k in order]
    gap, turn = errors(result, truth)
    assert gap < 0.06
    assert turn < 0.2


def test_lost_for_long_a_new_segment_starts_and_is_not_joined():
    other = [
        plane_world.render(CAMERA, plane_world.pose(-0.25 * k, 0, 0.1 * k), seed=40)[0]
        for k in range(14)
    ]
    images = [*(picture(k) for k in range(12)), *other]
    results, result, _ = drive(images, rate=4.0)
    assert results[12].state == "lost"
    assert results[-1].state == "tracking"
    assert results[-1].segment == 1
    assert {k.segment for k in result.keyframes} == {0, 1}
    assert -1 in result.segments
    starts = [r.frame for r in results if r.segment == 1]
    assert starts[0] >= 12 + 4


def test_corners_never_lie_on_movers_or_sky():
    labels = np.full((240, 320), CAMVID.names.index("building"), np.uint8)
    labels[90:200, 100:220] = CAMVID.names.index("car")
    labels[:30] = CAMVID.names.index("sky")
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.integers(0, 256, (110, 120, 3), np.uint8), (0, 0), 1.5)
    images = []
    for k in range(16):
        image = picture(k).copy()
        image[90:200, 100:220] = texture  # a car ahead that drives as fast as the camera
        images.append(image)
    maps = [SegmentationMap(labels, CAMVID)] * len(images)
    _, result, _ = drive(images, maps)
    assert result.tracked == 1.0
    for keyframe in result.keyframes:
        x, y = np.rint(keyframe.pixels).astype(int).T
        assert not np.isin(labels[y, x], CAMVID.indices({"car", "sky"})).any()
    gap, _ = errors(result, PATH)
    assert gap < 0.06


def test_a_distorted_lens_gives_the_same_trajectory():
    bent = Camera(320, 240, 230.0, 230.0, 158.0, 121.0, "radtan", (-0.25, 0.06, 0.001, -0.0005))
    columns, rows = np.meshgrid(np.arange(320), np.arange(240))
    rays = undistort_points(bent, np.stack([columns, rows], axis=-1))
    wide = Camera.from_fov(360, 270, 90.0)
    source = to_pixels(wide, rays).astype(np.float32)
    images = [
        cv2.remap(plane_world.render(wide, T)[0], source, None, cv2.INTER_LINEAR) for T in PATH[:12]
    ]
    _, result, _ = drive(images, camera=bent)
    assert result.tracked == 1.0
    gap, turn = errors(result, PATH)
    assert gap < 0.05
    assert turn < 0.15


def test_frames_of_another_size_are_refused():
    odometry = Odometry(CAMERA)
    with pytest.raises(ValueError, match="frame 3 is 100×80, the camera 320×240"):
        odometry.track(Frame(3, 0.1, np.zeros((80, 100, 3), np.uint8)))


def test_no_frames_give_an_empty_result():
    result = Odometry(CAMERA).finish()
    assert result.tracked == 0.0
    assert len(result.trajectory) == 0
    assert len(result.landmarks) == 0
