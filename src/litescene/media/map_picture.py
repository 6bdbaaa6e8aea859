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

_FINER = 2
_COVER = 0.6
"""Share of the sheet that all squares would cover side by side."""
_SQUARE = (_FINER, 6 * _FINER)
_DARKEST = 0.7
_FADE = 40.0
"""Step in depth, in pixels of the sheet, from which the shade grows no darker."""


def level_rotation(trajectory: Trajectory) -> NDArray[np.float64]:
    """Rotation that turns the world so that the mean camera's down axis is +y.

    A monocular world hangs on its first camera, which may look up or down a little; cameras on
    vehicles are level on average. Without a mean down axis nothing is turned.
    """
    down = trajectory.poses[:, :3, 1].sum(0)
    length = float(np.linalg.norm(down))
    if length < 1e-6 * max(len(trajectory), 1):
        return np.eye(3)
    down /= length
    axis = np.cross(down, [0.0, 1.0, 0.0])
    sine = float(np.linalg.norm(axis))
    if sine < 1e-9:  # level, or upside down
        return np.diag([np.sign(down[1]), np.sign(down[1]), 1.0])
    rotation, _ = cv2.Rodrigues(axis / sine * np.arctan2(sine, down[1]))
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
    """A canvas, drawn at twice its size and averaged, that knows where plane coordinates go."""

    def __init__(self, points: Points, path: Points, width: int, height: int) -> None:
        low, high = _bounds(points, path)
        self._size = (width, height)
        width, height = _FINER * width, _FINER * height
        self._scale = float(min(width / (high[0] - low[0]), height / (high[1] - low[1])))
        self._offset = np.array([width / 2, height / 2]) - self._scale * (low + high) / 2
        self._image = np.full((height, width, 3), BACKGROUND, np.uint8)
        self._depth = np.full((height, width), np.inf, np.float32)

    def scatter(self, plane: Points, depth: Points, colors: NDArray[np.uint8]) -> None:
        """Paint points as squares, the nearer (smaller depth) over the farther, then shade them.

        The squares are as large as it takes to cover a good part of the sheet.
        """
        height, width = self._depth.shape
        at = self._pixels(plane)
        inside = np.all((at >= 0) & (at < (width, height)), axis=1)
        order = np.flatnonzero(inside)[np.argsort(-depth[inside], kind="stable")]
        at, depth, colors = at[order], depth[order], colors[order]
        if not len(at):
            return
        size = int(np.clip(round(np.sqrt(_COVER * width * height / len(at))), *_SQUARE))
        for dy in range(size):
            for dx in range(size):
                x = np.minimum(at[:, 0] + dx, width - 1)
                y = np.minimum(at[:, 1] + dy, height - 1)
                self._image[y, x] = colors
                self._depth[y, x] = depth
        self._shade(size)

    def line(self, plane: Points) -> None:
        """Draw the path over everything, with a light edge, its start and its end."""
        if len(plane) == 0:
            return
        at = self._pixels(plane)
        ends = [tuple(map(int, at[0])), tuple(map(int, at[-1]))]
        for colors, more in (((BACKGROUND,) * 3, _FINER), ((START, PATH, PATH), 0)):
            width = 3 * _FINER + 2 * more
            cv2.polylines(self._image, [at.reshape(-1, 1, 2)], False, colors[1], width, cv2.LINE_AA)
            for place, color in ((ends[1], colors[2]), (ends[0], colors[0])):
                cv2.circle(self._image, place, 5 * _FINER + more, color, -1, cv2.LINE_AA)

    def finished(self) -> Image:
        """The sheet at its own size, H×W×3."""
        return np.asarray(cv2.resize(self._image, self._size, interpolation=cv2.INTER_AREA))

    def _pixels(self, plane: Points) -> NDArray[np.int32]:
        """n×2 plane coordinates to n×2 pixels (x, y); what is far outside stays outside."""
        return np.rint(np.clip(plane * self._scale + self._offset, -1e6, 1e6)).astype(np.int32)

    def _shade(self, size: int) -> None:
        """Darken what lies behind its surroundings, so that shapes stand out.

        Eye-dome lighting (Boucheny 2009) with four neighbours.
        """
        behind = np.zeros_like(self._depth)
        known = np.isfinite(self._depth)
        depth = np.where(known, self._depth, 0).astype(np.float32)
        for axis in (0, 1):
            for step in (-size, size):
                beside = np.roll(depth, step, axis)
                drop = np.where(np.roll(known, step, axis), depth - beside, 0)
                behind += np.clip(drop * self._scale / (_FINER * _FADE), 0, 1)
        shade = np.where(known, 1 - _DARKEST * behind / 4, 1).astype(np.float32)
        self._image = np.rint(self._image * shade[..., None]).astype(np.uint8)


def draw_map_from_above(
    scene_map: SceneMap,
    trajectory: Trajectory,
    width: int = 800,
    height: int = 600,
    paint: Paint = "labels",
) -> Image:
    """Top view: forward of the first camera is up, H×W×3 uint8; high points cover low ones."""
    level = level_rotation(trajectory)
    points = scene_map.points.astype(np.float64) @ level.T
    path = trajectory.positions @ level.T
    plane = points[:, [0, 2]] * [1, -1]
    line = path[:, [0, 2]] * [1, -1]
    sheet = _Sheet(plane, line, width, height)
    sheet.scatter(plane, points[:, 1], _colors(scene_map, paint))
    sheet.line(line)
    return sheet.finished()


def draw_map_at_angle(
    scene_map: SceneMap,
    trajectory: Trajectory,
    width: int = 800,
    height: int = 600,
    paint: Paint = "labels",
    elevation: float = 35.0,
    azimuth: float = 25.0,
) -> Image:
    """Orthographic view from behind and above (angles in degrees); near points cover far ones."""
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
    sheet = _Sheet(points[:, :2], path[:, :2], width, height)
    sheet.scatter(points[:, :2], points[:, 2], _colors(scene_map, paint))
    sheet.line(path[:, :2])
    return sheet.finished()
