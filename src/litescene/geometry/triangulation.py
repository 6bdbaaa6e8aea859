"""Linear triangulation and the measures that judge a triangulated point.

Rays are normalised image coordinates ...×2 (z = 1), from `projection.undistort_points`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from litescene.core import Camera
from litescene.geometry.projection import project
from litescene.geometry.rigid import transform_points
from litescene.geometry.rotation import Array

_FAR = 1e-12
"""Smallest homogeneous coordinate of a unit 4-vector: points further away stay finite."""


def triangulate_two_views(T_b_a: ArrayLike, rays_a: ArrayLike, rays_b: ArrayLike) -> Array:
    """Points n×3 in view a of matches `rays_a`, `rays_b` n×2, given the pose `T_b_a`."""
    poses = np.stack([np.eye(4), np.asarray(T_b_a, np.float64)])
    rays = np.stack([np.asarray(rays_a, np.float64), np.asarray(rays_b, np.float64)])
    return triangulate(poses, rays)


def triangulate(
    T_camera_world: ArrayLike, rays: ArrayLike, visible: NDArray[np.bool_] | None = None
) -> Array:
    """World points n×3 from `rays` m×n×2 in m views with poses `T_camera_world` m×4×4.

    Direct linear transform (Hartley & Zisserman 12.2): the right singular vector of two rows
    per view. `visible` m×n leaves out views of single points; a point seen less than twice is
    a `ValueError`. Points at infinity come out very far away, never as NaN.
    """
    P = np.asarray(T_camera_world, np.float64)[:, :3]
    rays = np.asarray(rays, np.float64)
    if visible is not None and rays.shape[1] and visible.sum(axis=0).min() < 2:
        raise ValueError("every point must be seen by at least two views")
    if rays.shape[1] == 0:
        return np.zeros((0, 3))
    rows = rays[..., None] * P[:, None, 2:3] - P[:, None, :2]
    if visible is not None:
        rows = rows * visible[..., None, None]
    A = np.moveaxis(rows, 0, 1).reshape(rays.shape[1], -1, 4)
    X = np.linalg.svd(A, full_matrices=False)[2][:, 3]
    w = X[:, 3:]
    return X[:, :3] / np.where(np.abs(w) < _FAR, np.where(w < 0, -_FAR, _FAR), w)


def parallax_angles(centre_a: ArrayLike, centre_b: ArrayLike, points: ArrayLike) -> Array:
    """Angles in radians, n, under which points n×3 see the two camera centres."""
    points = np.asarray(points, np.float64)
    a, b = points - np.asarray(centre_a), points - np.asarray(centre_b)
    cross = np.linalg.norm(np.cross(a, b), axis=-1)
    return np.asarray(np.arctan2(cross, (a * b).sum(axis=-1)), np.float64)


def reprojection_errors(
    camera: Camera, T_camera_world: ArrayLike, points: ArrayLike, pixels: ArrayLike
) -> Array:
    """Distances in pixels, n, of observed `pixels` n×2 to projected world `points` n×3.

    Infinite for points that the camera cannot see in that direction (behind it).
    """
    projected, valid = project(camera, transform_points(T_camera_world, points))
    distance = np.linalg.norm(projected - np.asarray(pixels, np.float64), axis=-1)
    return np.where(valid, distance, np.inf)
