"""Landmarks: points of the sparse map, kept as arrays that grow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Landmarks:
    """Every corner ever followed has an id here; it becomes a landmark when its depth is known.

    `points` n×3 (world), `known` n (depth known), `origin` n (keyframe that saw it first),
    `origin_rays` n×2 (where, in normalised coordinates).
    """

    def __init__(self) -> None:
        self._count = 0
        self._points = np.zeros((4096, 3))
        self._known = np.zeros(4096, bool)
        self._origin = np.zeros(4096, np.int64)
        self._origin_rays = np.zeros((4096, 2))

    def __len__(self) -> int:
        return self._count

    @property
    def points(self) -> Floats:
        """Positions in the world, n×3; meaningful where `known`."""
        return self._points[: self._count]

    @property
    def known(self) -> Mask:
        """Whether the position is known, n bool."""
        return self._known[: self._count]

    @property
    def origin(self) -> Ints:
        """Index of the keyframe that saw each first, n."""
        return self._origin[: self._count]

    @property
    def origin_rays(self) -> Floats:
        """Normalised image coordinates of the first sight, n×2."""
        return self._origin_rays[: self._count]

    def add(self, keyframe: int, rays: Floats) -> Ints:
        """Ids for corners first seen by `keyframe` at `rays` (n×2)."""
        first, count = self._count, len(rays)
        self._reserve(first + count)
        self._count += count
        ids = np.arange(first, first + count)
        self._origin[ids], self._origin_rays[ids] = keyframe, rays
        return ids

    def place(self, ids: Ints, points: Floats) -> None:
        """Give the landmarks `ids` their positions (n×3)."""
        self._points[ids] = points
        self._known[ids] = True

    def forget(self, ids: Ints) -> None:
        """Take the positions of `ids` back: their observations do not agree."""
        self._known[ids] = False

    def _reserve(self, count: int) -> None:
        capacity = len(self._known)
        if count <= capacity:
            return
        capacity = max(2 * capacity, count)
        for name in ("_points", "_known", "_origin", "_origin_rays"):
            old = getattr(self, name)
            new = np.zeros((capacity, *old.shape[1:]), old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)
