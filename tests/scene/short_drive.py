"""A short drive through the world of textured planes, and what a run of it must leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from plane_world import camera, pose, render

from litescene.core import Frame
from litescene.media import open_source, read_labels, read_ply, read_trajectory
from litescene.scene import SceneResult

WIDTH, HEIGHT, COUNT = 160, 120, 20

RunJob = Callable[..., SceneResult]


@lru_cache(maxsize=2)
def frames_of(count: int = COUNT, seed: int = 0) -> tuple[Frame, ...]:
    """Forward and a little to the side, 0.25 m a frame, at 10 frames a second."""
    lens, frames = camera(WIDTH, HEIGHT), []
    for index in range(count):
        image, _, _ = render(lens, pose(0.06 * index, 0.0, 0.25 * index), seed)
        frames.append(Frame(index, index / 10, np.ascontiguousarray(image)))
    return tuple(frames)


def records(out: Path) -> list[dict[str, Any]]:
    """The lines of `frames.jsonl`."""
    return [json.loads(line) for line in (out / "frames.jsonl").read_text().splitlines()]


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")


def assert_whole(out: Path, frames: int | None = None) -> dict[str, Any]:
    """Everything a run writes is there, can be read, and agrees on the number of frames."""
    summary = json.loads((out / "summary.json").read_text(), parse_constant=_refuse)
    frames = summary["frames"] if frames is None else frames
    assert summary["frames"] == frames
    lines = records(out)
    assert [r["frame"] for r in lines] == sorted(r["frame"] for r in lines)
    assert len(lines) == frames
    assert sorted(p.stem for p in (out / "labels").iterdir()) == sorted(r["name"] for r in lines)
    for record in lines:
        assert read_labels(out / "labels" / f"{record['name']}.png").size
    with open_source(out / "overlay.mp4") as overlay:
        assert len(list(overlay)) == frames
    poses = summary["trajectory"]["poses"]
    assert (out / "trajectory.txt").exists()
    if poses:
        assert len(read_trajectory(out / "trajectory.txt")) == poses
    assert len(read_ply(out / "map.ply")) == summary["map"]["points"]
    for name in ("cameras", "images", "points3D"):
        assert (out / "map" / f"{name}.txt").read_text().startswith("#")
    assert "<h1>" in (out / "report.html").read_text()
    assert not [p for p in out.rglob("*") if p.suffix == ".part"]
    return dict(summary)
