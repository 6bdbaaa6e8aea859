"""Errors of a trajectory against the truth: absolute, relative, and by KITTI's segments.

Absolute and relative pose errors as in Sturm et al. 2012 (TUM RGB-D), segment errors as in
Geiger et al. 2012 (KITTI odometry). Distances are in the truth's unit, angles in degrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError, Trajectory, UnknownNameError
from litescene.geometry import align_poses, invert, relative, rotation_angle, umeyama

Alignment = Literal["none", "se3", "sim3"]
Floats = NDArray[np.float64]
MAX_TIME_DIFFERENCE = 0.02
"""Seconds between two poses that count as one moment, as in TUM's tools."""
KITTI_LENGTHS = (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0)
_KITTI_STEP = 10


@dataclass(frozen=True, slots=True)
class ErrorStatistics:
    """Root mean square, mean, median and maximum of some errors."""

    rmse: float
    mean: float
    median: float
    max: float

    @classmethod
    def of(cls, errors: Floats) -> ErrorStatistics:
        """Summarise errors (n > 0)."""
        rmse = float(np.sqrt(np.mean(np.square(errors))))
        return cls(rmse, float(errors.mean()), float(np.median(errors)), float(errors.max()))


@dataclass(frozen=True, slots=True)
class SegmentErrors:
    """KITTI: mean drift over segments; translation in percent, rotation in degrees per metre."""

    translation_percent: float
    rotation_degrees_per_metre: float
    segments: int


@dataclass(frozen=True, slots=True)
class TrajectoryScores:
    """All errors of a trajectory; `segments` is `None` for paths under 100 m."""

    align: Alignment
    scale: float
    matches: int
    poses: int
    path_length: float
    ate: ErrorStatistics
    rpe_translation: ErrorStatistics
    rpe_rotation_degrees: ErrorStatistics
    segments: SegmentErrors | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def associate(
    times_a: Floats, times_b: Floats, max_difference: float = MAX_TIME_DIFFERENCE
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of pairs of moments at most `max_difference` seconds apart, in rising time.

    One-to-one: the closest pairs are formed first.
    """
    order = np.argsort(times_b, kind="stable")
    ordered = times_b[order]
    first = np.searchsorted(ordered, times_a - max_difference, side="left")
    last = np.searchsorted(ordered, times_a + max_difference, side="right")
    count = np.maximum(last - first, 0)
    a = np.repeat(np.arange(len(times_a)), count)
    offset = np.arange(len(a)) - np.repeat(np.cumsum(count) - count, count)
    b = order[np.repeat(first, count) + offset]
    free_a, free_b = np.ones(len(times_a), bool), np.ones(len(times_b), bool)
    kept = []
    for k in np.argsort(np.abs(times_a[a] - times_b[b]), kind="stable"):
        if free_a[a[k]] and free_b[b[k]]:
            free_a[a[k]] = free_b[b[k]] = False
            kept.append(k)
    kept.sort(key=lambda k: times_a[a[k]])
    return a[kept], b[kept]


def match_trajectories(
    estimate: Trajectory,
    truth: Trajectory,
    max_difference: float = MAX_TIME_DIFFERENCE,
) -> tuple[Trajectory, Trajectory]:
    """Both trajectories at their common moments.

    Raises `DataError` for fewer than three common moments.
    """
    a, b = associate(estimate.times, truth.times, max_difference)
    if len(a) < 3:
        few = min(len(estimate), len(truth)) < 3
        raise DataError(
            f"only {len(a)} of {len(estimate)} poses have one of {len(truth)} true poses within "
            f"{max_difference:g} s; at least 3 are needed"
            + ("" if few else " (are both on the same clock?)")
        )
    return (
        Trajectory(estimate.times[a], estimate.poses[a], estimate.scale),
        Trajectory(truth.times[b], truth.poses[b], truth.scale),
    )


def align_trajectory(
    estimate: Trajectory, truth: Trajectory, align: Alignment
) -> tuple[Trajectory, float]:
    """The estimate moved onto the truth (matched pose by pose), and the scale applied."""
    if align not in get_args(Alignment):
        raise UnknownNameError("alignment", align, get_args(Alignment))
    if align == "none":
        return estimate, 1.0
    try:
        s, R, t = umeyama(estimate.positions, truth.positions, with_scale=align == "sim3")
    except ValueError as error:
        raise DataError(f"the trajectories cannot be aligned: {error}") from error
    scale = truth.scale if align == "sim3" else estimate.scale
    return replace(estimate, poses=align_poses(s, R, t, estimate.poses), scale=scale), s


def absolute_errors(estimate: Trajectory, truth: Trajectory) -> Floats:
    """Distances n between matched (and aligned) camera centres."""
    errors: Floats = np.linalg.norm(estimate.positions - truth.positions, axis=1)
    return errors


def relative_errors(
    estimate: Trajectory, truth: Trajectory, delta: int = 1
) -> tuple[Floats, Floats]:
    """Errors of the motion over `delta` matched poses: distances, angles in degrees; n-delta.

    Raises `DataError` when there are not more poses than `delta`.
    """
    if delta < 1:
        raise ValueError(f"delta must be at least 1, not {delta}")
    if len(estimate) <= delta:
        raise DataError(f"{len(estimate)} matched poses have no two that are {delta} poses apart")
    moved = relative(estimate.poses[:-delta], estimate.poses[delta:])
    true = relative(truth.poses[:-delta], truth.poses[delta:])
    return _motion_errors(moved, true)


def kitti_segment_errors(
    estimate: Trajectory, truth: Trajectory, lengths: Sequence[float] = KITTI_LENGTHS
) -> SegmentErrors:
    """Mean drift over all segments of the `lengths` (metres) from every 10th matched pose.

    Raises `DataError` when the path is shorter than the shortest length.
    """
    steps = np.linalg.norm(np.diff(truth.positions, axis=0), axis=1)
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    starts = np.arange(0, len(truth), _KITTI_STEP)
    first, length = (g.ravel() for g in np.meshgrid(starts, np.asarray(lengths), indexing="ij"))
    # A segment ends at the first pose that is further along than its length.
    last = np.searchsorted(distance, distance[first] + length, side="right")
    first, length, last = (v[last < len(truth)] for v in (first, length, last))
    if len(first) == 0:
        raise DataError(
            f"a path of {distance[-1]:.1f} m has no segment of {min(lengths):g} m to measure"
        )
    moved = relative(estimate.poses[first], estimate.poses[last])
    true = relative(truth.poses[first], truth.poses[last])
    translation, rotation = _motion_errors(moved, true)
    return SegmentErrors(
        100.0 * float(np.mean(translation / length)), float(np.mean(rotation / length)), len(first)
    )


def evaluate_trajectory(
    estimate: Trajectory,
    truth: Trajectory,
    align: Alignment = "se3",
    max_difference: float = MAX_TIME_DIFFERENCE,
) -> TrajectoryScores:
    """Match by time, align, and measure everything.

    Relative and segment errors are measured on the aligned estimate, so that `sim3` also gives
    a trajectory of arbitrary scale its unit.
    """
    matched, true = match_trajectories(estimate, truth, max_difference)
    aligned, scale = align_trajectory(matched, true, align)
    translation, rotation = relative_errors(aligned, true)
    long_enough = true.length > KITTI_LENGTHS[0]
    return TrajectoryScores(
        align=align,
        scale=scale,
        matches=len(matched),
        poses=len(estimate),
        path_length=true.length,
        ate=ErrorStatistics.of(absolute_errors(aligned, true)),
        rpe_translation=ErrorStatistics.of(translation),
        rpe_rotation_degrees=ErrorStatistics.of(rotation),
        segments=kitti_segment_errors(aligned, true) if long_enough else None,
    )


def _motion_errors(moved: Floats, true: Floats) -> tuple[Floats, Floats]:
    error = invert(true) @ moved
    distance: Floats = np.linalg.norm(error[:, :3, 3], axis=1)
    return distance, np.degrees(rotation_angle(np.eye(3), error[:, :3, :3]))
