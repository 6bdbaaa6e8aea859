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


def ground_below(pitch: float, count: int = 300) -> np.ndarray:
    """Points of a plane one unit below a camera that looks down by `pitch` degrees."""
    rays = np.random.default_rng(1).uniform([-0.6, -0.45, 1], [0.6, 0.45, 1], (8 * count, 3))
    below = rays @ [0, np.cos(np.radians(pitch)), np.sin(np.radians(pitch))]
    points = rays[below > 0.2] / below[below > 0.2, None]
    return points[:count]


@pytest.mark.parametrize("noise", [0.05, 0.3])
@pytest.mark.parametrize("pitch", [30, 45, 60])
def test_a_view_between_tells_which_way_a_camera_moved_over_a_plane(pitch: float, noise: float):
    points = ground_below(pitch)
    ahead = np.array([0, -np.sin(np.radians(pitch)), np.cos(np.radians(pitch))])
    a, b = views(points, moved([0, 0, 0], -0.3 * ahead), noise)
    half = views(points, moved([0, 0, 0], -0.14 * ahead), noise)[1]
    assert two_view_start(a, b, FOCAL, SETTINGS) is None
    start = two_view_start(a, b, FOCAL, SETTINGS, between=lambda: half)
    assert start is not None
    direction = start.T_b_a[:3, 3] / np.linalg.norm(start.T_b_a[:3, 3])
    assert np.degrees(np.arccos(-direction @ ahead)) < 3.0
    turn = np.degrees(Rotation.from_matrix(start.T_b_a[:3, :3]).magnitude())
    assert turn < 1.0
    for uninformed in (a, b):  # the first or the last view once more
        assert two_view_start(a, b, FOCAL, SETTINGS, between=lambda view=uninformed: view) is None


def test_a_view_between_that_no_motion_explains_gives_no_start():
    points = ground_below(45)
    a, b = views(points, moved([0, 0, 0], [0, 0.2, -0.2]))
    half = np.random.default_rng(0).uniform(-0.5, 0.5, a.shape)
    assert two_view_start(a, b, FOCAL, SETTINGS, between=lambda: half) is None


def test_the_median_depth_is_one():
    rays = views(cloud(), moved([0, 0.02, 0], [-0.8, 0, 0.1]))
    start = two_view_start(*rays, FOCAL, SETTINGS)
    assert start is not None
    assert np.median(start.points[start.good, 2]) == pytest.approx(1.0, abs=0.05)


def test_a_camera_that_turns_on_the_spot_gives_no_start():
    rays = views(cloud(), moved([0.01, 0.08, 0.0], [0, 0, 0]))
    assert two_view_start(*rays, FOCAL, SETTINGS) is None


@pytest.mark.parametrize("noise", [0.05, 0.3])
@pytest.mark.parametrize("turn", [[0.01, 0.08, 0.0], [0.0, 0.0, 0.2], [-0.1, 0.02, 0.05]])
def test_neither_does_one_that_turns_above_a_plane(turn: list[float], noise: float):
    points = ground_below(45)
    a, b = views(points, moved(turn, [0, 0, 0]), noise)
    half = views(points, moved([0.5 * w for w in turn], [0, 0, 0]), noise)[1]
    assert two_view_start(a, b, FOCAL, SETTINGS, between=lambda: half) is None


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
