"""One frame against the map: where its corners should be, and the pose that they give."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import Camera
from litescene.geometry import invert, project, transform_points, undistort_points
from litescene.scene.bundle_adjustment import refine_pose
from litescene.scene.bundle_kernels import reprojection_errors
from litescene.scene.initialization import ransac_parameters
from litescene.scene.landmarks import Landmarks
from litescene.scene.settings import OdometrySettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]

_LONGEST_LEAP = 0.2
"""A predicted move of more than this share of the picture's width is not believed."""
_LEAST_AGREEMENT = 0.5
"""Below this share of inliers the robust fit may sit in a wrong minimum: RANSAC is asked."""


def predict(
    camera: Camera, landmarks: Landmarks, ids: Ints, pixels: Pixels, old: Floats, new: Floats
) -> Pixels:
    """Where corners at `pixels` (n×2) will be when the camera moves from pose `old` to `new`.

    Corners without a landmark are taken to be at the median depth of those with one.
    """
    known = landmarks.known[ids]
    world = landmarks.points[ids].copy()
    depths = transform_points(invert(old), world[known])[:, 2]
    depth = float(np.median(depths)) if len(depths) else 1.0
    rays = undistort_points(camera, pixels[~known])
    world[~known] = transform_points(old, np.hstack([rays, np.ones((len(rays), 1))]) * depth)
    expected, valid = project(camera, transform_points(invert(new), world))
    near = np.abs(expected - pixels).max(axis=1) < _LONGEST_LEAP * camera.width
    return np.where((valid & near)[:, None], expected, pixels).astype(np.float32)


def fit_pose(
    guess: Floats, points: Floats, rays: Floats, focal: float, settings: OdometrySettings, seed: int
) -> tuple[Floats, Mask]:
    """Pose (4×4 T_world_camera) from world `points` n×3 seen at `rays` n×2, and its inliers.

    A robust fit from `guess`; where too few points agree with it, perspective-n-point in RANSAC
    finds another start, and the better of the two counts.
    """
    pose, inliers = _polish(invert(guess)[:3], points, rays, focal, settings)
    if inliers.sum() < max(settings.least_inliers, _LEAST_AGREEMENT * len(points)):
        start = ransac_pose(points, rays, focal, settings, seed)
        if start is not None:
            other, others = _polish(invert(start)[:3], points, rays, focal, settings)
            if others.sum() > inliers.sum():
                pose, inliers = other, others
    square = np.eye(4)
    square[:3] = pose
    return invert(square), inliers


def ransac_pose(
    points: Floats, rays: Floats, focal: float, settings: OdometrySettings, seed: int
) -> Floats | None:
    """Pose (4×4 T_world_camera) that most of `points` n×3 at `rays` n×2 agree on, or None."""
    if len(points) < 6:
        return None
    parameters = ransac_parameters(seed, settings.inlier / focal)
    found, _, rotation, translation, _ = cv2.solvePnPRansac(
        points, rays, np.eye(3), None, params=parameters
    )
    if not found:
        return None
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(rotation)[0]
    pose[:3, 3] = translation[:, 0]
    return invert(pose) if np.all(np.isfinite(pose)) else None


def _polish(
    pose: Floats, points: Floats, rays: Floats, focal: float, settings: OdometrySettings
) -> tuple[Floats, Mask]:
    """Fit to all points with Huber's cost, then to those that agree."""
    pose, errors = refine_pose(pose, points, rays, focal, huber=settings.huber)
    inliers = errors < settings.inlier
    if inliers.sum() >= 4 and not inliers.all():
        pose, _ = refine_pose(pose, points[inliers], rays[inliers], focal, huber=settings.huber)
        inliers = reprojection_errors(pose, points, rays, focal) < settings.inlier
    return pose, np.asarray(inliers)
