"""Results of a run as files, made when its last frame is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import Detections, SceneMap, SegmentationMap, Taxonomy, Trajectory
from litescene.media import write_atomic
from litescene.media.map_files import write_ply
from litescene.media.trajectory_files import write_tum
from litescene.scene.objects import ObjectSummary
from litescene.scene.odometry_result import OdometryResult
from litescene.scene.outputs import write_json, write_lines
from litescene.scene.report import Moment, ReportData, render_report

_SHARES_EVERY = 5


@dataclass
class FrameLog:
    """What is remembered of every frame: a few numbers each."""

    names: list[str] = field(default_factory=list)
    detections: list[Detections | None] = field(default_factory=list)
    share_times: list[float] = field(default_factory=list)
    shares: list[NDArray[np.float64]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.names)

    def add(
        self, name: str, time: float, labels: SegmentationMap, detections: Detections | None
    ) -> None:
        """Remember a frame."""
        if len(self) % _SHARES_EVERY == 0:
            counts = np.bincount(labels.labels.ravel(), minlength=256)
            self.share_times.append(time)
            self.shares.append(counts[: len(labels.taxonomy)] / labels.labels.size)
        self.names.append(name)
        self.detections.append(detections)


@dataclass(frozen=True)
class Findings:
    """Everything that a run found, before it is written.

    `maps` by segment; the odometry's main segment gives `trajectory.txt` and `map.ply`.
    """

    odometry: OdometryResult
    maps: Mapping[int, SceneMap]
    objects: Sequence[ObjectSummary]
    log: FrameLog
    moments: Sequence[Moment]
    taxonomy: Taxonomy

    @property
    def scene_map(self) -> SceneMap:
        """The main segment's map; empty if nothing was mapped."""
        return self.maps.get(self.odometry.segment, empty_map(self.taxonomy))


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


def write_findings(out: Path, found: Findings, summary: dict[str, Any]) -> dict[str, Any]:
    """Write trajectory, map, frame lines, summary and report; returns the completed summary."""
    odometry = found.odometry
    summary = {**summary, **_facts(found)}
    write_tum(out / "trajectory.txt", odometry.trajectory)
    write_ply(out / "map.ply", found.scene_map)
    for number, (segment, path) in enumerate(_other_segments(odometry), 1):
        write_tum(out / f"trajectory_{number}.txt", path)
        if segment in found.maps:
            write_ply(out / f"map_{number}.ply", found.maps[segment])
    write_lines(out / "frames.jsonl", _frame_records(found))
    write_json(out / "summary.json", summary)
    write_atomic(out / "report.html", render_report(_report(found, summary)))
    return summary


def _facts(found: Findings) -> dict[str, Any]:
    odometry = found.odometry
    states = {s: odometry.states.count(s) for s in ("initializing", "tracking", "lost")}
    return {
        "states": states,
        "scale": odometry.trajectory.scale,
        "segments": int(odometry.segments.max(initial=-1)) + 1,
        "keyframes": len(odometry.keyframes),
        "landmarks": len(odometry.landmarks),
        "loops": len(odometry.loops),
        "trajectory": odometry.trajectory.to_dict(),
        "map": found.scene_map.to_dict(),
        "objects": len(found.objects),
    }


def _other_segments(odometry: OdometryResult) -> Iterator[tuple[int, Trajectory]]:
    for segment in range(int(odometry.segments.max(initial=-1)) + 1):
        own = odometry.segments == segment
        if segment != odometry.segment and own.any():
            yield segment, Trajectory(odometry.times[own], odometry.poses[own], "arbitrary")


def _frame_records(found: Findings) -> Iterator[dict[str, Any]]:
    odometry, log = found.odometry, found.log
    for row, (name, detections) in enumerate(zip(log.names, log.detections, strict=True)):
        segment = int(odometry.segments[row])
        posed = segment >= 0
        yield {
            "frame": int(odometry.indices[row]),
            "time": round(float(odometry.times[row]), 6),
            "name": name,
            "state": odometry.states[row],
            "segment": segment if posed else None,
            "T_world_camera": odometry.poses[row].round(9).tolist() if posed else None,
            "objects": None if detections is None else detections.to_dict(),
        }


def _report(found: Findings, summary: Mapping[str, Any]) -> ReportData:
    odometry, log = found.odometry, found.log
    shares = np.stack(log.shares) if log.shares else np.zeros((0, len(found.taxonomy)))
    return ReportData(
        f"litescene: {summary['settings']['source']}",
        summary,
        found.moments,
        odometry.trajectory,
        found.scene_map,
        found.taxonomy,
        np.asarray(log.share_times),
        shares,
        list(zip(odometry.times.tolist(), odometry.states, strict=True)),
        [o.to_dict() for o in found.objects],
    )
