"""What the odometry hands over: states and poses of all frames, keyframes, landmarks, loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from litescene.core import Trajectory
from litescene.scene.keyframes import Keyframe, SparseMap
from litescene.scene.loop_closing import Loop

State = Literal["initializing", "tracking", "lost"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class FrameRecord:
    """A frame hung onto keyframe `reference` (-1: no pose), so that it moves along with it."""

    frame: int
    time: float
    state: State
    segment: int = -1
    reference: int = -1
    T_reference_frame: Floats = field(default_factory=lambda: np.eye(4))


@dataclass(frozen=True, slots=True)
class OdometryResult:
    """The whole drive.

    `trajectory` has the poses (T_world_camera, arbitrary scale) of the frames `frames` (m) of
    the segment with most frames, `segment`. Per frame of the source (n): `indices`, `times`,
    `states`, `segments` (-1 without a pose) and `poses` n×4×4 (identity without a pose, each in
    the world of its segment: different segments have different origins and scales). `landmarks`
    p×3 of `segment` with their number of `observations` p; `keyframes` of all segments; `loops`.
    """

    trajectory: Trajectory
    frames: Ints
    segment: int
    indices: Ints
    times: Floats
    states: tuple[State, ...]
    segments: Ints
    poses: Floats
    keyframes: tuple[Keyframe, ...]
    landmarks: Floats
    observations: Ints
    loops: tuple[Loop, ...]

    @property
    def tracked(self) -> float:
        """Share of all frames that have a pose, 0 to 1."""
        return float(np.mean(self.segments >= 0)) if len(self.segments) else 0.0


def collect(
    sparse: SparseMap, records: Sequence[FrameRecord], loops: Sequence[Loop]
) -> OdometryResult:
    """The result of frames `records` on the map `sparse`."""
    poses = np.tile(np.eye(4), (len(records), 1, 1))
    for row, record in enumerate(records):
        if record.reference >= 0:
            poses[row] = sparse.keyframes[record.reference].pose @ record.T_reference_frame
    segments = np.array([r.segment for r in records], np.int64)
    times = np.array([r.time for r in records], np.float64)
    indices = np.array([r.frame for r in records], np.int64)
    main = int(np.argmax(np.bincount(segments[segments >= 0]))) if (segments >= 0).any() else 0
    own = segments == main
    points, observations = _landmarks(sparse, main)
    return OdometryResult(
        Trajectory(times[own], poses[own], "arbitrary"),
        indices[own],
        main,
        indices,
        times,
        tuple(r.state for r in records),
        segments,
        poses,
        tuple(sparse.keyframes),
        points,
        observations,
        tuple(loops),
    )


def _landmarks(sparse: SparseMap, segment: int) -> tuple[Floats, Ints]:
    counts = np.zeros(len(sparse.landmarks), np.int64)
    for keyframe in sparse.keyframes:
        if keyframe.segment == segment:
            counts[keyframe.ids] += 1
    chosen = sparse.landmarks.known & (counts >= 2)
    return sparse.landmarks.points[chosen].copy(), counts[chosen]
