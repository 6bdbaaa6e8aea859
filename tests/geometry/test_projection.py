from dataclasses import replace

import cv2
import numpy as np
import pytest

from litescene.core import Camera
from litescene.geometry import inside, project, rectified, undistort_points, unproject

RADTAN = Camera(
    752, 480, 458.654, 457.296, 367.215, 248.375, "radtan",
    (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05),
)  # fmt: skip
RATIONAL = Camera(
    640, 480, 400.0, 401.0, 322.0, 238.0, "radtan",
    (0.3, -0.1, 1e-3, -2e-3, 0.02, 0.5, -0.05, 0.01),
)  # fmt: skip
FISHEYE = Camera(640, 480, 260.0, 261.0, 318.0, 242.0, "fisheye", (-0.01, 0.02, -0.01, 0.002))
IDEAL = Camera.from_fov(640, 480, 90)
CAMERAS = [RADTAN, RATIONAL, FISHEYE, IDEAL]


def _opencv(camera: Camera, points: np.ndarray) -> np.ndarray:
    zero = np.zeros(3)
    if camera.model == "fisheye":
        return cv2.fisheye.projectPoints(
            points[:, None], zero, zero, camera.K, np.array(camera.distortion)
        )[0][:, 0]
    return cv2.projectPoints(points, zero, zero, camera.K, np.array(camera.distortion))[0][:, 0]


def _grid(camera: Camera) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(0, camera.width - 1, 33), np.linspace(0, camera.height - 1, 25))
    return np.stack([x, y], axis=-1)


@pytest.mark.parametrize("camera", CAMERAS, ids=["radtan", "rational", "fisheye", "none"])
def test_projection_agrees_with_opencv(camera: Camera) -> None:
    points = np.random.default_rng(0).uniform([-0.7, -0.5, 1], [0.7, 0.5, 9], (300, 3))
    points[:, :2] *= points[:, 2:]
    pixels, valid = project(camera, points)
    assert valid.all()
    np.testing.assert_allclose(pixels, _opencv(camera, points), atol=1e-9)


@pytest.mark.parametrize("camera", CAMERAS, ids=["radtan", "rational", "fisheye", "none"])
def test_unprojection_undoes_projection_over_the_whole_picture(camera: Camera) -> None:
    pixels = _grid(camera)
    rays = unproject(camera, pixels)
    assert np.all(rays[..., 2] == 1)
    again, valid = project(camera, rays)
    assert valid.all()
    np.testing.assert_allclose(again, pixels, atol=1e-8)


def test_points_behind_the_camera_are_invalid_and_finite() -> None:
    pixels, valid = project(RADTAN, [[0.1, 0.2, -1.0], [0.0, 0.0, 0.0], [0.1, 0.1, 1.0]])
    assert valid.tolist() == [False, False, True]
    assert np.isfinite(pixels).all()


def test_points_beyond_the_fold_of_the_distortion_are_invalid() -> None:
    # Far off the axis this polynomial comes back towards the centre, into the picture.
    folding = Camera(640, 480, 400, 400, 320, 240, "radtan", (-0.3, 0.0, 0.0, 0.0))
    far = np.array([[1.8, 0.0, 1.0]])
    assert inside(folding, _opencv(folding, far)).all()
    assert not project(folding, far)[1].any()
    rays = undistort_points(folding, [[5000.0, 240.0]])
    assert np.isfinite(rays).all()
    assert 1.0 < rays[0, 0] < 1.1  # the fold is at 1 / sqrt(0.9)


def test_pixels_that_no_ray_reaches_keep_their_direction() -> None:
    # The sides of this picture lie beyond the fold of its own distortion.
    wide = Camera(1920, 1080, 900, 900, 960, 540, "radtan", (-0.35, 0.15, 1e-3, 1e-3, -0.03))
    pixels = _grid(wide)
    rays = undistort_points(wide, pixels)
    again, valid = project(wide, np.dstack([rays, np.ones(rays.shape[:2])]))
    assert np.isfinite(rays).all()
    error = np.linalg.norm(again - pixels, axis=-1)
    offset = pixels - [960, 540]
    within = np.linalg.norm(offset, axis=-1) < 840
    assert (valid & (error < 1e-6))[within].all()
    assert (error > 1)[~within].any()
    cosine = (rays * offset).sum(-1) / np.linalg.norm(rays, axis=-1)
    assert np.all(cosine > 0.999 * np.linalg.norm(offset, axis=-1))


def test_inside_counts_from_pixel_edges() -> None:
    pixels = [[-0.5, 0], [-0.51, 0], [639.49, 479.49], [639.5, 0], [3.0, 3.0]]
    assert inside(IDEAL, pixels).tolist() == [True, False, True, False, True]
    assert inside(IDEAL, pixels, margin=4).tolist() == [False] * 5


FLIPPED = replace(RADTAN, fy=-RADTAN.fy)


@pytest.mark.parametrize(
    "camera", [RADTAN, RATIONAL, FISHEYE, FLIPPED], ids=["radtan", "rational", "fish", "flipped"]
)
def test_rectified_view_has_no_empty_pixels_and_maps_by_projection(camera: Camera) -> None:
    ideal, map_x, map_y = rectified(camera)
    assert (ideal.model, ideal.width, ideal.height) == ("none", camera.width, camera.height)
    assert ideal.fx / ideal.fy == pytest.approx(camera.fx / camera.fy)
    assert map_x.min() > -0.51
    assert map_y.min() > -0.51
    assert map_x.max() < camera.width - 0.49
    assert map_y.max() < camera.height - 0.49
    expected = _opencv(camera, unproject(ideal, _grid(ideal)).reshape(-1, 3))
    x, y = np.rint(_grid(ideal)).astype(int).reshape(-1, 2).T
    rounded = _opencv(camera, unproject(ideal, np.stack([x, y], axis=-1)))
    assert expected.shape == rounded.shape
    np.testing.assert_allclose(np.stack([map_x[y, x], map_y[y, x]], -1), rounded, atol=1e-3)


def test_rectifying_an_ideal_camera_changes_nothing() -> None:
    ideal, map_x, map_y = rectified(IDEAL)
    assert ideal == IDEAL
    np.testing.assert_allclose(map_x, np.broadcast_to(np.arange(640), (480, 640)), atol=1e-4)
    np.testing.assert_allclose(map_y[:, 0], np.arange(480), atol=1e-4)
