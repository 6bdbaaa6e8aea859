"""Two-view relations: essential and fundamental matrices, homographies, their residuals.

View `a` and view `b` are related by `T_b_a`; epipolar matrices satisfy x_bᵀ·E·x_a = 0 and
homographies map a to b: x_b ~ H·x_a. Points are n×2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from litescene.core import Camera
from litescene.geometry.rigid import rigid
from litescene.geometry.rotation import Array, skew


def essential_from_pose(T_b_a: ArrayLike) -> Array:
    """Essential matrix 3×3, [t]x·R, between rays of view a and rays of view b."""
    T_b_a = np.asarray(T_b_a, np.float64)
    return skew(T_b_a[..., :3, 3]) @ T_b_a[..., :3, :3]


def fundamental_from_pose(T_b_a: ArrayLike, camera_a: Camera, camera_b: Camera) -> Array:
    """Fundamental matrix 3×3 between undistorted pixels of view a and of view b."""
    K_a, K_b = np.linalg.inv(camera_a.K), np.linalg.inv(camera_b.K)
    return K_b.T @ essential_from_pose(T_b_a) @ K_a


def sampson_distance(F: ArrayLike, points_a: ArrayLike, points_b: ArrayLike) -> Array:
    """First-order distance of matches to the epipolar relation, n, in the points' units.

    |x_bᵀFx_a| / sqrt((Fx_a)₁² + (Fx_a)₂² + (Fᵀx_b)₁² + (Fᵀx_b)₂²), Hartley & Zisserman 11.9.
    At the epipoles, where the relation says nothing, it is 0.
    """
    F = np.asarray(F, np.float64)
    a, b = _homogeneous(points_a), _homogeneous(points_b)
    lines_b, lines_a = a @ F.T, b @ F
    residual = np.abs((b * lines_b).sum(axis=1))
    slope = np.sqrt(np.square(lines_b[:, :2]).sum(axis=1) + np.square(lines_a[:, :2]).sum(axis=1))
    return np.where(slope > 0, residual / np.where(slope > 0, slope, 1.0), 0.0)


def symmetric_transfer_distance(H: ArrayLike, points_a: ArrayLike, points_b: ArrayLike) -> Array:
    """sqrt(|b - H·a|² + |a - H⁻¹·b|²) of matches, n, in the points' units.

    Infinite where a point is mapped to infinity.
    """
    H = np.asarray(H, np.float64)
    forward = transfer(H, points_a) - np.asarray(points_b, np.float64)
    backward = transfer(np.linalg.inv(H), points_b) - np.asarray(points_a, np.float64)
    return np.sqrt(np.square(forward).sum(axis=1) + np.square(backward).sum(axis=1))


def transfer(H: ArrayLike, points: ArrayLike) -> Array:
    """Points n×2 mapped by a homography; infinite where the image is at infinity."""
    mapped = _homogeneous(points) @ np.asarray(H, np.float64).T
    finite = np.abs(mapped[:, 2:]) > 1e-12
    return np.where(finite, mapped[:, :2] / np.where(finite, mapped[:, 2:], 1.0), np.inf)


def poses_from_essential(E: ArrayLike) -> Array:
    """The four candidates `T_b_a` (4×4×4) of an essential matrix, with |t| = 1.

    Which one is right, the depths of triangulated points tell (all but one put points behind
    a camera).
    """
    U, _, Vt = np.linalg.svd(np.asarray(E, np.float64))
    U, Vt = U * np.sign(np.linalg.det(U)), Vt * np.sign(np.linalg.det(Vt))
    W = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    rotations = np.stack([U @ W @ Vt, U @ W @ Vt, U @ W.T @ Vt, U @ W.T @ Vt])
    t = U[:, 2]
    return rigid(rotations, np.stack([t, -t, t, -t]))


def poses_from_homography(H: ArrayLike) -> tuple[Array, Array]:
    """Candidates `T_b_a` (m×4×4) and plane normals in view a (m×3) of a homography of rays.

    `H` maps normalised image coordinates (K_b⁻¹·H_pixels·K_a). Translations are in units of
    the distance to the plane. By the method of Malis and Vargas as in OpenCV.
    """
    import cv2

    _, rotations, translations, normals = cv2.decomposeHomographyMat(
        np.asarray(H, np.float64), np.eye(3)
    )
    poses = rigid(np.stack(rotations), np.stack(translations)[:, :, 0])
    return poses, np.stack(normals)[:, :, 0]


def _homogeneous(points: ArrayLike) -> Array:
    points = np.asarray(points, np.float64)
    return np.concatenate([points, np.ones((len(points), 1))], axis=1)
