"""Monocular keyframe odometry: where the camera was, frame by frame, and a sparse map.

Corners are followed by Lucas-Kanade; a two-view start makes the first landmarks; every frame's
pose is the robust fit of its corners to them; keyframes triangulate new landmarks and adjust the
last ones together; a place seen again closes a loop. Scale is arbitrary: the median depth at the
start is 1.

States are reported as they are. `initializing`: no map yet. `tracking`: a pose from landmarks.
`lost`: no pose; every frame then tries to recognise a keyframe, and after a while a fresh start is
tried beside it, which begins a new segment with its own origin and scale. Segments are never
joined.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.core import Camera, Frame, SegmentationMap
from litescene.geometry import invert, undistort_points
from litescene.scene.features import (
    cell_size,
    follow,
    grey_picture,
    lens_mask,
    new_corners,
    on_mask,
    static_mask,
)
from litescene.scene.keyframes import Keyframe, SparseMap
from litescene.scene.loop_closing import Loop, close_loop, find_loop, rescaled
from litescene.scene.odometry_result import FrameRecord, OdometryResult, State, collect
from litescene.scene.relocalization import describe, recognise, thumbnail
from litescene.scene.settings import OdometrySettings
from litescene.scene.starting import Started, Starter
from litescene.scene.tracking import fit_pose, predict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pixels = NDArray[np.float32]
Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_STANDING = 3.0
"""Median shift in pixels since the last keyframe below which the camera stands still."""
_LOOP_REST = 10
"""Keyframes after a closed loop before the next one is looked for."""


@dataclass(frozen=True, slots=True)
class TrackResult:
    """What is known of one frame the moment it was tracked.

    `pose` 4×4 T_world_camera in the world of `segment` (None unless tracking); `keyframe` whether
    the map grew by it; `inliers` of `tracks` corners agree with the pose; `loop` whether a loop
    was closed and older poses moved. Later adjustment moves poses: `OdometryResult` has the final
    ones.
    """

    frame: int
    time: float
    state: State
    pose: Floats | None
    keyframe: bool
    inliers: int
    tracks: int
    segment: int
    loop: bool


class Odometry:
    """Feed `track` frame after frame, then take `finish`.

    The same frames and the same seed give the same result, bit for bit.
    """

    def __init__(
        self, camera: Camera, *, seed: int = 0, settings: OdometrySettings | None = None
    ) -> None:
        self.camera = camera
        self.settings = settings or OdometrySettings()
        self.map = SparseMap(0.5 * (abs(camera.fx) + abs(camera.fy)), self.settings)
        self.loops: list[Loop] = []
        self._seed = seed
        self._lens = lens_mask(camera)
        self._cell = cell_size((camera.height, camera.width), self.settings.features)
        self._records: list[FrameRecord] = []
        self._state: State = "initializing"
        self._segment = 0
        self._starter: Starter | None = self._new_starter()
        self._lost_since = 0.0
        self._ids: Ints = np.zeros(0, np.int64)
        self._pixels: Pixels = np.zeros((0, 2), np.float32)
        self._pose: Floats = np.eye(4)
        self._velocity: Floats = np.eye(4)
        self._previous: Grey = np.zeros((0, 0), np.uint8)

    def track(self, frame: Frame, labels: SegmentationMap | None = None) -> TrackResult:
        """Track one frame; pixels of movers and sky in `labels` are left out.

        Frames must have the camera's size and come in order; anything else is a `ValueError`.
        """
        if (frame.height, frame.width) != (self.camera.height, self.camera.width):
            raise ValueError(
                f"frame {frame.index} is {frame.width}×{frame.height}, the camera "
                f"{self.camera.width}×{self.camera.height}; resize one of them"
            )
        if self._records and not frame.time > self._records[-1].time:
            raise ValueError(
                f"frame {frame.index} at {frame.time:.6f} s comes after one at "
                f"{self._records[-1].time:.6f} s"
            )
        grey = grey_picture(frame)
        mask = static_mask(labels, grey.shape)
        if self._lens is not None:
            mask = self._lens if mask is None else mask & self._lens
        self._records.append(FrameRecord(frame.index, frame.time, self._state))
        keyframes, loops, inliers = len(self.map.keyframes), len(self.loops), 0
        if self._state == "tracking":
            inliers = self._follow_map(grey, mask)
        if self._state == "lost":
            inliers = self._recover(grey, mask)
        if self._state != "tracking" and self._starter is not None:
            inliers = self._try_start(grey, mask)
        self._previous = grey
        record = self._records[-1]
        tracking = record.reference >= 0
        record.state = "tracking" if tracking else self._state
        return TrackResult(
            frame.index,
            frame.time,
            record.state,
            self._pose.copy() if tracking else None,
            len(self.map.keyframes) > keyframes,
            inliers,
            len(self._ids) if self._starter is None else self._starter.corners,
            record.segment,
            len(self.loops) > loops,
        )

    def finish(self) -> OdometryResult:
        """Everything found, with final poses."""
        return collect(self.map, self._records, self.loops)

    # Starting

    def _new_starter(self) -> Starter:
        return Starter(self.camera, self.map.focal, self._cell, self.settings, self._seed)

    def _try_start(self, grey: Grey, mask: Mask | None) -> int:
        if self._starter is None:
            return 0
        started = self._starter.feed(len(self._records) - 1, grey, mask)
        if started is None:
            return 0
        if self.map.keyframes:
            self._segment += 1
        self._begin_map(started, grey, mask)
        self._starter = None
        self._state = "tracking"
        return int(started.two_views.good.sum())

    def _begin_map(self, started: Started, grey: Grey, mask: Mask | None) -> None:
        """Make the first two keyframes, and give the frames between them poses where they fit."""
        first, last = started.sightings[0], started.sightings[-1]
        marks, record = self.map.landmarks, self._records[first.record]
        rays = undistort_points(self.camera, first.pixels)
        ids = marks.add(len(self.map.keyframes), rays)
        seen, good = last.corners, started.two_views.good
        marks.place(ids[seen[good]], started.two_views.points[good])
        keyframe = Keyframe(
            len(self.map.keyframes), record.frame, record.time, self._segment, np.eye(4),
            ids, first.pixels, rays,
        )  # fmt: skip
        self._describe(keyframe, started.first_grey)
        self.map.add_keyframe(keyframe)
        self._ids, self._pixels = ids[seen], last.pixels
        pose = invert(started.two_views.T_b_a)
        self._pose = pose
        self._add_keyframe(grey, mask)
        self._hang(first.record, keyframe, keyframe.pose)
        before, since = keyframe.pose, first.record
        for sighting in started.sightings[1:-1]:
            known = marks.known[ids[sighting.corners]]
            points = marks.points[ids[sighting.corners[known]]]
            seen_rays = undistort_points(self.camera, sighting.pixels[known])
            fitted, agree = self._fit(before, points, seen_rays)
            if agree.sum() >= self.settings.least_inliers:
                self._hang(sighting.record, keyframe, fitted)
                before, since = fitted, sighting.record
        adjacent = since == len(self._records) - 2
        self._velocity = invert(before) @ self._pose if adjacent else np.eye(4)

    # Tracking

    def _follow_map(self, grey: Grey, mask: Mask | None) -> int:
        """One frame with a map: follow, fit, and a keyframe where one is due."""
        marks = self.map.landmarks
        guess = self._pose @ self._velocity
        expected = predict(self.camera, marks, self._ids, self._pixels, self._pose, guess)
        found, good = follow(self._previous, grey, self._pixels, expected)
        good &= on_mask(mask, found)
        self._ids, self._pixels = self._ids[good], found[good]
        known = marks.known[self._ids]
        rays = undistort_points(self.camera, self._pixels)
        pose, agree = self._fit(guess, marks.points[self._ids[known]], rays[known])
        inliers = int(agree.sum())
        if inliers < self.settings.least_inliers:
            self._lose()
            return inliers
        keep = np.ones(len(self._ids), bool)
        keep[np.flatnonzero(known)[~agree]] = False
        self._ids, self._pixels = self._ids[keep], self._pixels[keep]
        before, self._pose = self._pose, pose
        self._velocity = invert(before) @ pose
        self._settle(grey, mask, rays[keep])
        return inliers

    def _fit(self, guess: Floats, points: Floats, rays: Floats) -> tuple[Floats, Mask]:
        return fit_pose(guess, points, rays, self.map.focal, self.settings, self._seed)

    def _settle(self, grey: Grey, mask: Mask | None, rays: Floats) -> None:
        """Hang the frame onto the last keyframe, or make it one."""
        last = self.map.keyframes[-1]
        if not self._wants_keyframe(last, rays):
            self._hang(len(self._records) - 1, last, self._pose)
            return
        before = self._pose
        self._add_keyframe(grey, mask)
        self._velocity = self._velocity @ invert(before) @ self._pose
        self._look_for_loop()

    def _wants_keyframe(self, last: Keyframe, rays: Floats) -> bool:
        settings, marks = self.settings, self.map.landmarks
        rows = last.rows_of(self._ids)
        both = rows >= 0
        if not both.any():
            return True
        before = last.rays[rows[both]]
        shift = self.map.focal * np.linalg.norm(rays[both] - before, axis=1)
        if np.median(shift) < _STANDING:
            return False
        known, had = int(marks.known[self._ids].sum()), int(marks.known[last.ids].sum())
        if known < max(settings.keyframe_kept * had, 3 * settings.least_inliers):
            return True
        turn = last.pose[:3, :3].T @ self._pose[:3, :3]
        turned = np.hstack([rays[both], np.ones((len(before), 1))]) @ turn.T
        parallax = np.linalg.norm(turned[:, :2] / turned[:, 2:] - before, axis=1)
        return bool(np.median(parallax) > settings.keyframe_parallax)

    # Mapping

    def _add_keyframe(self, grey: Grey, mask: Mask | None) -> None:
        """Make the newest frame a keyframe: new corners, new landmarks, local adjustment."""
        record, index = self._records[-1], len(self.map.keyframes)
        fresh = new_corners(grey, self._pixels, mask, self._cell)
        ids = self.map.landmarks.add(index, undistort_points(self.camera, fresh))
        pixels = np.concatenate([self._pixels, fresh])
        keyframe = Keyframe(
            index, record.frame, record.time, self._segment, self._pose,
            np.concatenate([self._ids, ids]), pixels, undistort_points(self.camera, pixels),
        )  # fmt: skip
        self._describe(keyframe, grey)
        self.map.add_keyframe(keyframe)
        keyframe.drop(~np.isin(keyframe.ids, self.map.triangulate(keyframe)))
        self.map.adjust_window(self._segment)
        self._take_over(keyframe)

    def _take_over(self, keyframe: Keyframe) -> None:
        """Track on from the corners and the pose of `keyframe`, the newest frame."""
        self._pose = keyframe.pose
        self._ids, self._pixels = keyframe.ids.copy(), keyframe.pixels.copy()
        self._hang(len(self._records) - 1, keyframe, keyframe.pose)

    def _describe(self, keyframe: Keyframe, grey: Grey) -> None:
        keyframe.thumbnail = thumbnail(grey)
        keyframe.descriptors, rows = describe(grey, keyframe.pixels)
        keyframe.described = keyframe.ids[rows]

    def _hang(self, row: int, keyframe: Keyframe, pose: Floats) -> None:
        record = self._records[row]
        record.state, record.segment, record.reference = (
            "tracking", keyframe.segment, keyframe.index,
        )  # fmt: skip
        record.T_reference_frame = invert(keyframe.pose) @ pose

    def _look_for_loop(self) -> None:
        keyframe = self.map.keyframes[-1]
        if self.loops and keyframe.index - self.loops[-1].newer < _LOOP_REST:
            return
        loop = find_loop(self.map, keyframe, self._seed)
        if loop is None:
            return
        self.loops.append(loop)
        scales = close_loop(self.map, self.loops)
        self.loops = [rescaled(one, scales) for one in self.loops]
        for index, factor in scales.items():
            self.map.keyframes[index].scale *= factor
        for record in self._records:
            if record.reference in scales:
                record.T_reference_frame[:3, 3] *= scales[record.reference]
        self._velocity[:3, 3] *= scales[keyframe.index]
        self._take_over(keyframe)

    # Lost

    def _lose(self) -> None:
        self._state = "lost"
        self._lost_since = self._records[-1].time
        self._ids, self._pixels = np.zeros(0, np.int64), np.zeros((0, 2), np.float32)

    def _recover(self, grey: Grey, mask: Mask | None) -> int:
        """Try to recognise a keyframe; lost for long, let a fresh start begin beside it."""
        corners = new_corners(grey, np.zeros((0, 2), np.float32), mask, self._cell)
        rays = undistort_points(self.camera, corners)
        seen = recognise(self.map, self._segment, grey, corners, rays, self._seed)
        if seen is None:
            waited = self._records[-1].time - self._lost_since
            if self._starter is None and waited >= self.settings.restart_seconds:
                self._starter = self._new_starter()
            return 0
        self._starter = None
        self._state = "tracking"
        self._ids, self._pixels = seen.ids, corners[seen.corners]
        self._pose, self._velocity = seen.pose, np.eye(4)
        self._add_keyframe(grey, mask)
        return len(seen.ids)
