"""SE(3) and Sim(3) as 4×4 matrices: `T_a_b` maps points of `b` to `a`.

A similarity is `[[s·R, t], [0, 1]]`. Tangents put the translation first: (v, w) for SE(3) and
(v, w, sigma) for Sim(3) with s = exp(sigma). Everything is vectorised over leading axes.

Exponential and logarithm share one closed form. In the basis of the rotation axis, the matrix
V = integral of exp(x·(skew(w) + sigma·I)) over x in [0, 1] is phi(sigma) along the axis and the
complex number phi(sigma + i·angle) in the plane across it, with phi(z) = (exp(z) - 1) / z.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from litescene.geometry.rotation import Array, axis_angle, skew, so3_exp, so3_log


def rigid(R: ArrayLike, t: ArrayLike) -> Array:
    """Transforms ...×4×4 from matrices ...×3×3 and translations ...×3."""
    R, t = np.asarray(R, np.float64), np.asarray(t, np.float64)
    T = np.zeros((*np.broadcast_shapes(R.shape[:-2], t.shape[:-1]), 4, 4))
    T[..., :3, :3] = R
    T[..., :3, 3] = t
    T[..., 3, 3] = 1.0
    return T


def invert(T: ArrayLike) -> Array:
    """Inverse of rigid transforms ...×4×4; `invert_similarity` for those with a scale."""
    T = np.asarray(T, np.float64)
    Rt = np.swapaxes(T[..., :3, :3], -1, -2)
    return rigid(Rt, -(Rt @ T[..., :3, 3:])[..., 0])


def compose(*transforms: ArrayLike) -> Array:
    """Chain `T_a_b, T_b_c, ...` to `T_a_...`, left to right."""
    T = np.eye(4)
    for other in transforms:
        T = T @ np.asarray(other, np.float64)
    return T


def relative(T_world_prev: ArrayLike, T_world_cur: ArrayLike) -> Array:
    """`T_prev_cur` of two camera-to-world poses (or stacks of them)."""
    return invert(T_world_prev) @ np.asarray(T_world_cur, np.float64)


def transform_points(T: ArrayLike, points: ArrayLike) -> Array:
    """Map points ...×n×3 by a rigid transform or similarity ...×4×4."""
    T, points = np.asarray(T, np.float64), np.asarray(points, np.float64)
    return points @ np.swapaxes(T[..., :3, :3], -1, -2) + T[..., None, :3, 3]


def se3_exp(xi: ArrayLike) -> Array:
    """Rigid transforms ...×4×4 of tangents ...×6 (v, w)."""
    xi = np.asarray(xi, np.float64)
    V = _spread(xi[..., 3:], _phi(_eigenvalue(xi[..., 3:], 0.0)), _phi(0.0))
    return rigid(so3_exp(xi[..., 3:]), (V @ xi[..., :3, None])[..., 0])


def se3_log(T: ArrayLike) -> Array:
    """Tangents ...×6 (v, w), rotation angle in [0, pi], of rigid transforms ...×4×4."""
    T = np.asarray(T, np.float64)
    w = so3_log(T[..., :3, :3])
    V_inverse = _spread(w, 1.0 / _phi(_eigenvalue(w, 0.0)), 1.0 / _phi(0.0))
    return np.concatenate([(V_inverse @ T[..., :3, 3:])[..., 0], w], axis=-1)


def similarity(s: ArrayLike, R: ArrayLike, t: ArrayLike) -> Array:
    """Similarities ...×4×4 from scales, rotations ...×3×3 and translations ...×3."""
    return rigid(np.asarray(s, np.float64)[..., None, None] * np.asarray(R, np.float64), t)


def split_similarity(S: ArrayLike) -> tuple[Array, Array, Array]:
    """Scales, rotations ...×3×3 and translations ...×3 of similarities ...×4×4."""
    S = np.asarray(S, np.float64)
    s = np.cbrt(np.linalg.det(S[..., :3, :3]))
    return s, S[..., :3, :3] / s[..., None, None], S[..., :3, 3]


def invert_similarity(S: ArrayLike) -> Array:
    """Inverse of similarities ...×4×4."""
    s, R, t = split_similarity(S)
    Rt = np.swapaxes(R, -1, -2)
    return similarity(1.0 / s, Rt, -(Rt @ t[..., None])[..., 0] / s[..., None])


def sim3_exp(xi: ArrayLike) -> Array:
    """Similarities ...×4×4 of tangents ...×7 (v, w, sigma)."""
    xi = np.asarray(xi, np.float64)
    w, sigma = xi[..., 3:6], xi[..., 6]
    V = _spread(w, _phi(_eigenvalue(w, sigma)), _phi(sigma))
    return similarity(np.exp(sigma), so3_exp(w), (V @ xi[..., :3, None])[..., 0])


def sim3_log(S: ArrayLike) -> Array:
    """Tangents ...×7 (v, w, sigma), rotation angle in [0, pi], of similarities ...×4×4."""
    s, R, t = split_similarity(S)
    w, sigma = so3_log(R), np.log(s)
    V_inverse = _spread(w, 1.0 / _phi(_eigenvalue(w, sigma)), 1.0 / _phi(sigma))
    return np.concatenate([(V_inverse @ t[..., None])[..., 0], w, sigma[..., None]], axis=-1)


def interpolate(T_a: ArrayLike, T_b: ArrayLike, fraction: ArrayLike) -> Array:
    """Poses between `T_a` (fraction 0) and `T_b` (1): straight line, constant turn."""
    T_a, T_b = np.asarray(T_a, np.float64), np.asarray(T_b, np.float64)
    part = np.asarray(fraction, np.float64)[..., None]
    turn = so3_log(np.swapaxes(T_a[..., :3, :3], -1, -2) @ T_b[..., :3, :3])
    position = (1.0 - part) * T_a[..., :3, 3] + part * T_b[..., :3, 3]
    return rigid(T_a[..., :3, :3] @ so3_exp(part * turn), position)


def interpolate_poses(times: ArrayLike, poses: ArrayLike, query: ArrayLike) -> Array:
    """Poses m×4×4 at times `query` (m) from `poses` n×4×4 at strictly rising `times` (n).

    Raises `ValueError` for times that do not rise and for a query outside their span.
    """
    times, query = np.asarray(times, np.float64), np.asarray(query, np.float64)
    poses = np.asarray(poses, np.float64)
    if len(times) < 2 or np.any(np.diff(times) <= 0):
        raise ValueError("interpolation needs at least two poses at strictly rising times")
    if query.size and (query.min() < times[0] or query.max() > times[-1]):
        raise ValueError(f"no pose can be interpolated outside {times[0]:.6f} to {times[-1]:.6f} s")
    left = np.clip(np.searchsorted(times, query, side="right") - 1, 0, len(times) - 2)
    fraction = (query - times[left]) / (times[left + 1] - times[left])
    return interpolate(poses[left], poses[left + 1], fraction)


def _eigenvalue(w: Array, sigma: ArrayLike) -> NDArray[np.complex128]:
    return np.asarray(sigma + 1j * np.linalg.norm(w, axis=-1), np.complex128)


def _phi(z: ArrayLike) -> NDArray[np.complex128]:
    z = np.asarray(z, np.complex128)
    return np.where(z == 0, 1.0, np.expm1(z) / np.where(z == 0, 1.0, z))


def _spread(w: Array, across: NDArray[np.complex128], along: NDArray[np.complex128]) -> Array:
    """The 3×3 matrix that is `along` on the axis of `w` and `across` in the plane around it."""
    K = skew(axis_angle(w)[0])
    real, imag = across.real[..., None, None], across.imag[..., None, None]
    on_axis = np.asarray(along.real)[..., None, None]
    return on_axis * np.eye(3) + imag * K + (on_axis - real) * (K @ K)
