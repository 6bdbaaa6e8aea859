import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import Rotation, Slerp

from litescene.geometry import (
    compose,
    interpolate,
    interpolate_poses,
    invert,
    invert_similarity,
    relative,
    rigid,
    se3_exp,
    se3_log,
    sim3_exp,
    sim3_log,
    similarity,
    skew,
    split_similarity,
    transform_points,
)

SIZES = [0.0, 1e-12, 1e-7, 1e-3, 0.5, 3.0]


def _random_poses(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rigid(Rotation.random(count, rng).as_matrix(), rng.normal(size=(count, 3)))


def _tangents(size: float, sigma: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(20, 3))
    w *= size / np.linalg.norm(w, axis=1, keepdims=True)
    return np.hstack([rng.normal(size=(20, 3)), w, np.full((20, 1), sigma)])


def _generator(xi: np.ndarray) -> np.ndarray:
    G = np.zeros((4, 4))
    G[:3, :3] = skew(xi[3:6]) + xi[6] * np.eye(3)
    G[:3, 3] = xi[:3]
    return G


@pytest.mark.parametrize("size", SIZES)
def test_se3_exponential_is_the_matrix_exponential_and_log_undoes_it(size: float) -> None:
    xi = _tangents(size, 0.0, 0)
    T = se3_exp(xi[:, :6])
    np.testing.assert_allclose(T, [expm(_generator(x)) for x in xi], atol=1e-12)
    np.testing.assert_allclose(se3_log(T), xi[:, :6], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.0, 1e-9, -1e-4, 0.7, -1.2])
@pytest.mark.parametrize("size", SIZES)
def test_sim3_exponential_is_the_matrix_exponential_and_log_undoes_it(
    size: float, sigma: float
) -> None:
    xi = _tangents(size, sigma, 1)
    S = sim3_exp(xi)
    np.testing.assert_allclose(S, [expm(_generator(x)) for x in xi], atol=1e-11)
    np.testing.assert_allclose(sim3_log(S), xi, rtol=1e-8, atol=1e-12)


def test_inverse_relative_and_compose_follow_the_frame_names() -> None:
    T_world_prev, T_world_cur = _random_poses(2, 2)
    T_prev_cur = relative(T_world_prev, T_world_cur)
    np.testing.assert_allclose(T_prev_cur, np.linalg.inv(T_world_prev) @ T_world_cur, atol=1e-14)
    np.testing.assert_allclose(compose(T_world_prev, T_prev_cur), T_world_cur, atol=1e-14)
    np.testing.assert_allclose(invert(T_world_cur) @ T_world_cur, np.eye(4), atol=1e-14)


def test_similarities_split_and_invert() -> None:
    rng = np.random.default_rng(3)
    T = _random_poses(10, 4)
    scale = rng.uniform(0.1, 9, 10)
    S = similarity(scale, T[:, :3, :3], T[:, :3, 3])
    s, R, t = split_similarity(S)
    np.testing.assert_allclose(s, scale)
    np.testing.assert_allclose(R, T[:, :3, :3], atol=1e-13)
    np.testing.assert_allclose(t, T[:, :3, 3])
    np.testing.assert_allclose(invert_similarity(S), np.linalg.inv(S), rtol=1e-9, atol=1e-12)


def test_points_are_mapped_like_homogeneous_vectors() -> None:
    T, points = _random_poses(3, 5), np.random.default_rng(6).normal(size=(3, 7, 3))
    expected = np.einsum("kij,knj->kni", T[:, :3, :3], points) + T[:, None, :3, 3]
    np.testing.assert_allclose(transform_points(T, points), expected, atol=1e-14)
    np.testing.assert_allclose(transform_points(T[0], points[0]), expected[0], atol=1e-14)


def test_interpolation_is_slerp_and_a_straight_line() -> None:
    T_a, T_b = _random_poses(2, 7)
    slerp = Slerp([0, 1], Rotation.from_matrix([T_a[:3, :3], T_b[:3, :3]]))
    for fraction in (0.0, 0.25, 1.0):
        T = interpolate(T_a, T_b, fraction)
        np.testing.assert_allclose(T[:3, :3], slerp(fraction).as_matrix(), atol=1e-12)
        expected = (1 - fraction) * T_a[:3, 3] + fraction * T_b[:3, 3]
        np.testing.assert_allclose(T[:3, 3], expected, atol=1e-14)


def test_poses_are_interpolated_between_their_neighbours_in_time() -> None:
    times, poses = np.array([0.0, 1.0, 4.0]), _random_poses(3, 8)
    out = interpolate_poses(times, poses, [0.0, 1.0, 2.5, 4.0])
    np.testing.assert_allclose(out[[0, 1, 3]], poses, atol=1e-12)
    np.testing.assert_allclose(out[2], interpolate(poses[1], poses[2], 0.5), atol=1e-12)


def test_interpolation_refuses_bad_times_and_extrapolation() -> None:
    poses = _random_poses(2, 9)
    with pytest.raises(ValueError, match="rising"):
        interpolate_poses([1.0, 1.0], poses, [1.0])
    with pytest.raises(ValueError, match="outside"):
        interpolate_poses([0.0, 1.0], poses, [1.5])
