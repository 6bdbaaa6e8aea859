"""Results of a run as files, made when its last frame is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from litescene.core import SceneMap, SegmentationMap, Taxonomy, Trajectory
from litescene.media import write_atomic
from litescene.media.map_files import write_ply
from litescene.media.trajectory_files import write_tum
from litescene.scene.frame_lines import finish_lines
from litescene.scene.moments import Moment
from litescene.scene.objects import ObjectSummary
from litescene.scene.odometry_result import OdometryResult
from litescene.scene.report import ReportData, render_report
from litescene.scene.summary import facts_of, line_of, notes_of, to_json

_SHARES_EVERY = 5

Result = TypeVar("Result")
Step = Callable[[], None]


@dataclass
class ShareLog:
    """Class shares of every fifth frame: a few numbers each."""

    times: list[float] = field(default_factory=list)
    shares: list[NDArray[np.float64]] = field(default_factory=list)
    frames: int = 0

    def add(self, time: float, labels: SegmentationMap) -> None:
        """Count a frame, and every fifth one's classes."""
        if self.frames % _SHARES_EVERY == 0:
            counts = np.bincount(labels.labels.ravel(), minlength=256)
            self.times.append(time)
            self.shares.append(counts[: len(labels.taxonomy)] / labels.labels.size)
        self.frames += 1

    def table(self, classes: int) -> NDArray[np.float64]:
        """Shares n×`classes` at the n `times`."""
        return np.stack(self.shares) if self.shares else np.zeros((0, classes))


@dataclass(frozen=True)
class Findings:
    """Everything that a run found, before it is written.

    `frames` are written whole; `maps` by segment; the odometry's main segment gives
    `trajectory.txt` and `map.ply`.
    """

    frames: int
    odometry: OdometryResult
    maps: Mapping[int, SceneMap]
    objects: Sequence[ObjectSummary]
    shares: ShareLog
    moments: Sequence[Moment]
    taxonomy: Taxonomy

    @property
    def scene_map(self) -> SceneMap:
        """The main segment's map; empty if nothing was mapped."""
        return self.maps.get(self.odometry.segment, empty_map(self.taxonomy))

    def other_segments(self) -> Iterator[tuple[int, Trajectory]]:
        """The trajectories beside the main one, each in a world of its own."""
        odometry = self.odometry
        for segment in range(int(odometry.segments.max(initial=-1)) + 1):
            own = odometry.segments == segment
            if segment != odometry.segment and own.any():
                yield segment, Trajectory(odometry.times[own], odometry.poses[own], "arbitrary")


def empty_map(taxonomy: Taxonomy) -> SceneMap:
    """A map without points."""
    return SceneMap(
        np.zeros((0, 3), np.float32),
        np.zeros((0, 3), np.uint8),
        np.zeros(0, np.uint8),
        np.zeros(0, np.float32),
        np.zeros(0, np.int32),
        np.zeros(0, np.int32),
        taxonomy,
        "arbitrary",
    )


def write_findings(
    out: Path,
    found: Findings,
    sparse_model: Step,
    summarise: Callable[[], dict[str, Any]],
    errors: list[Exception],
) -> dict[str, Any]:
    """Write everything that is made at the end; `sparse_model` writes the folder `map/`.

    `summarise` gives what the run says of itself; it is asked when all but summary and report is
    written, so that its seconds count that too. What goes wrong is added to `errors` (those of the
    results so far) and does not keep the rest from being written. Returns the whole summary, which
    names the errors.
    """
    for step in (*_steps(out, found), sparse_model):
        attempt(step, errors)
    summary = {**summarise(), **facts_of(found.odometry, found.scene_map, found.objects)}
    summary["warnings"] = [*summary["warnings"], *notes_of(found.odometry), *map(line_of, errors)]
    summary["complete"] = summary["complete"] and not errors
    attempt(lambda: write_atomic(out / "summary.json", to_json(summary)), errors)
    attempt(
        lambda: write_atomic(out / "report.html", render_report(_report(found, summary))), errors
    )
    return summary


def attempt(step: Callable[[], Result], errors: list[Exception]) -> Result | None:
    """What `step` gives; its error, whatever it is, goes to `errors` for the end of the run."""
    try:
        return step()
    except Exception as error:  # one that nobody foresaw must not cost the other results
        errors.append(error)
        return None


def _steps(out: Path, found: Findings) -> Iterator[Step]:
    """Small and dear first: on a full disk there may be room for them alone."""
    yield lambda: write_tum(out / "trajectory.txt", found.odometry.trajectory)
    yield lambda: finish_lines(out, found.odometry, found.frames)
    yield lambda: write_ply(out / "map.ply", found.scene_map)
    for number, (segment, path) in enumerate(found.other_segments(), 1):
        yield _bound(write_tum, out / f"trajectory_{number}.txt", path)
        if segment in found.maps:
            yield _bound(write_ply, out / f"map_{number}.ply", found.maps[segment])


def _bound(write: Callable[[Path, Any], None], path: Path, result: Any) -> Step:
    return lambda: write(path, result)


def _report(found: Findings, summary: Mapping[str, Any]) -> ReportData:
    odometry, shares = found.odometry, found.shares
    return ReportData(
        f"litescene: {summary['settings']['source']}",
        summary,
        found.moments,
        odometry.trajectory,
        found.scene_map,
        found.taxonomy,
        np.asarray(shares.times),
        shares.table(len(found.taxonomy)),
        list(zip(odometry.times.tolist(), odometry.states, strict=True)),
        [o.to_dict() for o in found.objects],
    )
