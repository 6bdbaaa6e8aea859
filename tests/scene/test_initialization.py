import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from litescene.geometry import relative
from litescene.scene.initialization import two_view_start
from litescene.scene.settings import OdometrySettings

FOCAL = 600.0
SETTINGS = OdometrySettings()


def moved(rotation: list[float], translation: list[float]) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(rotation).as_matrix()
    T[:3, 3] = translation
    return T


def views(points: np.ndarray, T_b_a: np.ndarray, noise: float = 0.2, outliers: int = 0):
    rng = np.random.default_rng(2)
    in_b = points @ T_b_a[:3, :3].T + T_b_a[:3, 3]
    rays = [p[:, :2] / p[:, 2:] + rng.normal(0, noise / FOCAL, (len(p), 2)) for p in (points, in_b)]
    rays[1][:outliers] += rng.uniform(-0.2, 0.2, (outliers, 2))
    return rays


def cloud(count: int = 300) -> np.ndarray:
    return np.random.default_rng(1).uniform([-6, -3, 6], [6, 3, 25], (count, 3))


def plane(count: int = 300) -> np.ndarray:
    points = np.random.default_rng(1).uniform([-4, -3, 0], [4, 3, 0], (count, 3))
    points[:, 2] = 8 + 0.4 * points[:, 0] - 0.2 * points[:, 1]
    return points


@pytest.mark.parametrize("scene", ["cloud", "plane"])
def test_pose_and_points_come_back_up_to_scale(scene):
    points = cloud() if scene == "cloud" else plane()
    T_b_a = moved([0.01, -0.04, 0.005], [-0.8, 0.05, -0.3])
    rays_a, rays_b = views(points, T_b_a, outliers=40)
    start = two_view_start(rays_a, rays_b, FOCAL, SETTINGS)
    assert start is not None
    assert start.model == ("essential" if scene == "cloud" else "homography")
    turn = np.degrees(Rotation.from_matrix(relative(T_b_a, start.T_b_a)[:3, :3]).magnitude())
    assert turn < 0.3
    direction = start.T_b_a[:3, 3] / np.linalg.norm(start.T_b_a[:3, 3])
    wanted = T_b_a[:3, 3] / np.linalg.norm(T_b_a[:3, 3])
    assert np.degrees(np.arccos(direction @ wanted)) < 2.0
    ratio = points[start.good, 2] / start.points[start.good, 2]
    assert (np.abs(ratio / np.median(ratio) - 1) < 0.3).mean() > 0.98
    assert start.good[40:].mean() > 0.9
    assert start.good[:40].mean() < 0.2


def test_the_median_depth_is_one():
    rays = views(cloud(), moved([0, 0.02, 0], [-0.8, 0, 0.1]))
    start = two_view_start(*rays, FOCAL, SETTINGS)
    assert start is not None
    assert np.median(start.points[start.good, 2]) == pytest.approx(1.0, abs=0.05)


def test_a_camera_that_turns_on_the_spot_gives_no_start():
    rays = views(cloud(), moved([0.01, 0.08, 0.0], [0, 0, 0]))
    assert two_view_start(*rays, FOCAL, SETTINGS) is None


def test_a_camera_that_stands_still_gives_no_start():
    rays = views(cloud(), np.eye(4))
    assert two_view_start(*rays, FOCAL, SETTINGS) is None


def test_too_few_matches_give_no_start():
    rays = views(cloud(40), moved([0, 0.02, 0], [-0.8, 0, 0.1]))
    assert two_view_start(*rays, FOCAL, SETTINGS) is None


def test_matches_without_any_order_give_no_start():
    rng = np.random.default_rng(0)
    rays = rng.uniform(-0.5, 0.5, (2, 200, 2))
    assert two_view_start(rays[0], rays[1], FOCAL, SETTINGS) is None


def test_the_same_seed_gives_the_same_start():
    rays = views(cloud(), moved([0, 0.02, 0], [-0.8, 0, 0.1]), outliers=60)
    first, second = (two_view_start(*rays, FOCAL, SETTINGS, seed=4) for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.T_b_a, second.T_b_a)
    np.testing.assert_array_equal(first.points, second.points)
