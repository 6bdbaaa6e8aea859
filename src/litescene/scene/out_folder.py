"""The folder of a run: the names of its results, and clearing those of an earlier run."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
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


def prepared_folder(out: Path, source: Path | None = None) -> AbstractContextManager[None]:
    """Keep `out` with its `labels/` for a run, without any result of an earlier one.

    Files that no run wrote but are called like its results, a `source` that is itself a result in
    `out`, and another process that writes there are an `OutputError` (see `media.result_folder`).
    """
    return result_folder.prepared_folder(out, _FILES, source)
