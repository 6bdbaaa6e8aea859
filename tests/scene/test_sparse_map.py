import numpy as np
import pytest

from litescene.geometry import invert, transform_points
from litescene.scene.keyframes import Keyframe, SparseMap, two_ray_points
from litescene.scene.landmarks import Landmarks
from litescene.scene.settings import OdometrySettings

FOCAL = 500.0


def at(x: float, z: float = 0.0) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = x, 0.0, z
    return pose


def seen(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    inside = transform_points(invert(pose), points)
    return inside[:, :2] / inside[:, 2:]


def keyframe(index: int, pose: np.ndarray, ids: np.ndarray, rays: np.ndarray) -> Keyframe:
    return Keyframe(index, 10 * index, float(index), 0, pose, ids, rays.astype(np.float32), rays)


def world(count: int = 80) -> np.ndarray:
    return np.random.default_rng(0).uniform([-3, -2, 5], [3, 2, 12], (count, 3))


def drive(poses: list[np.ndarray], points: np.ndarray) -> SparseMap:
    sparse = SparseMap(FOCAL, OdometrySettings())
    ids = sparse.landmarks.add(0, seen(poses[0], points))
    for index, pose in enumerate(poses):
        frame = keyframe(index, pose.copy(), ids, seen(pose, points))
        sparse.add_keyframe(frame)
        sparse.triangulate(frame)
    return sparse


def test_landmarks_keep_their_values_while_they_grow():
    marks = Landmarks()
    first = marks.add(3, np.array([[0.1, 0.2]]))
    marks.place(first, np.array([[1.0, 2.0, 3.0]]))
    many = marks.add(4, np.zeros((9000, 2)))
    assert len(marks) == 9001
    assert marks.known.sum() == 1
    np.testing.assert_array_equal(marks.points[first], [[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(marks.origin_rays[first], [[0.1, 0.2]])
    assert (marks.origin[many] == 4).all()
    marks.forget(first)
    assert not marks.known.any()


def test_two_rays_meet_in_their_point():
    points = world()
    a, b = at(0.0), at(1.0, 0.5)
    poses = np.tile(a, (len(points), 1, 1))
    found, angles, errors, front = two_ray_points(poses, b, seen(a, points), seen(b, points))
    np.testing.assert_allclose(found, points, atol=1e-9)
    to_a, to_b = points - a[:3, 3], points - b[:3, 3]
    cosine = (to_a * to_b).sum(1) / np.linalg.norm(to_a, axis=1) / np.linalg.norm(to_b, axis=1)
    np.testing.assert_allclose(angles, np.arccos(cosine), atol=1e-9)
    assert errors.max() < 1e-9
    assert front.all()


def test_rays_that_part_meet_behind_the_cameras():
    rays_a, rays_b = np.array([[-0.1, 0.0]]), np.array([[0.1, 0.0]])
    *_, front = two_ray_points(at(0.0)[None], at(1.0), rays_a, rays_b)
    assert not front[0]


def test_parallel_rays_give_no_landmark_but_stay_followed():
    points = world()
    sparse = drive([at(0.0), at(0.0001)], points)
    assert not sparse.landmarks.known.any()
    assert len(sparse.keyframes[-1].ids) == len(points)


def test_wide_rays_give_landmarks_and_disagreeing_ones_are_named():
    points = world()
    sparse = SparseMap(FOCAL, OdometrySettings())
    ids = sparse.landmarks.add(0, seen(at(0.0), points))
    sparse.add_keyframe(keyframe(0, at(0.0), ids, seen(at(0.0), points)))
    rays = seen(at(1.0), points)
    rays[5, 1] += 0.05
    second = keyframe(1, at(1.0), ids, rays)
    sparse.add_keyframe(second)
    np.testing.assert_array_equal(sparse.triangulate(second), ids[[5]])
    good = np.delete(ids, 5)
    np.testing.assert_allclose(sparse.landmarks.points[good], np.delete(points, 5, 0), atol=1e-9)
    assert not sparse.landmarks.known[ids[5]]


def test_local_adjustment_repairs_poses_and_points():
    points = world()
    truth = [at(0.4 * k) for k in range(6)]
    sparse = drive(truth, points)
    rng = np.random.default_rng(1)
    for frame in sparse.keyframes[2:]:
        frame.pose[:3, 3] += rng.normal(0, 0.01, 3)
    sparse.landmarks.place(np.arange(80), points + rng.normal(0, 0.02, points.shape))
    for _ in range(4):
        sparse.adjust([2, 3, 4, 5], [0, 1], iterations=10)
    for frame, pose in zip(sparse.keyframes, truth, strict=True):
        np.testing.assert_allclose(frame.pose, pose, atol=1e-5)


def test_adjustment_drops_observations_that_disagree():
    points = world()
    sparse = drive([at(0.4 * k) for k in range(4)], points)
    sparse.keyframes[3].rays[7] += 0.2
    sparse.adjust_window(0)
    assert 7 not in sparse.keyframes[3].ids
    assert 7 in sparse.keyframes[2].ids
    assert len(sparse.keyframes[3].ids) == len(points) - 1


def test_the_window_moves_and_older_keyframes_hold_it():
    settings = OdometrySettings(window=3, anchors=2)
    points = world()
    sparse = drive([at(0.4 * k) for k in range(8)], points)
    sparse.settings = settings
    for frame in sparse.keyframes:
        frame.pose[0, 3] += 0.01
    before = [frame.pose.copy() for frame in sparse.keyframes]
    sparse.adjust_window(0)
    for frame, pose in zip(sparse.keyframes[:5], before[:5], strict=True):
        np.testing.assert_array_equal(frame.pose, pose)


def test_depths_are_those_in_the_keyframe():
    points = world()
    sparse = drive([at(0.0), at(1.0, 0.5)], points)
    pixels, depths = sparse.depths(sparse.keyframes[1])
    np.testing.assert_allclose(depths, points[:, 2] - 0.5, atol=1e-9)
    assert pixels.shape == (80, 2)


def test_doubles_become_one_landmark():
    points = world()
    sparse = drive([at(0.0), at(0.5)], points)
    doubles = sparse.landmarks.add(2, seen(at(1.0), points))
    sparse.add_keyframe(keyframe(2, at(1.0), doubles, seen(at(1.0), points)))
    sparse.landmarks.place(doubles, points)
    sparse.merge(doubles[:50], np.arange(50))
    np.testing.assert_array_equal(sparse.keyframes[2].ids[:50], np.arange(50))
    assert not sparse.landmarks.known[doubles[:50]].any()
    assert sparse.landmarks.known[doubles[50:]].all()


def test_a_landmark_is_seen_once_per_keyframe_after_merging():
    points = world()
    sparse = drive([at(0.0), at(0.5)], points)
    sparse.merge(np.array([3]), np.array([4]))
    for frame in sparse.keyframes:
        assert (frame.ids == 4).sum() == 1
        assert len(frame.ids) == len(frame.rays) == len(points) - 1


def test_a_landmark_that_is_its_own_double_stays():
    points = world()
    sparse = drive([at(0.0), at(0.5)], points)
    sparse.merge(np.array([3, 7]), np.array([3, 8]))
    assert sparse.landmarks.known[[3, 8]].all()
    assert not sparse.landmarks.known[7]
    assert all((frame.ids == 3).sum() == 1 for frame in sparse.keyframes)


def test_the_original_of_one_double_stays_though_it_is_called_a_double_too():
    points = world()
    sparse = drive([at(0.0), at(0.5)], points)
    sparse.merge(np.array([5, 6, 20, 21]), np.array([6, 9, 21, 20]))
    assert not sparse.landmarks.known[5]
    assert sparse.landmarks.known[[6, 9, 20, 21]].all()
    for frame in sparse.keyframes:
        assert 5 not in frame.ids
        assert sparse.landmarks.known[frame.ids].all()


def test_rows_are_found_by_id_and_minus_one_where_there_is_none():
    frame = keyframe(0, at(0.0), np.array([7, 2, 9]), np.zeros((3, 2)))
    np.testing.assert_array_equal(frame.rows_of(np.array([9, 1, 7, 11, 2])), [2, -1, 0, -1, 1])
    frame.drop(np.zeros(3, bool))
    np.testing.assert_array_equal(frame.rows_of(np.array([9, 1])), [-1, -1])


def described(frame: Keyframe) -> Keyframe:
    """With a code of its own for every corner."""
    frame.described = frame.ids.copy()
    frame.descriptors = np.repeat(frame.ids.astype(np.uint8)[:, None], 32, axis=1)
    return frame


def test_a_keyframe_that_left_the_window_keeps_landmarks_and_what_is_still_followed():
    points = world()
    sparse = SparseMap(FOCAL, OdometrySettings(window=3))
    ids = sparse.landmarks.add(0, seen(at(0.0), points))
    sparse.landmarks.place(ids[:40], points[:40])
    followed = ids[:50]  # the last thirty corners are lost before they have a depth
    for index in range(5):
        pose, own = at(0.0001 * index), ids if index == 0 else followed
        frame = described(keyframe(index, pose, own, seen(pose, points[: len(own)])))
        sparse.add_keyframe(frame)
        if index:
            sparse.triangulate(frame)
            sparse.adjust_window(0)
    first = sparse.keyframes[0]
    assert sparse.landmarks.known.sum() == 40
    np.testing.assert_array_equal(first.ids, followed)
    assert len(first.ids) == len(first.rays) == len(first.pixels)
    np.testing.assert_array_equal(first.described, followed)
    np.testing.assert_array_equal(first.descriptors[:, 0], followed)


def test_keyframes_come_in_order():
    sparse = drive([at(0.0)], world())
    with pytest.raises(ValueError, match="keyframe 5 cannot follow 0"):
        sparse.add_keyframe(keyframe(5, at(0.0), np.zeros(0, np.int64), np.zeros((0, 2))))
