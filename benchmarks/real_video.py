"""The main job on the real videos of the data folder, and on KITTI 07 its distance from the truth.

    python benchmarks/real_video.py [--data FOLDER] [--json result.json]

Needs, below the folder named by LITESCENE_DATA: `video/solidWhiteRight.mp4`, `camvid/val` and
`kitti07_160`. The other two have no true trajectory; of them only the tracking is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import litescene
from litescene.core import Trajectory
from litescene.core.provenance import provenance
from litescene.media import write_atomic
from litescene.media.trajectory_files import read_trajectory
from litescene.metrics.trajectory import evaluate_trajectory

SOURCES = {
    "motorway": ("video/solidWhiteRight.mp4", "fov=60"),
    "camvid_val": ("camvid/val", "fov=60"),
    "kitti07": ("kitti07_160/image_0", "kitti07_160/calib.txt"),
}
TRUTH = "kitti07_160/poses.txt"


def understand(data: Path, source: str, camera: str) -> tuple[Trajectory, dict[str, Any]]:
    """The trajectory and what the summary says of the run."""
    spec = str(data / camera) if (data / camera).is_file() else camera
    with tempfile.TemporaryDirectory() as out:
        scene = litescene.run(data / source, out=Path(out) / "run", camera=spec)
    wanted = ("frames", "frames_per_second", "states", "segments", "milliseconds")
    facts = {key: scene.summary[key] for key in wanted}
    return scene.trajectory, facts | {"map_points": scene.summary["map"]["points"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(os.environ.get("LITESCENE_DATA") or "../shared/data")
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    record: dict[str, Any] = {"what": "real_video", **provenance()}
    for name, (source, camera) in SOURCES.items():
        found, record[name] = understand(given.data, source, camera)
        if name == "kitti07":
            truth = read_trajectory(given.data / TRUTH)
            record[name]["against_truth"] = evaluate_trajectory(found, truth, "sim3").to_dict()
        print(name, json.dumps(record[name], indent=2), flush=True)
    if given.json:
        write_atomic(given.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
