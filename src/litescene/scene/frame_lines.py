"""The lines of `frames.jsonl`: provisional while a run goes on, final when its poses are.

The provisional file, `frames.jsonl.part`, gets a line as soon as a frame is done, with the pose
as it was known then; so a killed program leaves what it found, and nothing has to be kept in
memory. At the end every line gets its final pose and the file its name.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

from litescene.media import atomic_write
from litescene.media.json_lines import read_json_lines
from litescene.scene.odometry_result import OdometryResult
from litescene.scene.out_folder import FRAMES, FRAMES_PART


def finish_lines(out: Path, odometry: OdometryResult, frames: int) -> None:
    """Make `frames.jsonl` of the first `frames` provisional lines and the final poses.

    Where there is no room for both files, the provisional one stays.
    """
    with atomic_write(out / FRAMES) as file:
        for row, record in enumerate(islice(read_json_lines(out / FRAMES_PART), frames)):
            segment = int(odometry.segments[row])
            record["state"] = odometry.states[row]
            record["segment"] = segment if segment >= 0 else None
            record["T_world_camera"] = (
                odometry.poses[row].round(9).tolist() if segment >= 0 else None
            )
            file.write((json.dumps(record, allow_nan=False) + "\n").encode())
    (out / FRAMES_PART).unlink()
