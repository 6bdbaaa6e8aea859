"""SO(3): exponential, logarithm and unit quaternions (Hamilton), vectorised over leading axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def skew(v: ArrayLike) -> Array:
    """Cross-product matrices: `skew(v) @ x == cross(v, x)`; ...×3 to ...×3×3."""
    v = np.asarray(v, np.float64)
    matrix = np.zeros((*v.shape[:-1], 3, 3))
    matrix[..., 0, 1], matrix[..., 0, 2] = -v[..., 2], v[..., 1]
    matrix[..., 1, 0], matrix[..., 1, 2] = v[..., 2], -v[..., 0]
    matrix[..., 2, 0], matrix[..., 2, 1] = -v[..., 1], v[..., 0]
    return matrix


def axis_angle(w: ArrayLike) -> tuple[Array, Array]:
    """Unit axes ...×3 (zero where there is no rotation) and angles ... of rotation vectors."""
    w = np.asarray(w, np.float64)
    angle = np.linalg.norm(w, axis=-1)
    return w / np.where(angle > 0, angle, 1.0)[..., None], angle


def so3_exp(w: ArrayLike) -> Array:
    """Rotation matrices ...×3×3 of rotation vectors ...×3 (radians), by Rodrigues' formula.

    The unit axis times sin and 2·sin² of the half angle loses no digits at small angles.
    """
    axis, angle = axis_angle(w)
    K = skew(axis)
    sine = np.sin(angle)[..., None, None]
    versine = 2.0 * np.square(np.sin(angle / 2))[..., None, None]
    return np.eye(3) + sine * K + versine * (K @ K)


def so3_log(R: ArrayLike) -> Array:
    """Rotation vectors ...×3 with angles in [0, pi] of rotation matrices ...×3×3.

    Goes through the quaternion, whose atan2 is well conditioned at 0 and at pi alike.
    """
    q = matrix_to_quaternion_xyzw(R)
    norm = np.linalg.norm(q[..., :3], axis=-1)
    angle = 2.0 * np.arctan2(norm, q[..., 3])
    # At norm 0 the factor is the limit 2/w with w = 1.
    factor = np.where(norm > 0, angle / np.where(norm > 0, norm, 1.0), 2.0)
    return q[..., :3] * factor[..., None]


def matrix_to_quaternion_xyzw(R: ArrayLike) -> Array:
    """Unit quaternions ...×4 (x, y, z, w), w >= 0, of rotation matrices ...×3×3.

    Shepperd's method: of four formulas the one with the largest divisor is taken.
    """
    R = np.asarray(R, np.float64)
    d0, d1, d2 = R[..., 0, 0], R[..., 1, 1], R[..., 2, 2]
    xy, xz, yz = (R[..., i, j] + R[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    wx, wy, wz = (R[..., i, j] - R[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    candidates = np.stack(
        [
            np.stack([1 + d0 - d1 - d2, xy, xz, wx], axis=-1),
            np.stack([xy, 1 - d0 + d1 - d2, yz, wy], axis=-1),
            np.stack([xz, yz, 1 - d0 - d1 + d2, wz], axis=-1),
            np.stack([wx, wy, wz, 1 + d0 + d1 + d2], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(np.diagonal(candidates, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(candidates, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., 3:] < 0, -q, q)


def quaternion_xyzw_to_matrix(q: ArrayLike) -> Array:
    """Rotation matrices ...×3×3 of quaternions ...×4 (x, y, z, w) of any length but zero."""
    q = np.asarray(q, np.float64)
    norm = np.linalg.norm(q, axis=-1, keepdims=True)
    if np.any(norm < 1e-12):
        raise ValueError("a quaternion of length 0 is not a rotation")
    unit = q / norm
    v, w = unit[..., :3], unit[..., 3, None, None]
    outer = v[..., :, None] * v[..., None, :]
    dot = np.square(v).sum(axis=-1)[..., None, None]
    return (np.square(w) - dot) * np.eye(3) + 2 * outer + 2 * w * skew(v)


def xyzw_to_wxyz(q: ArrayLike) -> Array:
    """Reorder quaternions (x, y, z, w) to (w, x, y, z)."""
    return np.roll(np.asarray(q, np.float64), 1, axis=-1)


def wxyz_to_xyzw(q: ArrayLike) -> Array:
    """Reorder quaternions (w, x, y, z) to (x, y, z, w)."""
    return np.roll(np.asarray(q, np.float64), -1, axis=-1)


def matrix_to_quaternion_wxyz(R: ArrayLike) -> Array:
    """Unit quaternions ...×4 (w, x, y, z), w >= 0, of rotation matrices ...×3×3."""
    return xyzw_to_wxyz(matrix_to_quaternion_xyzw(R))


def quaternion_wxyz_to_matrix(q: ArrayLike) -> Array:
    """Rotation matrices ...×3×3 of quaternions ...×4 (w, x, y, z) of any length but zero."""
    return quaternion_xyzw_to_matrix(wxyz_to_xyzw(q))


def rotation_angle(R_a: ArrayLike, R_b: ArrayLike) -> Array:
    """Angle in radians, [0, pi], between rotations ...×3×3; exact for tiny angles too."""
    R_a, R_b = np.asarray(R_a, np.float64), np.asarray(R_b, np.float64)
    angle: Array = np.linalg.norm(so3_log(np.swapaxes(R_a, -1, -2) @ R_b), axis=-1)
    return angle
