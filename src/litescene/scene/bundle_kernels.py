"""Compiled kernels of bundle adjustment: costs, Jacobians, the Schur complement, updates.

Conventions are those of `bundle_adjustment`: poses 3×4 `T_camera_world`, observations sorted by
point, tangents (translation, rotation) applied on the left, residuals in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NEAR = 1e-6
"""A point nearer than this in z, or behind the camera, has no projection."""
_BEHIND_COST = 1e4
"""Cost in px² of an observation whose point lies behind the camera, so that no step gains by it."""


@njit(cache=True, nogil=True, error_model="numpy")
def reprojection_errors(pose: Floats, points: Floats, rays: Floats, focal: float) -> Floats:
    """Pixel distance of every projected point (n×3) from its ray (n×2); infinite behind."""
    errors = np.empty(len(points))
    for i in range(len(points)):
        x, y, z = _transform(pose, points[i])
        if z < _NEAR:
            errors[i] = np.inf
        else:
            errors[i] = focal * np.hypot(x / z - rays[i, 0], y / z - rays[i, 1])
    return errors


@njit(cache=True, nogil=True, error_model="numpy")
def _transform(pose: Floats, point: Floats) -> tuple[float, float, float]:
    x = pose[0, 0] * point[0] + pose[0, 1] * point[1] + pose[0, 2] * point[2] + pose[0, 3]
    y = pose[1, 0] * point[0] + pose[1, 1] * point[1] + pose[1, 2] * point[2] + pose[1, 3]
    z = pose[2, 0] * point[0] + pose[2, 1] * point[1] + pose[2, 2] * point[2] + pose[2, 3]
    return x, y, z


@njit(cache=True, nogil=True, error_model="numpy")
def _huber(error: float, threshold: float) -> float:
    if error <= threshold:
        return error * error
    return threshold * (2.0 * error - threshold)


@njit(cache=True, nogil=True, error_model="numpy")
def robust_cost(
    poses: Floats,
    points: Floats,
    starts: Ints,
    cameras: Ints,
    rays: Floats,
    focal: float,
    huber: float,
) -> float:
    """Sum of the Huber costs of all observations, px²."""
    total = 0.0
    for p in range(len(points)):
        for m in range(starts[p], starts[p + 1]):
            x, y, z = _transform(poses[cameras[m]], points[p])
            if z < _NEAR:
                total += _BEHIND_COST
            else:
                error = focal * np.hypot(x / z - rays[m, 0], y / z - rays[m, 1])
                total += _huber(error, huber)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def observation_errors(
    poses: Floats, points: Floats, starts: Ints, cameras: Ints, rays: Floats, focal: float
) -> Floats:
    """Reprojection error of every observation in pixels; infinite behind the camera."""
    errors = np.empty(len(cameras))
    for p in range(len(points)):
        for m in range(starts[p], starts[p + 1]):
            x, y, z = _transform(poses[cameras[m]], points[p])
            if z < _NEAR:
                errors[m] = np.inf
            else:
                errors[m] = focal * np.hypot(x / z - rays[m, 0], y / z - rays[m, 1])
    return errors


@njit(cache=True, nogil=True, error_model="numpy")
def _jacobian(
    pose: Floats,
    point: Floats,
    ray: Floats,
    focal: float,
    huber: float,
    jc: Floats,
    jp: Floats,
    residual: Floats,
) -> bool:
    """Weighted residual and Jacobians (2×6 pose, 2×3 point); False behind the camera."""
    px, py, pz = _transform(pose, point)
    if pz < _NEAR:
        return False
    iz = 1.0 / pz
    x, y = px * iz, py * iz
    rx, ry = focal * (x - ray[0]), focal * (y - ray[1])
    error = np.hypot(rx, ry)
    root = 1.0 if error <= huber else np.sqrt(huber / error)
    residual[0], residual[1] = root * rx, root * ry
    s = root * focal
    jc[0, 0], jc[0, 1], jc[0, 2] = s * iz, 0.0, -s * x * iz
    jc[1, 0], jc[1, 1], jc[1, 2] = 0.0, s * iz, -s * y * iz
    jc[0, 3], jc[0, 4], jc[0, 5] = -s * x * y, s * (1.0 + x * x), -s * y
    jc[1, 3], jc[1, 4], jc[1, 5] = -s * (1.0 + y * y), s * x * y, s * x
    for j in range(3):
        jp[0, j] = s * iz * (pose[0, j] - x * pose[2, j])
        jp[1, j] = s * iz * (pose[1, j] - y * pose[2, j])
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _inverse3(a: Floats, out: Floats) -> None:
    c00 = a[1, 1] * a[2, 2] - a[1, 2] * a[2, 1]
    c01 = a[1, 2] * a[2, 0] - a[1, 0] * a[2, 2]
    c02 = a[1, 0] * a[2, 1] - a[1, 1] * a[2, 0]
    det = a[0, 0] * c00 + a[0, 1] * c01 + a[0, 2] * c02
    if abs(det) < 1e-300:
        out[:] = 0.0
        return
    out[0, 0], out[1, 0], out[2, 0] = c00 / det, c01 / det, c02 / det
    out[0, 1] = (a[0, 2] * a[2, 1] - a[0, 1] * a[2, 2]) / det
    out[1, 1] = (a[0, 0] * a[2, 2] - a[0, 2] * a[2, 0]) / det
    out[2, 1] = (a[0, 1] * a[2, 0] - a[0, 0] * a[2, 1]) / det
    out[0, 2] = (a[0, 1] * a[1, 2] - a[0, 2] * a[1, 1]) / det
    out[1, 2] = (a[0, 2] * a[1, 0] - a[0, 0] * a[1, 2]) / det
    out[2, 2] = (a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]) / det


@njit(cache=True, nogil=True, error_model="numpy")
def reduced_system(
    poses: Floats,
    points: Floats,
    starts: Ints,
    cameras: Ints,
    rays: Floats,
    focal: float,
    huber: float,
    slots: Ints,
    unknowns: int,
    damping: float,
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Damped normal equations S δ = b without the points, and what gives the points back."""
    size = 6 * unknowns
    system, rhs = np.zeros((size, size)), np.zeros(size)
    diagonal = np.zeros(size)
    inverses, gradients = np.zeros((len(points), 3, 3)), np.zeros((len(points), 3))
    couplings = np.zeros((len(cameras), 6, 3))
    jc, jp, residual = np.zeros((2, 6)), np.zeros((2, 3)), np.zeros(2)
    v, wv = np.zeros((3, 3)), np.zeros((6, 3))
    for p in range(len(points)):
        v[:] = 0.0
        for m in range(starts[p], starts[p + 1]):
            if not _jacobian(poses[cameras[m]], points[p], rays[m], focal, huber, jc, jp, residual):
                continue
            for i in range(3):
                gradients[p, i] -= jp[0, i] * residual[0] + jp[1, i] * residual[1]
                for j in range(3):
                    v[i, j] += jp[0, i] * jp[0, j] + jp[1, i] * jp[1, j]
            slot = slots[cameras[m]]
            if slot < 0:
                continue
            for i in range(6):
                rhs[6 * slot + i] -= jc[0, i] * residual[0] + jc[1, i] * residual[1]
                for j in range(6):
                    system[6 * slot + i, 6 * slot + j] += jc[0, i] * jc[0, j] + jc[1, i] * jc[1, j]
                for j in range(3):
                    couplings[m, i, j] = jc[0, i] * jp[0, j] + jc[1, i] * jp[1, j]
        for i in range(3):
            v[i, i] += damping * v[i, i] + 1e-12
        _inverse3(v, inverses[p])
    for i in range(size):
        diagonal[i] = damping * system[i, i] + 1e-9
    for p in range(len(points)):
        for m in range(starts[p], starts[p + 1]):
            a = slots[cameras[m]]
            if a < 0:
                continue
            for i in range(6):
                for j in range(3):
                    wv[i, j] = (
                        couplings[m, i, 0] * inverses[p, 0, j]
                        + couplings[m, i, 1] * inverses[p, 1, j]
                        + couplings[m, i, 2] * inverses[p, 2, j]
                    )
                rhs[6 * a + i] -= (
                    wv[i, 0] * gradients[p, 0]
                    + wv[i, 1] * gradients[p, 1]
                    + wv[i, 2] * gradients[p, 2]
                )
            for n in range(m, starts[p + 1]):
                b = slots[cameras[n]]
                if b < 0:
                    continue
                for i in range(6):
                    for j in range(6):
                        system[6 * a + i, 6 * b + j] -= (
                            wv[i, 0] * couplings[n, j, 0]
                            + wv[i, 1] * couplings[n, j, 1]
                            + wv[i, 2] * couplings[n, j, 2]
                        )
    # Observations of a point come in the order of the cameras, so only blocks a <= b were filled.
    for i in range(size):
        for j in range(i):
            system[i, j] = system[j, i]
        system[i, i] += diagonal[i]
    return system, rhs, inverses, gradients, couplings


@njit(cache=True, nogil=True, error_model="numpy")
def updated(
    poses: Floats,
    points: Floats,
    starts: Ints,
    cameras: Ints,
    slots: Ints,
    step: Floats,
    inverses: Floats,
    gradients: Floats,
    couplings: Floats,
) -> tuple[Floats, Floats]:
    """Poses moved by `step`, points by back-substitution."""
    new_poses, new_points = poses.copy(), points.copy()
    for k in range(len(poses)):
        if slots[k] >= 0:
            _retract(new_poses[k], step[6 * slots[k] : 6 * slots[k] + 6])
    g = np.zeros(3)
    for p in range(len(points)):
        g[:] = gradients[p]
        for m in range(starts[p], starts[p + 1]):
            slot = slots[cameras[m]]
            if slot >= 0:
                for j in range(3):
                    for i in range(6):
                        g[j] -= couplings[m, i, j] * step[6 * slot + i]
        for i in range(3):
            for j in range(3):
                new_points[p, i] += inverses[p, i, j] * g[j]
    return new_poses, new_points


@njit(cache=True, nogil=True, error_model="numpy")
def _retract(pose: Floats, tangent: Floats) -> None:
    """pose ← exp(ω) pose + v, in place (Rodrigues' formula)."""
    wx, wy, wz = tangent[3], tangent[4], tangent[5]
    theta = np.sqrt(wx * wx + wy * wy + wz * wz)
    if theta < 1e-8:
        a, b = 1.0, 0.5
    else:
        a, b = np.sin(theta) / theta, (1.0 - np.cos(theta)) / (theta * theta)
    rotation = np.empty((3, 3))
    rotation[0, 0] = 1.0 - b * (wy * wy + wz * wz)
    rotation[1, 1] = 1.0 - b * (wx * wx + wz * wz)
    rotation[2, 2] = 1.0 - b * (wx * wx + wy * wy)
    rotation[0, 1], rotation[1, 0] = b * wx * wy - a * wz, b * wx * wy + a * wz
    rotation[0, 2], rotation[2, 0] = b * wx * wz + a * wy, b * wx * wz - a * wy
    rotation[1, 2], rotation[2, 1] = b * wy * wz - a * wx, b * wy * wz + a * wx
    moved = np.empty((3, 4))
    for i in range(3):
        for j in range(4):
            moved[i, j] = (
                rotation[i, 0] * pose[0, j]
                + rotation[i, 1] * pose[1, j]
                + rotation[i, 2] * pose[2, j]
            )
        moved[i, 3] += tangent[i]
    _orthonormalise(moved)
    pose[:, :] = moved


@njit(cache=True, nogil=True, error_model="numpy")
def _orthonormalise(pose: Floats) -> None:
    """Make the rotation exact again: rounding errors double with every transposed inverse."""
    a, b, c = pose[0, :3], pose[1, :3], pose[2, :3]
    a /= np.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])
    c[0] = a[1] * b[2] - a[2] * b[1]
    c[1] = a[2] * b[0] - a[0] * b[2]
    c[2] = a[0] * b[1] - a[1] * b[0]
    c /= np.sqrt(c[0] * c[0] + c[1] * c[1] + c[2] * c[2])
    b[0] = c[1] * a[2] - c[2] * a[1]
    b[1] = c[2] * a[0] - c[0] * a[2]
    b[2] = c[0] * a[1] - c[1] * a[0]


@njit(cache=True, nogil=True, error_model="numpy")
def _solve6(a: Floats, b: Floats) -> bool:
    """Solve a symmetric positive 6×6 system by Cholesky; False where it is not positive."""
    for j in range(6):
        for k in range(j):
            a[j, j] -= a[j, k] * a[j, k]
        if a[j, j] <= 0.0:
            return False
        a[j, j] = np.sqrt(a[j, j])
        for i in range(j + 1, 6):
            for k in range(j):
                a[i, j] -= a[i, k] * a[j, k]
            a[i, j] /= a[j, j]
    for i in range(6):
        for k in range(i):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    for i in range(5, -1, -1):
        for k in range(i + 1, 6):
            b[i] -= a[k, i] * b[k]
        b[i] /= a[i, i]
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def refined_pose(
    pose: Floats, points: Floats, rays: Floats, focal: float, huber: float, iterations: int
) -> Floats:
    """Gauss-Newton with Huber weights for one pose (3×4) and fixed points."""
    current = pose.copy()
    jc, jp, residual = np.zeros((2, 6)), np.zeros((2, 3)), np.zeros(2)
    system, rhs = np.zeros((6, 6)), np.zeros(6)
    for _ in range(iterations):
        system[:], rhs[:] = 0.0, 0.0
        for p in range(len(points)):
            if not _jacobian(current, points[p], rays[p], focal, huber, jc, jp, residual):
                continue
            for i in range(6):
                rhs[i] -= jc[0, i] * residual[0] + jc[1, i] * residual[1]
                for j in range(i + 1):
                    system[i, j] += jc[0, i] * jc[0, j] + jc[1, i] * jc[1, j]
        for i in range(6):
            system[i, i] *= 1.0 + 1e-9
        if not _solve6(system, rhs):
            break
        _retract(current, rhs)
        if np.sqrt((rhs * rhs).sum()) < 1e-8:
            break
    return current
