"""Waiting for enough parallax: follows corners from a first frame until two views make a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.core import Camera
from litescene.geometry import undistort_points
from litescene.scene.features import follow, new_corners, on_mask
from litescene.scene.initialization import TwoViewStart, two_view_start
from litescene.scene.settings import OdometrySettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pixels = NDArray[np.float32]
Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_KEPT = 0.5
"""With fewer of the first corners left than this share, the newest frame becomes the first."""
_STILL = 0.01
"""Median shift (share of the focal length) below which a start is not worth trying."""
_HALVES = 16
"""Frames in which the half of a motion is looked for, at most about so many."""
_MOST_SIGHTINGS = 300
"""Frames remembered while the camera stands; older ones get no pose when it starts to move."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Corners of one frame since the first: `record` of the frame, `corners` m, `pixels` m×2."""

    record: int
    corners: Ints
    pixels: Pixels


@dataclass(frozen=True, slots=True)
class Started:
    """Two views that make a map: the first and the last of `sightings`.

    Row i of `two_views` belongs to corner `sightings[-1].corners[i]` of the first frame, whose
    picture is `first_grey`.
    """

    two_views: TwoViewStart
    sightings: list[Sighting]
    first_grey: Grey


class Starter:
    """Feed frames until one of them gives a start."""

    def __init__(
        self, camera: Camera, focal: float, cell: int, settings: OdometrySettings, seed: int
    ) -> None:
        self._camera = camera
        self._focal = focal
        self._cell = cell
        self._settings = settings
        self._seed = seed
        self._previous: Grey | None = None
        self._sightings: list[Sighting] = []
        self._first_grey: Grey = np.zeros((0, 0), np.uint8)

    @property
    def corners(self) -> int:
        """Corners followed at present."""
        return len(self._sightings[-1].corners) if self._sightings else 0

    def feed(self, record: int, grey: Grey, mask: Mask | None) -> Started | None:
        """Follow the corners into the frame of `record`; a start, when there is one."""
        previous, self._previous = self._previous, grey
        if previous is None:
            self._restart(record, grey, mask)
            return None
        sighting = self._followed(record, previous, grey, mask)
        first = self._sightings[0]
        least = max(self._settings.least_start, _KEPT * len(first.corners))
        if len(sighting.corners) < least:
            self._restart(record, grey, mask)
            return None
        self._sightings.append(sighting)
        if len(self._sightings) > _MOST_SIGHTINGS:
            del self._sightings[1]
        before = first.pixels[sighting.corners]
        shift = np.linalg.norm(sighting.pixels - before, axis=1)
        if np.median(shift) < _STILL * self._focal:
            return None
        rays, now = (undistort_points(self._camera, p) for p in (before, sighting.pixels))
        start = two_view_start(
            rays, now, self._focal, self._settings, self._seed, between=self._between
        )
        return None if start is None else Started(start, self._sightings, self._first_grey)

    def _between(self) -> Floats:
        """Rays of the corners still followed where they had moved about half as far as now."""
        first, last = self._sightings[0], self._sightings[-1]
        before = first.pixels[last.corners]
        half = (last.pixels - before) / 2
        step = 1 + len(self._sightings) // _HALVES
        seen = [
            sighting.pixels[np.searchsorted(sighting.corners, last.corners)]
            for sighting in self._sightings[1:-1:step]
        ]
        if not seen:
            return undistort_points(self._camera, before)
        off = [np.median(np.linalg.norm(pixels - before - half, axis=1)) for pixels in seen]
        return undistort_points(self._camera, seen[int(np.argmin(off))])

    def _restart(self, record: int, grey: Grey, mask: Mask | None) -> None:
        self._first_grey = grey
        pixels = new_corners(grey, np.zeros((0, 2), np.float32), mask, self._cell)
        self._sightings = [Sighting(record, np.arange(len(pixels)), pixels)]

    def _followed(self, record: int, previous: Grey, grey: Grey, mask: Mask | None) -> Sighting:
        last = self._sightings[-1]
        predicted = last.pixels
        if len(self._sightings) > 1:
            older = self._sightings[-2]
            rows = np.searchsorted(older.corners, last.corners)
            predicted = last.pixels + (last.pixels - older.pixels[rows])
        found, good = follow(previous, grey, last.pixels, predicted)
        good &= on_mask(mask, found)
        return Sighting(record, last.corners[good], found[good])
