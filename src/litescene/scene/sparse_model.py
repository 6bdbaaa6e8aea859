"""The sparse map as a COLMAP model: keyframes, landmarks with colours, and who sees whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litescene.core import Camera, Image
from litescene.media.colmap_files import Tracks, write_colmap
from litescene.scene.keyframes import Keyframe, SparseMap


class LandmarkColors:
    """Colour of each landmark, from the newest keyframe that saw it."""

    def __init__(self) -> None:
        self._colors: NDArray[np.uint8] = np.zeros((0, 3), np.uint8)

    def see(self, keyframe: Keyframe, image: Image) -> None:
        """Take the colours of a keyframe's landmarks from its picture."""
        self._reserve(keyframe.ids)
        at = np.rint(keyframe.pixels).astype(np.intp)
        rows = at[:, 1].clip(0, image.shape[0] - 1)
        columns = at[:, 0].clip(0, image.shape[1] - 1)
        self._colors[keyframe.ids] = image[rows, columns]

    def of(self, ids: NDArray[np.int64]) -> NDArray[np.uint8]:
        """n×3 RGB of landmarks; black where no keyframe showed its picture."""
        self._reserve(ids)
        return self._colors[ids]

    def _reserve(self, ids: NDArray[np.int64]) -> None:
        needed = int(ids.max(initial=-1)) + 1
        if needed > len(self._colors):
            larger = np.zeros((max(needed, 2 * len(self._colors)), 3), np.uint8)
            larger[: len(self._colors)] = self._colors
            self._colors = larger


def write_sparse_model(
    folder: Path,
    camera: Camera,
    sparse: SparseMap,
    segment: int,
    name_of: Callable[[int], str],
    colors: LandmarkColors,
) -> None:
    """Write the keyframes of `segment` and the landmarks that two or more of them see.

    `name_of` gives the picture's name for a frame's index.
    """
    keyframes = [k for k in sparse.keyframes if k.segment == segment]
    seen = np.zeros(len(sparse.landmarks), np.int64)
    for keyframe in keyframes:
        seen[keyframe.ids] += 1
    chosen = np.flatnonzero(sparse.landmarks.known & (seen >= 2))
    place = np.full(len(seen), -1)
    place[chosen] = np.arange(len(chosen))
    images, points, pixels = [], [], []
    for number, keyframe in enumerate(keyframes):
        rows = place[keyframe.ids] >= 0
        images.append(np.full(int(rows.sum()), number))
        points.append(place[keyframe.ids[rows]])
        pixels.append(keyframe.pixels[rows].astype(np.float64))
    tracks = Tracks(
        np.concatenate(images) if images else np.zeros(0, np.int64),
        np.concatenate(points) if points else np.zeros(0, np.int64),
        np.concatenate(pixels) if pixels else np.zeros((0, 2)),
    )
    poses = np.stack([k.pose for k in keyframes]) if keyframes else np.zeros((0, 4, 4))
    write_colmap(
        folder,
        camera,
        [name_of(k.frame) for k in keyframes],
        poses,
        sparse.landmarks.points[chosen],
        colors.of(chosen),
        tracks,
    )
