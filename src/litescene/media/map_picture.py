"""Pictures of a labelled map and a trajectory, from above and at an angle."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import Image, SceneMap, Trajectory

Paint = Literal["labels", "colors"]
Points = NDArray[np.float64]

BACKGROUND = (250, 250, 248)
PATH = (225, 45, 45)
START = (30, 140, 60)


def level_rotation(trajectory: Trajectory) -> NDArray[np.float64]:
    """Rotation that turns the world so that the mean camera's down axis is +y.

    A monocular world hangs on its first camera, which may look up or down a little; cameras on
    vehicles are level on average.
    """
    if len(trajectory) == 0:
        return np.eye(3)
    down = trajectory.poses[:, :3, 1].mean(0)
    down /= np.linalg.norm(down)
    axis = np.cross(down, [0.0, 1.0, 0.0])
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:
        return np.eye(3)
    angle = np.arctan2(sine, down[1])
    rotation, _ = cv2.Rodrigues(axis / sine * angle)
    return np.asarray(rotation, np.float64)


def _colors(scene_map: SceneMap, paint: Paint) -> NDArray[np.uint8]:
    if paint == "colors":
        return scene_map.colors
    return scene_map.taxonomy.palette[scene_map.labels]


def _bounds(points: Points, path: Points) -> tuple[Points, Points]:
    """Box around the path and the bulk of the points; far outliers do not shrink the picture."""
    parts = [path] if len(path) else []
    if len(points):
        parts += [np.percentile(points, q, axis=0)[None] for q in (3, 97)]
    both = np.concatenate(parts) if parts else np.zeros((1, 2))
    low, high = both.min(0), both.max(0)
    margin = 0.06 * max(float((high - low).max()), 1e-6)
    return low - margin, high + margin


class _Sheet:
    """A canvas that knows where plane coordinates go."""

    def __init__(self, points: Points, path: Points, width: int, height: int) -> None:
        low, high = _bounds(points, path)
        self.scale = float(min(width / (high[0] - low[0]), height / (high[1] - low[1])))
        self.offset = np.array([width / 2, height / 2]) - self.scale * (low + high) / 2
        self.image = np.full((height, width, 3), BACKGROUND, np.uint8)

    def pixels(self, plane: Points) -> NDArray[np.int32]:
        """n×2 plane coordinates to n×2 pixel coordinates (x, y)."""
        return np.rint(plane * self.scale + self.offset).astype(np.int32)

    def scatter(self, plane: Points, colors: NDArray[np.uint8], size: int) -> None:
        """Paint squares of `size` pixels; later points lie over earlier ones."""
        height, width = self.image.shape[:2]
        at = self.pixels(plane)
        for dy in range(size):
            for dx in range(size):
                x, y = at[:, 0] + dx, at[:, 1] + dy
                inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
                self.image[y[inside], x[inside]] = colors[inside]

    def line(self, plane: Points) -> None:
        """Draw the path with its start."""
        if len(plane) == 0:
            return
        at = self.pixels(plane).reshape(-1, 1, 2)
        cv2.polylines(self.image, [at], False, PATH, 2, cv2.LINE_AA)
        cv2.circle(self.image, tuple(map(int, at[0, 0])), 5, START, -1, cv2.LINE_AA)
        cv2.circle(self.image, tuple(map(int, at[-1, 0])), 5, PATH, -1, cv2.LINE_AA)


def draw_map_from_above(
    scene_map: SceneMap,
    trajectory: Trajectory,
    width: int = 800,
    height: int = 600,
    paint: Paint = "labels",
) -> Image:
    """Top view: forward of the first camera is up, H×W×3 uint8; low points first."""
    level = level_rotation(trajectory)
    points = scene_map.points.astype(np.float64) @ level.T
    path = trajectory.positions @ level.T
    order = np.argsort(-points[:, 1], kind="stable")
    plane = points[order][:, [0, 2]] * [1, -1]
    line = path[:, [0, 2]] * [1, -1]
    sheet = _Sheet(plane, line, width, height)
    sheet.scatter(plane, _colors(scene_map, paint)[order], 2)
    sheet.line(line)
    return sheet.image


def draw_map_at_angle(
    scene_map: SceneMap,
    trajectory: Trajectory,
    width: int = 800,
    height: int = 600,
    paint: Paint = "labels",
    elevation: float = 35.0,
    azimuth: float = 25.0,
) -> Image:
    """Orthographic view from behind and above (angles in degrees); far points first."""
    level = level_rotation(trajectory)
    turn, tilt = np.radians(azimuth), np.radians(elevation)
    about_y = np.array(
        [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    )
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]]
    )
    view = about_x @ about_y @ level
    points = scene_map.points.astype(np.float64) @ view.T
    path = trajectory.positions @ view.T
    order = np.argsort(-points[:, 2], kind="stable")
    sheet = _Sheet(points[:, :2], path[:, :2], width, height)
    sheet.scatter(points[order, :2], _colors(scene_map, paint)[order], 2)
    sheet.line(path[:, :2])
    return sheet.image
