import numpy as np
import pytest
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from litescene.geometry import invert, se3_exp
from litescene.scene.bundle_adjustment import Problem, adjust, refine_pose
from litescene.scene.bundle_kernels import reprojection_errors

FOCAL = 500.0


def cameras(count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    poses = np.tile(np.eye(4), (count, 1, 1))
    for k in range(count):
        poses[k, :3, :3] = Rotation.from_rotvec(rng.normal(0, 0.05, 3)).as_matrix()
        poses[k, :3, 3] = rng.normal(0, 0.1, 3) + np.array([0.5 * k, 0, 0])
    return np.ascontiguousarray(poses[:, :3])


def project(pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    inside = points @ pose[:, :3].T + pose[:, 3]
    return inside[:, :2] / inside[:, 2:]


def problem(noise: float, count: int = 4, points: int = 25, shake: float = 0.02) -> Problem:
    rng = np.random.default_rng(5)
    world = rng.uniform([-3, -2, 5], [3, 2, 12], (points, 3))
    poses = cameras(count)
    rays = np.stack([project(p, world) for p in poses], axis=1)
    rays = rays + rng.normal(0, noise / FOCAL, rays.shape)
    start = poses.copy()
    for k in range(2, count):
        start[k] = (se3_exp(rng.normal(0, shake, 6)) @ np.vstack([poses[k], [0, 0, 0, 1]]))[:3]
    return Problem(
        start,
        np.arange(count) >= 2,
        world + rng.normal(0, 5 * shake, world.shape),
        np.arange(points + 1) * count,
        np.tile(np.arange(count), points),
        rays.reshape(-1, 2),
        FOCAL,
    )


def test_exact_observations_bring_back_the_exact_world():
    case = problem(noise=0.0)
    solution = adjust(case, iterations=30)
    assert solution.final_cost < 1e-12
    np.testing.assert_allclose(solution.poses, cameras(4), atol=1e-7)
    assert solution.errors.max() < 1e-6


def test_the_minimum_is_that_of_scipy():
    case = problem(noise=0.5)
    solution = adjust(case, huber=1e9, iterations=50)
    free = np.flatnonzero(case.free)

    def residuals(x: np.ndarray) -> np.ndarray:
        poses = case.poses.copy()
        for n, k in enumerate(free):
            turn = Rotation.from_rotvec(x[6 * n + 3 : 6 * n + 6]).as_matrix()
            poses[k] = np.column_stack(
                [turn @ case.poses[k][:, :3], turn @ case.poses[k][:, 3] + x[6 * n : 6 * n + 3]]
            )
        points = x[6 * len(free) :].reshape(-1, 3)
        rays = np.stack([project(p, points) for p in poses], axis=1).reshape(-1, 2)
        return (FOCAL * (rays - case.rays)).ravel()

    start = np.concatenate([np.zeros(6 * len(free)), case.points.ravel()])
    reference = least_squares(residuals, start, xtol=1e-14, ftol=1e-14, gtol=1e-14)
    assert solution.final_cost == pytest.approx(2 * reference.cost, rel=1e-4)
    points = reference.x[6 * len(free) :].reshape(-1, 3)
    np.testing.assert_allclose(solution.points, points, atol=2e-3)


def test_fixed_poses_do_not_move_and_rotations_stay_rotations():
    case = problem(noise=0.5)
    solution = adjust(case)
    np.testing.assert_array_equal(solution.poses[~case.free], case.poses[~case.free])
    R = solution.poses[:, :, :3]
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (4, 1, 1)), atol=1e-14)


def test_a_gross_outlier_hardly_moves_the_robust_solution():
    clean, dirty = problem(noise=0.1), problem(noise=0.1)
    dirty.rays[7] += 0.3
    moved = adjust(dirty, huber=1.0, iterations=30).poses - adjust(clean, iterations=30).poses
    assert np.abs(moved).max() < 1e-2
    assert np.argmax(adjust(dirty, iterations=30).errors) == 7


def test_without_free_poses_only_points_move():
    case = problem(noise=0.0, shake=0.0)
    still = Problem(
        case.poses, np.zeros(4, bool), case.points + 0.05, case.starts, case.cameras, case.rays,
        FOCAL,
    )  # fmt: skip
    solution = adjust(still, iterations=30)
    np.testing.assert_array_equal(solution.poses, case.poses)
    np.testing.assert_allclose(solution.points, case.points, atol=1e-6)


def test_a_single_pose_is_found_again_in_spite_of_outliers():
    rng = np.random.default_rng(0)
    points = rng.uniform([-3, -2, 4], [3, 2, 12], (60, 3))
    truth = cameras(3)[2]
    rays = project(truth, points)
    rays[:10] += rng.normal(0, 0.2, (10, 2))
    start = (se3_exp(np.full(6, 0.02)) @ np.vstack([truth, [0, 0, 0, 1]]))[:3]
    pose, errors = refine_pose(start, points, rays, FOCAL, iterations=50)
    np.testing.assert_allclose(pose, truth, atol=1e-2)
    assert np.median(errors[10:]) < 0.6
    assert np.median(errors[:10]) > 10


def test_points_behind_the_camera_have_an_infinite_error():
    points = np.array([[0.0, 0, 5], [0, 0, -5]])
    errors = reprojection_errors(np.eye(4)[:3], points, np.zeros((2, 2)), FOCAL)
    np.testing.assert_array_equal(errors, [0.0, np.inf])


def test_a_long_chain_of_predictions_and_fits_stays_a_rotation():
    rng = np.random.default_rng(1)
    points = rng.uniform([-3, -2, 4], [3, 2, 12], (30, 3))
    rays = project(np.eye(4)[:3], points)
    pose, velocity = np.eye(4), np.eye(4)
    for _ in range(120):
        fitted = np.eye(4)
        fitted[:3], _ = refine_pose(invert(pose @ velocity)[:3], points, rays, FOCAL)
        before, pose = pose, invert(fitted)
        velocity = invert(before) @ pose
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
