import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from litescene.core import Camera
from litescene.geometry import (
    essential_from_pose,
    fundamental_from_pose,
    invert,
    parallax_angles,
    poses_from_essential,
    poses_from_homography,
    project,
    reprojection_errors,
    rigid,
    sampson_distance,
    se3_exp,
    symmetric_transfer_distance,
    transfer,
    transform_points,
    triangulate,
    triangulate_two_views,
)

CAMERA = Camera(640, 480, 500.0, 510.0, 321.0, 239.0)
T_B_A = se3_exp([-0.8, 0.1, 0.3, 0.05, -0.2, 0.1])


def _points(count: int = 100) -> np.ndarray:
    return np.random.default_rng(0).uniform([-3, -2, 4], [3, 2, 20], (count, 3))


def _rays(T: np.ndarray, points: np.ndarray) -> np.ndarray:
    moved = transform_points(T, points)
    return moved[:, :2] / moved[:, 2:]


def test_epipolar_matrices_vanish_on_true_matches() -> None:
    points = _points()
    rays_a, rays_b = _rays(np.eye(4), points), _rays(T_B_A, points)
    assert sampson_distance(essential_from_pose(T_B_A), rays_a, rays_b).max() < 1e-14
    F = fundamental_from_pose(T_B_A, CAMERA, CAMERA)
    a, b = project(CAMERA, points)[0], project(CAMERA, transform_points(T_B_A, points))[0]
    assert sampson_distance(F, a, b).max() < 1e-10


def test_sampson_distance_is_the_small_displacement_off_the_epipolar_line() -> None:
    # For a pure sideways motion epipolar lines are rows; an offset of d rows splits on both.
    F = fundamental_from_pose(rigid(np.eye(3), [-1.0, 0, 0]), CAMERA, CAMERA)
    a = np.array([[100.0, 50.0], [300.0, 200.0]])
    np.testing.assert_allclose(sampson_distance(F, a, a + np.array([20.0, 2.0])), 2 / np.sqrt(2))


def test_sampson_distance_at_both_epipoles_is_zero() -> None:
    E = essential_from_pose(rigid(np.eye(3), [0.0, 0.0, 1.0]))
    assert sampson_distance(E, [[0.0, 0.0]], [[0.0, 0.0]]).tolist() == [0.0]


def test_one_of_the_four_poses_of_an_essential_matrix_is_the_true_one() -> None:
    candidates = poses_from_essential(-3.0 * essential_from_pose(T_B_A))
    expected = T_B_A.copy()
    expected[:3, 3] /= np.linalg.norm(expected[:3, 3])
    differences = np.abs(candidates - expected).max(axis=(1, 2))
    assert np.sum(differences < 1e-12) == 1
    np.testing.assert_allclose(np.linalg.det(candidates[:, :3, :3]), 1.0)
    points = _points()
    in_front = []
    for T in candidates:
        found = triangulate_two_views(T, _rays(np.eye(4), points), _rays(expected, points))
        both = (found[:, 2] > 0) & (transform_points(T, found)[:, 2] > 0)
        in_front.append(int(both.sum()))
    assert int(np.argmax(in_front)) == int(np.argmin(differences))


def test_a_homography_transfers_plane_points_and_its_pose_is_found() -> None:
    normal, distance = np.array([0.1, -0.2, 1.0]) / np.linalg.norm([0.1, -0.2, 1.0]), 6.0
    H = T_B_A[:3, :3] + np.outer(T_B_A[:3, 3], normal) / distance
    rays_a = np.random.default_rng(1).uniform(-0.4, 0.4, (50, 2))
    directions = np.column_stack([rays_a, np.ones(50)])
    points = directions * (distance / (directions @ normal))[:, None]
    rays_b = _rays(T_B_A, points)
    np.testing.assert_allclose(transfer(H, rays_a), rays_b, atol=1e-12)
    assert symmetric_transfer_distance(H, rays_a, rays_b).max() < 1e-12
    poses, normals = poses_from_homography(H)
    expected = T_B_A.copy()
    expected[:3, 3] /= distance
    error = np.abs(poses - expected).max(axis=(1, 2)) + np.abs(normals - normal).max(axis=1)
    assert error.min() < 1e-8


def test_symmetric_transfer_counts_both_directions_and_infinity() -> None:
    H = np.diag([2.0, 2.0, 1.0])
    distance = symmetric_transfer_distance(H, [[1.0, 0.0]], [[4.0, 0.0]])
    np.testing.assert_allclose(distance, [np.hypot(2.0, 1.0)])
    horizon = np.array([[1.0, 0, 0], [0, 1, 0], [1, 0, 1]])
    assert np.isinf(symmetric_transfer_distance(horizon, [[-1.0, 0.0]], [[0.0, 0.0]])).all()


def test_two_view_triangulation_recovers_points() -> None:
    points = _points()
    found = triangulate_two_views(T_B_A, _rays(np.eye(4), points), _rays(T_B_A, points))
    np.testing.assert_allclose(found, points, rtol=1e-9)


def test_points_at_infinity_stay_finite() -> None:
    found = triangulate_two_views(rigid(np.eye(3), [-1.0, 0, 0]), [[0.1, 0.2]], [[0.1, 0.2]])
    assert np.isfinite(found).all()
    assert np.linalg.norm(found) > 1e6


def test_many_views_triangulate_with_views_missing() -> None:
    rng = np.random.default_rng(2)
    points = _points(60)
    centres = rng.normal(0, 0.5, (6, 3))
    poses = rigid(Rotation.from_rotvec(rng.normal(0, 0.05, (6, 3))).as_matrix(), centres)
    rays = np.stack([_rays(T, points) for T in poses])
    visible = rng.random((6, 60)) < 0.6
    visible[:2] = True
    rays[~visible] = 9.0
    np.testing.assert_allclose(triangulate(poses, rays, visible), points, rtol=1e-8)
    with pytest.raises(ValueError, match="at least two"):
        triangulate(poses, rays, np.zeros_like(visible))
    assert triangulate(poses, rays[:, :0]).shape == (0, 3)


def test_parallax_is_the_angle_at_the_point() -> None:
    np.testing.assert_allclose(parallax_angles([0, 0, 0], [1, 0, 0], [[0, 0, 1.0]]), np.pi / 4)
    tiny = parallax_angles([0, 0, 0], [1e-9, 0, 0], [[0, 0, 1.0]])
    np.testing.assert_allclose(tiny, 1e-9)


def test_reprojection_errors_are_pixels_and_infinite_behind() -> None:
    T_camera_world = invert(T_B_A)
    points = transform_points(T_B_A, [[0.2, 0.1, 5.0], [0, 0, -5.0]])
    pixels = project(CAMERA, [[0.2, 0.1, 5.0], [0, 0, 1.0]])[0] + [3.0, 4.0]
    errors = reprojection_errors(CAMERA, T_camera_world, points, pixels)
    np.testing.assert_allclose(errors, [5.0, np.inf])
