"""Settings of the odometry: few, with defaults that hold for cars, walkers and drones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OdometrySettings:
    """Thresholds of the odometry; lengths in the picture are pixels unless said otherwise."""

    features: int = 800
    """Cells that the picture is divided into; each may hold one new corner."""
    window: int = 10
    """Keyframes moved by local bundle adjustment."""
    anchors: int = 10
    """Older keyframes that hold the window in place, with fixed poses."""
    keyframe_parallax: float = 0.025
    """Median parallax (rotation removed, normalised image units) that asks for a keyframe."""
    keyframe_kept: float = 0.7
    """A keyframe is due when fewer than this share of the last one's landmarks are in view."""
    triangulation_degrees: float = 0.3
    """Least angle between the two rays of a new landmark."""
    inlier: float = 2.0
    """Largest reprojection error of an inlier."""
    huber: float = 1.0
    """Where the robust cost of poses and points becomes linear."""
    least_inliers: int = 25
    """Fewer inliers than this and the camera is lost."""
    least_recognised: int = 30
    """Inliers that make a relocalisation."""
    least_start: int = 60
    """Landmarks that a two-view start must give."""
    start_degrees: float = 1.0
    """Least median angle between the rays of a two-view start."""
    restart_seconds: float = 1.0
    """Lost for longer than this, a fresh start is tried beside relocalisation."""
