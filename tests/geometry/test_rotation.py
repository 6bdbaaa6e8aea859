import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from litescene.geometry import (
    matrix_to_quaternion_wxyz,
    matrix_to_quaternion_xyzw,
    quaternion_wxyz_to_matrix,
    quaternion_xyzw_to_matrix,
    rotation_angle,
    skew,
    so3_exp,
    so3_log,
)

ANGLES = [0.0, 1e-300, 1e-12, 1e-8, 1e-4, 0.1, 1.0, 3.0, np.pi - 1e-4, np.pi - 1e-9]


def _vectors(rng: np.random.Generator, angle: float, count: int = 50) -> np.ndarray:
    axes = rng.normal(size=(count, 3))
    return angle * axes / np.linalg.norm(axes, axis=1, keepdims=True)


@pytest.mark.parametrize("angle", ANGLES)
def test_exponential_agrees_with_scipy_at_every_angle(angle: float) -> None:
    w = _vectors(np.random.default_rng(0), angle)
    np.testing.assert_allclose(so3_exp(w), Rotation.from_rotvec(w).as_matrix(), atol=1e-14)


@pytest.mark.parametrize("angle", ANGLES)
def test_logarithm_undoes_the_exponential_at_every_angle(angle: float) -> None:
    w = _vectors(np.random.default_rng(1), angle)
    np.testing.assert_allclose(so3_log(so3_exp(w)), w, rtol=1e-9, atol=1e-14)


def test_logarithm_at_exactly_pi_gives_the_axis_up_to_sign() -> None:
    axes = np.vstack([np.eye(3), _vectors(np.random.default_rng(2), 1.0)])
    w = so3_log(so3_exp(np.pi * axes))
    np.testing.assert_allclose(np.linalg.norm(w, axis=1), np.pi, atol=1e-12)
    np.testing.assert_allclose(np.abs((w * axes).sum(axis=1)), np.pi, atol=1e-12)


def test_functions_take_any_leading_axes() -> None:
    w = np.random.default_rng(3).normal(size=(2, 5, 3))
    R = so3_exp(w)
    assert R.shape == (2, 5, 3, 3)
    assert so3_log(R).shape == (2, 5, 3)
    assert so3_log(R[0, 0]).shape == (3,)
    assert matrix_to_quaternion_xyzw(R).shape == (2, 5, 4)


def test_quaternions_agree_with_scipy_and_have_a_positive_real_part() -> None:
    rotations = Rotation.random(200, np.random.default_rng(4))
    expected = rotations.as_quat(canonical=True)
    np.testing.assert_allclose(
        matrix_to_quaternion_xyzw(rotations.as_matrix()), expected, atol=1e-12
    )
    wxyz = matrix_to_quaternion_wxyz(rotations.as_matrix())
    np.testing.assert_allclose(wxyz, expected[:, [3, 0, 1, 2]], atol=1e-12)
    assert (wxyz[:, 0] >= 0).all()


def test_matrices_of_quaternions_do_not_depend_on_length_or_sign() -> None:
    rotations = Rotation.random(50, np.random.default_rng(5))
    q = rotations.as_quat()
    for factor in (1.0, -1.0, 7.5):
        np.testing.assert_allclose(
            quaternion_xyzw_to_matrix(factor * q), rotations.as_matrix(), atol=1e-14
        )
    np.testing.assert_allclose(
        quaternion_wxyz_to_matrix(q[:, [3, 0, 1, 2]]), rotations.as_matrix(), atol=1e-14
    )


def test_a_zero_quaternion_is_refused() -> None:
    with pytest.raises(ValueError, match="length 0"):
        quaternion_xyzw_to_matrix(np.zeros(4))


def test_rotation_angle_is_exact_for_tiny_and_for_large_angles() -> None:
    rng = np.random.default_rng(6)
    base = so3_exp(rng.normal(size=3))
    for angle in (0.0, 1e-10, 1e-3, 2.0, np.pi - 1e-7):
        turned = base @ so3_exp(_vectors(rng, angle))
        np.testing.assert_allclose(rotation_angle(base, turned), angle, rtol=1e-5, atol=1e-15)


def test_skew_is_the_cross_product() -> None:
    a, b = np.random.default_rng(7).normal(size=(2, 9, 3))
    np.testing.assert_allclose((skew(a) @ b[..., None])[..., 0], np.cross(a, b), atol=1e-15)
