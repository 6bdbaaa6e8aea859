"""What `summary.json` says: versions, settings, milliseconds, counts, warnings."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import litescene
from litescene.core import LitesceneError, SceneMap
from litescene.core.provenance import installed_versions
from litescene.media import Source
from litescene.scene.objects import ObjectSummary
from litescene.scene.odometry_result import OdometryResult

_PACKAGES = (
    "numpy",
    "opencv-python-headless",
    "av",
    "numba",
    "gtsam",
    "openvino",
    "onnxruntime",
)


def versions() -> dict[str, str]:
    """Versions of litescene, Python, and those packages of the main job that are installed."""
    own = {"litescene": litescene.__version__, "python": platform.python_version()}
    return own | installed_versions(_PACKAGES)


def counts_of(source: Source, frames: int, dropped: int, seconds: float) -> dict[str, Any]:
    """Frames done, dropped by a live source and skipped as damaged, and the speed."""
    return {
        "frames": frames,
        "frames_dropped": dropped,
        "frames_skipped": len(source.skipped),
        "seconds": round(seconds, 3),
        "frames_per_second": round(frames / max(seconds, 1e-9), 2),
    }


def milliseconds_of(
    stages: Sequence[Mapping[str, float]], frames: int, seconds: float
) -> dict[str, float]:
    """Milliseconds a frame per stage, summed over `stages`, and `elapsed` for all together."""
    sums: dict[str, float] = {}
    for part in stages:
        for stage, ms in part.items():
            sums[stage] = sums.get(stage, 0.0) + ms
    sums["elapsed"] = seconds * 1e3
    return {stage: round(ms / max(frames, 1), 3) for stage, ms in sums.items()}


def warnings_of(source: Source, interrupted: bool, error: Exception | None) -> list[str]:
    """What a person should know about the source and the end, one line each."""
    lines = [
        reason if name in reason else f"{name}: {reason}" for name, reason in list(source.skipped)
    ]
    lines += list(source.notes)
    if error is not None:
        lines.append(f"ended early: {line_of(error)}")
    if interrupted:
        lines.append("ended early by the user")
    return lines


def line_of(error: Exception) -> str:
    """An error in one line; its kind too, where it is none that we foresaw."""
    text = " ".join(str(error).split())
    if isinstance(error, LitesceneError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def facts_of(
    odometry: OdometryResult, scene_map: SceneMap, objects: Sequence[ObjectSummary]
) -> dict[str, Any]:
    """Counts of what was found."""
    return {
        "states": {s: odometry.states.count(s) for s in ("initializing", "tracking", "lost")},
        "scale": odometry.trajectory.scale,
        "segments": int(odometry.segments.max(initial=-1)) + 1,
        "main_segment": odometry.segment if odometry.keyframes else None,
        "keyframes": len(odometry.keyframes),
        "landmarks": len(odometry.landmarks),
        "loops": len(odometry.loops),
        "trajectory": odometry.trajectory.to_dict(),
        "map": scene_map.to_dict(),
        "objects": len(objects),
    }


def notes_of(odometry: OdometryResult) -> list[str]:
    """What a person should know about the trajectory, one line each."""
    frames = len(odometry.states)
    if frames and not odometry.keyframes:
        return [
            "no trajectory and no map: the camera was never seen to move; it has to travel, with "
            "still and textured surroundings in view that are more than one plane seen at an angle"
        ]
    notes = []
    lost = odometry.states.count("lost")
    if lost:
        notes.append(f"the camera was lost in {lost} of {frames} frames")
    others = len(np.unique(odometry.segments[odometry.segments >= 0])) - 1
    if others > 0:
        notes.append(
            f"{others} further segment{'s' if others > 1 else ''} with origin and scale of their "
            "own in trajectory_1.txt, map_1.ply and so on"
        )
    return notes


def to_json(plain: Mapping[str, Any]) -> str:
    """Indented JSON; NaN and infinity, which JSON does not have, are a ValueError."""
    return json.dumps(plain, indent=2, default=_plain, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
