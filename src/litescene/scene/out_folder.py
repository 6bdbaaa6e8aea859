"""The folder of a run: the names of its results, and clearing those of an earlier run."""

from __future__ import annotations

import re
from pathlib import Path

from litescene.media import result_folder
from litescene.media.result_folder import LINES, ResultFiles

FRAMES, FRAMES_PART = LINES["run"]
MAP_FOLDER = "map"

_FILES = ResultFiles(
    "run",
    fixed=(
        "trajectory.txt",
        "map.ply",
        "report.html",
        *(f"{MAP_FOLDER}/{name}.txt" for name in ("cameras", "images", "points3D")),
    ),
    labels=True,
    numbered=re.compile(r"trajectory_\d+\.txt|map_\d+\.ply"),
)


def prepare_folder(out: Path, source: Path | None = None) -> None:
    """Make `out` with its `labels/`, without any result of an earlier run.

    Files that no run wrote but are called like its results, and a `source` that is itself a
    result in `out`, are an `OutputError` (see `media.result_folder`).
    """
    result_folder.prepare_folder(out, _FILES, source)
