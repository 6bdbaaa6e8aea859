"""A map with its keyframes as a COLMAP text model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from litescene.core import Camera
from litescene.geometry import (
    invert,
    matrix_to_quaternion_wxyz,
    project,
    transform_points,
)
from litescene.media.atomic import write_atomic

_COLMAP_MODELS = {("none", 0): "PINHOLE", ("radtan", 4): "OPENCV", ("fisheye", 4): "OPENCV_FISHEYE"}


@dataclass(frozen=True, slots=True)
class Tracks:
    """Which points were seen where: k observations.

    `images` k index the keyframes, `points` k the points; `pixels` k×2 are the positions in the
    pictures (pixel centres are integers).
    """

    images: NDArray[np.int64]
    points: NDArray[np.int64]
    pixels: NDArray[np.float64]

    def __post_init__(self) -> None:
        k = len(self.images)
        if self.points.shape != (k,) or self.pixels.shape != (k, 2):
            raise ValueError(
                f"tracks need {k} points and {k}×2 pixels, not {self.points.shape} and "
                f"{self.pixels.shape}"
            )


def write_colmap(
    folder: Path | str,
    camera: Camera,
    names: Sequence[str],
    poses: NDArray[np.float64],
    points: ArrayLike,
    colors: NDArray[np.uint8],
    tracks: Tracks | None = None,
) -> None:
    """Write `cameras.txt`, `images.txt` and `points3D.txt` into `folder`.

    `names` and `poses` n×4×4 (T_world_camera) are the keyframes', `points` m×3 and `colors` m×3
    RGB the map's. COLMAP's files hold T_camera_world and pixel centres at 0.5, separate fields
    by spaces (a space in a name becomes `_`), and count from 1. Without tracks a point's error
    is -1, COLMAP's mark for unknown.
    """
    folder, points = Path(folder), np.asarray(points, np.float64)
    if len(names) != len(poses):
        raise ValueError(f"{len(names)} names but {len(poses)} poses")
    if tracks is None:
        tracks = Tracks(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2)))
    order = np.argsort(tracks.images, kind="stable")
    tracks = Tracks(tracks.images[order], tracks.points[order], tracks.pixels[order])
    starts = np.searchsorted(tracks.images, np.arange(len(names) + 1))
    write_atomic(folder / "cameras.txt", _cameras_text(camera))
    write_atomic(folder / "images.txt", _images_text(names, poses, tracks, starts))
    errors = _mean_errors(camera, poses, points, tracks)
    write_atomic(folder / "points3D.txt", _points_text(points, colors, errors, tracks, starts))


def _cameras_text(camera: Camera) -> str:
    k = camera.distortion if camera.model != "none" else ()
    model = _COLMAP_MODELS.get((camera.model, len(k)), "FULL_OPENCV")
    if model == "FULL_OPENCV":
        k = (*k, *(0.0,) * (8 - len(k)))
    values = (camera.fx, camera.fy, camera.cx + 0.5, camera.cy + 0.5, *k)
    numbers = " ".join(repr(float(v)) for v in values)
    return (
        "# CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]\n"
        f"1 {model} {camera.width} {camera.height} {numbers}\n"
    )


def _images_text(
    names: Sequence[str],
    poses: NDArray[np.float64],
    tracks: Tracks,
    starts: NDArray[np.intp],
) -> str:
    lines = ["# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then X Y POINT3D_ID ..."]
    T_camera_world = invert(poses)
    q = matrix_to_quaternion_wxyz(T_camera_world[:, :3, :3])
    rows = np.hstack([q, T_camera_world[:, :3, 3]]).tolist()
    pixels, ids = (tracks.pixels + 0.5).tolist(), (tracks.points + 1).tolist()
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        lines.append(f"{i + 1} {' '.join(f'{v:.12g}' for v in row)} 1 {name.replace(' ', '_')}")
        seen = range(int(starts[i]), int(starts[i + 1]))
        lines.append(" ".join(f"{pixels[j][0]:.3f} {pixels[j][1]:.3f} {ids[j]}" for j in seen))
    return "\n".join(lines) + "\n"


def _mean_errors(
    camera: Camera, poses: NDArray[np.float64], points: NDArray[np.float64], tracks: Tracks
) -> NDArray[np.float64]:
    """Mean reprojection error of every point in pixels, -1 where it was not seen."""
    T_camera_world = invert(poses)[tracks.images]
    local = transform_points(T_camera_world, points[tracks.points][:, None])[:, 0]
    distance = np.linalg.norm(project(camera, local)[0] - tracks.pixels, axis=1)
    views = np.bincount(tracks.points, minlength=len(points))
    total = np.bincount(tracks.points, distance, minlength=len(points))
    return np.where(views > 0, total / np.maximum(views, 1), -1.0)


def _points_text(
    points: NDArray[np.float64],
    colors: NDArray[np.uint8],
    errors: NDArray[np.float64],
    tracks: Tracks,
    starts: NDArray[np.intp],
) -> str:
    seen: dict[int, list[str]] = {}
    within = np.arange(len(tracks.images)) - starts[tracks.images]
    for image, point, index in zip(
        tracks.images.tolist(), tracks.points.tolist(), within.tolist(), strict=True
    ):
        seen.setdefault(point, []).append(f" {image + 1} {index}")
    lines = ["# POINT3D_ID X Y Z R G B ERROR then IMAGE_ID POINT2D_INDEX ..."]
    rows = zip(points.tolist(), colors.tolist(), errors.tolist(), strict=True)
    for i, ((x, y, z), (r, g, b), error) in enumerate(rows):
        track = "".join(seen.get(i, ()))
        lines.append(f"{i + 1} {x:.9g} {y:.9g} {z:.9g} {r} {g} {b} {error:.4g}{track}")
    return "\n".join(lines) + "\n"
