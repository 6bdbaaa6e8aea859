"""The lines of `frames.jsonl`: provisional while a run goes on, final when its poses are.

The provisional file, `frames.jsonl.part`, gets a line as soon as a frame is done, with the pose
as it was known then; so a killed program leaves what it found, and nothing has to be kept in
memory. At the end every line gets its final pose and the file its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from litescene.core import OutputError
from litescene.media import atomic_write
from litescene.media.atomic import output_error
from litescene.scene.odometry_result import OdometryResult
from litescene.scene.out_folder import FRAMES, FRAMES_PART


class FrameLines:
    """Writes the provisional lines of a run into `out`."""

    def __init__(self, out: Path) -> None:
        self._path = out / FRAMES_PART
        try:
            self._file: BinaryIO = open(self._path, "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise output_error(self._path, error) from error

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a line; a full disk is an `OutputError`."""
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
        try:
            written = self._file.write(line)
        except OSError as error:
            raise output_error(self._path, error) from error
        if written != len(line):
            raise OutputError(
                f"cannot write {self._path}: the disk is full; free some space or choose another "
                "folder"
            )

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()


def finish_lines(out: Path, odometry: OdometryResult, frames: int) -> None:
    """Make `frames.jsonl` of the first `frames` provisional lines and the final poses.

    Where there is no room for both files, the provisional one stays.
    """
    with atomic_write(out / FRAMES) as file:
        for row, record in enumerate(islice(_provisional(out), frames)):
            segment = int(odometry.segments[row])
            record["state"] = odometry.states[row]
            record["segment"] = segment if segment >= 0 else None
            record["T_world_camera"] = (
                odometry.poses[row].round(9).tolist() if segment >= 0 else None
            )
            file.write((json.dumps(record, allow_nan=False) + "\n").encode())
    (out / FRAMES_PART).unlink()


def _provisional(out: Path) -> Iterator[dict[str, Any]]:
    with open(out / FRAMES_PART, "rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):  # else the disk was full in the middle of it
                yield json.loads(line)
