"""Projection of points to pixels and back, with the distortion models of `Camera`.

`radtan` is the Brown-Conrady model with rational terms, `fisheye` the one of Kannala and Brandt,
both with OpenCV's coefficients. Both are polynomials that fold back on themselves far from the
centre; what lies beyond the first fold is called invalid instead of being projected wrongly.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from litescene.core import Camera
from litescene.geometry.rotation import Array

_MIN_DEPTH = 1e-9
_WIDEST_ANGLE = np.radians(89.5)
"""Rays with z = 1 end here: fisheye pixels further out are clamped to this angle."""
_WIDEST_SLOPE = 2.0
"""Rectified pictures reach at most atan(2) = 63° to each side."""
_NEWTON_STEPS = 12
_LONGEST_STEP = 0.1


def project(camera: Camera, points: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    """Pixels ...×2 of points ...×3 in camera coordinates, and which of them are valid.

    Valid means in front of the camera and inside the range of the distortion model; whether a
    pixel lies inside the picture is `inside`'s question. Pixels of invalid points are finite
    but mean nothing.
    """
    points = np.asarray(points, np.float64)
    z = points[..., 2]
    front = z > _MIN_DEPTH
    rays = points[..., :2] / np.where(front, z, 1.0)[..., None]
    distorted, regular = distort(camera, rays)
    return to_pixels(camera, distorted), front & regular


def inside(camera: Camera, pixels: ArrayLike, margin: float = 0.0) -> NDArray[np.bool_]:
    """Which pixels ...×2 lie in the picture, at least `margin` pixels from its border."""
    pixels = np.asarray(pixels, np.float64)
    x, y = pixels[..., 0], pixels[..., 1]
    low, right, bottom = margin - 0.5, camera.width - 0.5 - margin, camera.height - 0.5 - margin
    result: NDArray[np.bool_] = (x >= low) & (x < right) & (y >= low) & (y < bottom)
    return result


def unproject(camera: Camera, pixels: ArrayLike) -> Array:
    """Rays ...×3 with z = 1 in camera coordinates of (distorted) pixels ...×2."""
    rays = undistort_points(camera, pixels)
    return np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1)


def to_pixels(camera: Camera, rays: ArrayLike) -> Array:
    """Pixels ...×2 of normalised image coordinates ...×2 by the intrinsic matrix alone."""
    focal, centre = (camera.fx, camera.fy), (camera.cx, camera.cy)
    return np.asarray(rays, np.float64) * focal + centre


def distort(camera: Camera, rays: ArrayLike) -> tuple[Array, NDArray[np.bool_]]:
    """Distorted normalised coordinates ...×2 of ideal ones, and which are in the model's range."""
    rays = np.asarray(rays, np.float64)
    if camera.model == "none":
        return rays, np.ones(rays.shape[:-1], bool)
    r = np.linalg.norm(rays, axis=-1)
    if camera.model == "fisheye":
        angle = np.arctan(r)
        limit = _last_radius("fisheye", camera.distortion)
        theta = np.minimum(angle, limit)
        bent = theta * _fisheye_factor(camera.distortion, theta)
        factor = np.where(r > 0, bent / np.where(r > 0, r, 1.0), 1.0)
        return rays * factor[..., None], angle <= limit
    regular = r <= _last_radius("radtan", camera.distortion)
    bounded = np.where(regular[..., None], rays, 0.0)
    return np.where(regular[..., None], _radtan(camera.distortion, bounded)[0], rays), regular


def undistort_points(camera: Camera, pixels: ArrayLike) -> Array:
    """Normalised image coordinates ...×2 (ideal rays, z = 1) of distorted pixels ...×2.

    The radial part is inverted by a table up to the model's first fold, then Newton's method
    finishes it. Pixels that no ray reaches get the nearest ray at the fold.
    """
    focal, centre = (camera.fx, camera.fy), (camera.cx, camera.cy)
    distorted = (np.asarray(pixels, np.float64) - centre) / np.asarray(focal)
    if camera.model == "none":
        return distorted
    r_distorted = np.linalg.norm(distorted, axis=-1)
    known, bent = _radial_table(camera.model, camera.distortion)
    r = np.interp(r_distorted, bent, known)
    if camera.model == "fisheye":
        r = np.tan(_invert_fisheye(camera.distortion, r, r_distorted))
    scale = np.where(r_distorted > 0, r / np.where(r_distorted > 0, r_distorted, 1.0), 1.0)
    rays = distorted * scale[..., None]
    if camera.model == "fisheye":
        return rays
    reached = (r_distorted < bent[-1])[..., None]
    return np.where(reached, _invert_radtan(camera.distortion, rays, distorted), rays)


def rectified(camera: Camera) -> tuple[Camera, NDArray[np.float32], NDArray[np.float32]]:
    """The distortion-free camera of the same size, and the maps H×W that `cv2.remap` takes.

    The new view is the largest inside the old one that has no empty corners, with the old
    ratio of the focal lengths; a camera without distortion keeps its intrinsics.
    """
    ideal = camera if camera.model == "none" else _inner_camera(camera)
    x, y = np.meshgrid(np.arange(ideal.width), np.arange(ideal.height))
    rays = undistort_points(ideal, np.stack([x, y], axis=-1))
    source = to_pixels(camera, distort(camera, rays)[0]).astype(np.float32)
    return ideal, np.ascontiguousarray(source[..., 0]), np.ascontiguousarray(source[..., 1])


def _inner_camera(camera: Camera) -> Camera:
    width, height = camera.width - 1, camera.height - 1
    xs, ys = np.linspace(0, width, 64), np.linspace(0, height, 64)
    left, right, top, bottom = (
        np.clip(undistort_points(camera, np.stack(np.broadcast_arrays(x, y), -1)), -2.0, 2.0)
        for x, y in ((0, ys), (width, ys), (xs, 0), (xs, height))
    )
    if camera.fx < 0:
        left, right = right, left
    if camera.fy < 0:
        top, bottom = bottom, top
    x0, x1 = left[:, 0].max(), right[:, 0].min()
    y0, y1 = top[:, 1].max(), bottom[:, 1].min()
    zoom = max(width / (x1 - x0) / abs(camera.fx), height / (y1 - y0) / abs(camera.fy))
    fx, fy = float(camera.fx * zoom), float(camera.fy * zoom)
    return replace(
        camera,
        fx=fx,
        fy=fy,
        cx=float(width / 2 - fx * (x0 + x1) / 2),
        cy=float(height / 2 - fy * (y0 + y1) / 2),
        model="none",
        distortion=(),
    )


def _fisheye_factor(k: tuple[float, ...], theta: Array) -> Array:
    t2 = theta * theta
    return 1.0 + t2 * (k[0] + t2 * (k[1] + t2 * (k[2] + t2 * k[3])))


def _invert_fisheye(k: tuple[float, ...], start: Array, bent: Array) -> Array:
    limit = _last_radius("fisheye", k)
    theta = start
    for _ in range(_NEWTON_STEPS):
        t2 = theta * theta
        slope = 1.0 + t2 * (3 * k[0] + t2 * (5 * k[1] + t2 * (7 * k[2] + t2 * 9 * k[3])))
        step = (theta * _fisheye_factor(k, theta) - bent) / np.maximum(slope, 1e-3)
        theta = np.clip(theta - step, 0.0, limit)
    return theta


def _radtan(k: tuple[float, ...], rays: Array) -> tuple[Array, Array]:
    """Distorted coordinates ...×2 and their Jacobian ...×2×2."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*k, *(0.0,) * (8 - len(k)))
    x, y = rays[..., 0], rays[..., 1]
    r2 = x * x + y * y
    over = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    under = 1.0 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = over / under
    # d radial / d r2
    slope = (k1 + r2 * (2 * k2 + r2 * 3 * k3) - radial * (k4 + r2 * (2 * k5 + r2 * 3 * k6))) / under
    u = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    v = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    cross = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    jacobian = np.empty((*rays.shape, 2))
    jacobian[..., 0, 0] = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    jacobian[..., 0, 1] = jacobian[..., 1, 0] = cross
    jacobian[..., 1, 1] = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return np.stack([u, v], axis=-1), jacobian


def _invert_radtan(k: tuple[float, ...], start: Array, distorted: Array) -> Array:
    limit = _last_radius("radtan", k)
    rays = start
    for _ in range(_NEWTON_STEPS):
        value, J = _radtan(k, rays)
        error = value - distorted
        det = J[..., 0, 0] * J[..., 1, 1] - J[..., 0, 1] * J[..., 1, 0]
        det = np.maximum(det, 1e-3)
        dx = (J[..., 1, 1] * error[..., 0] - J[..., 0, 1] * error[..., 1]) / det
        dy = (J[..., 0, 0] * error[..., 1] - J[..., 1, 0] * error[..., 0]) / det
        step = np.stack([dx, dy], axis=-1)
        # Near the fold the Jacobian is almost singular: steps are kept short.
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        rays = rays - step * np.minimum(1.0, _LONGEST_STEP / np.maximum(length, 1e-12))
        r = np.linalg.norm(rays, axis=-1, keepdims=True)
        rays = rays * np.minimum(1.0, limit / np.maximum(r, 1e-12))
    return rays


def _radial(model: str, k: tuple[float, ...], r: Array) -> Array:
    if model == "fisheye":
        return r * _fisheye_factor(k, r)
    k1, k2, _, _, k3, k4, k5, k6 = (*k, *(0.0,) * (8 - len(k)))
    r2 = r * r
    return r * (1 + r2 * (k1 + r2 * (k2 + r2 * k3))) / (1 + r2 * (k4 + r2 * (k5 + r2 * k6)))


@lru_cache(maxsize=64)
def _last_radius(model: str, k: tuple[float, ...]) -> float:
    """Largest radius (radtan: slope, fisheye: angle) up to which the radial curve rises."""
    widest = _WIDEST_ANGLE if model == "fisheye" else np.tan(_WIDEST_ANGLE)
    # Angles are sampled evenly, so that slopes are dense where pictures are.
    angles = np.linspace(0.0, _WIDEST_ANGLE, 20001)
    r = angles if model == "fisheye" else np.tan(angles)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        rising = np.diff(_radial(model, k, r)) > 0
    return float(widest if rising.all() else r[max(int(np.argmin(rising)), 1)])


@lru_cache(maxsize=64)
def _radial_table(model: str, k: tuple[float, ...]) -> tuple[Array, Array]:
    limit = _last_radius(model, k)
    angle = np.linspace(0.0, limit if model == "fisheye" else np.arctan(limit), 2048)
    known = angle if model == "fisheye" else np.tan(angle)
    return known, _radial(model, k, known)
