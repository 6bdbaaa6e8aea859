import cv2
import numpy as np
import pytest

from litescene.core import Camera
from litescene.geometry import invert, project, transform_points, undistort_points
from litescene.scene.features import new_corners
from litescene.scene.keyframes import Keyframe, SparseMap
from litescene.scene.relocalization import describe, match, recognise, similar, thumbnail
from litescene.scene.settings import OdometrySettings

CAMERA = Camera.from_fov(320, 240, 70.0)
NONE = np.zeros((0, 2), np.float32)
DEPTH = 5.0


def wall(seed: int = 0) -> np.ndarray:
    """A picture seen by a camera 5 m in front of a textured wall."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((240, 320), np.float32)
    for sigma in (1.5, 4, 12, 30):
        noise = cv2.GaussianBlur(rng.normal(0, 1, (240, 320)).astype(np.float32), (0, 0), sigma)
        picture += noise / noise.std()
    return cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def seen_from(picture: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """The wall from another pose (camera axes; the first camera is the world)."""
    T = invert(pose)
    H = T[:3, :3] + np.outer(T[:3, 3], [0, 0, 1]) / DEPTH
    K = CAMERA.K
    return cv2.warpPerspective(picture, K @ H @ np.linalg.inv(K), (320, 240))


def walls_map(pictures: list[np.ndarray]) -> SparseMap:
    """One keyframe per wall, all at the origin of the same world."""
    sparse = SparseMap(CAMERA.fx, OdometrySettings())
    for index, picture in enumerate(pictures):
        pixels = new_corners(picture, NONE, None, 12)
        rays = undistort_points(CAMERA, pixels)
        ids = sparse.landmarks.add(index, rays)
        sparse.landmarks.place(ids, np.hstack([rays, np.ones((len(rays), 1))]) * DEPTH)
        descriptors, rows = describe(picture, pixels)
        keyframe = Keyframe(index, index, float(index), 0, np.eye(4), ids, pixels, rays)
        keyframe.thumbnail, keyframe.descriptors = thumbnail(picture), descriptors
        keyframe.described = ids[rows]
        sparse.add_keyframe(keyframe)
    return sparse


def moved(x: float, y: float, z: float) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = x, y, z
    return pose


@pytest.mark.parametrize("pose", [moved(0, 0, 0), moved(0.3, -0.1, 0.2), moved(-0.2, 0.1, 1.2)])
def test_the_right_keyframe_gives_the_pose(pose):
    sparse = walls_map([wall(k) for k in range(4)])
    view = seen_from(wall(2), pose)
    corners = new_corners(view, NONE, None, 10)
    rays = undistort_points(CAMERA, corners)
    found = recognise(sparse, 0, view, corners, rays, seed=0)
    assert found is not None
    assert found.keyframe.index == 2
    np.testing.assert_allclose(found.pose, pose, atol=0.03)
    pixels, _ = project(
        CAMERA, transform_points(invert(found.pose), sparse.landmarks.points[found.ids])
    )
    assert np.abs(pixels - corners[found.corners]).max() < 3


def test_an_unknown_place_is_not_recognised():
    sparse = walls_map([wall(k) for k in range(4)])
    view = wall(9)
    corners = new_corners(view, NONE, None, 10)
    rays = undistort_points(CAMERA, corners)
    assert recognise(sparse, 0, view, corners, rays, seed=0) is None


def test_keyframes_of_other_segments_are_not_asked():
    sparse = walls_map([wall(0)])
    corners = new_corners(wall(0), NONE, None, 10)
    rays = undistort_points(CAMERA, corners)
    assert recognise(sparse, 1, wall(0), corners, rays, seed=0) is None


def test_thumbnails_ignore_brightness_and_contrast():
    picture = wall()
    darker = (picture * 0.5 + 20).astype(np.uint8)
    assert thumbnail(picture) @ thumbnail(darker) > 0.99
    assert abs(float(thumbnail(picture) @ thumbnail(wall(1)))) < 0.6
    assert not np.any(np.isnan(thumbnail(np.zeros((240, 320), np.uint8))))


def test_similar_keyframes_come_best_first_and_no_more_than_asked():
    sparse = walls_map([wall(0), seen_from(wall(0), moved(0.1, 0, 0)), wall(5)])
    view = thumbnail(wall(0))
    assert similar(view, sparse.keyframes, 0.5, 5) == [0, 1]
    assert similar(view, sparse.keyframes, 0.5, 1) == [0]
    assert similar(view, [], 0.5, 5) == []


def test_corners_without_a_full_patch_are_left_out():
    pixels = np.float32([[3, 100], [100, 100], [300, 235], [200, 60]])
    descriptors, rows = describe(wall(), pixels)
    np.testing.assert_array_equal(rows, [1, 3])
    assert descriptors.shape == (2, 32)
    assert describe(wall(), NONE)[0].shape == (0, 32)


def test_matches_are_one_to_one_and_clear():
    codes = np.random.default_rng(0).integers(0, 256, (50, 32), np.uint8)
    shuffled = np.random.default_rng(1).permutation(50)
    query, reference = match(codes[shuffled], codes)
    np.testing.assert_array_equal(np.sort(query), np.arange(50))
    np.testing.assert_array_equal(shuffled[query], reference)
    doubled = np.concatenate([codes, codes])
    assert len(match(codes, doubled)[0]) == 0
    assert len(match(codes[:1], codes)[0]) == 0
