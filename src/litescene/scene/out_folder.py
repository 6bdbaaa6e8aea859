"""The folder of a run: made, or cleared of what an earlier run left there, and of nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from litescene.core import OutputError
from litescene.media.atomic import output_error

FRAMES, FRAMES_PART = "frames.jsonl", "frames.jsonl.part"
LABELS, OVERLAY, MAP_FOLDER = "labels", "overlay.mp4", "map"

_FIXED = (
    "trajectory.txt",
    "map.ply",
    FRAMES,
    FRAMES_PART,
    OVERLAY,
    f"{OVERLAY}.part",
    "summary.json",
    "report.html",
    *(f"{MAP_FOLDER}/{name}.txt" for name in ("cameras", "images", "points3D")),
)
_NUMBERED = re.compile(r"trajectory_\d+\.txt|map_\d+\.ply")
_UNFINISHED = re.compile(r"\..+\.\d+-\d+\.part")
"""Files of `media.atomic` that a killed process left."""


def prepare_folder(out: Path, source: Path | None = None) -> None:
    """Make `out` with its `labels/`, without any result of an earlier run.

    Label pictures are removed when the frame lines of the earlier run name them; label pictures
    that no run wrote may be somebody's work, and are an `OutputError`, as is a `source` (file,
    folder or glob) that is itself a result in `out`.
    """
    labels = out / LABELS
    if source is not None and _is_result(source.resolve(), out.resolve()):
        raise OutputError(
            f"the source {source} is a result in {out}, which a run there replaces; choose "
            "another folder for the results"
        )
    try:
        labels.mkdir(parents=True, exist_ok=True)
        earlier = [out / name for name in (FRAMES, FRAMES_PART) if (out / name).is_file()]
        if not earlier and next(labels.glob("*.png"), None) is not None:
            raise OutputError(
                f"the folder {labels} holds pictures that no run wrote; choose another folder "
                "for the results"
            )
        for name in {name for lines in earlier for name in _names(lines)}:
            (labels / f"{name}.png").unlink(missing_ok=True)
        for path in _known(out, labels):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(out, error) from error


def _is_result(source: Path, out: Path) -> bool:
    return source == out / OVERLAY or out / LABELS in (source, *source.parents)


def _known(out: Path, labels: Path) -> Iterator[Path]:
    yield from (out / name for name in _FIXED)
    for folder in (out, labels, out / MAP_FOLDER):
        if folder.is_dir():
            yield from [p for p in folder.iterdir() if _UNFINISHED.fullmatch(p.name)]
    yield from [p for p in out.iterdir() if _NUMBERED.fullmatch(p.name)]


def _names(lines: Path) -> Iterator[str]:
    """Names of frames in the lines of an earlier run; a line cut off by a kill is left out."""
    with open(lines, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                name = json.loads(line)["name"]
            except (ValueError, KeyError, TypeError):
                continue
            if isinstance(name, str) and Path(name).name == name:
                yield name
