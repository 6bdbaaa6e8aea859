"""Speed and memory of the main job over a long video, all stages on.

    python benchmarks/run_speed.py SOURCE --camera fov=60 --frames 2000 --json result.json

The clip is played forwards and backwards until the number of frames is reached, so that the
camera's path stays continuous, and stored as an H.264 video first, so that decoding counts.
Prints frames a second, milliseconds per stage and the resident memory over time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import litescene
from litescene.core import Frame
from litescene.core.provenance import provenance
from litescene.media import VideoWriter, open_source, write_atomic
from litescene.runtime.catalog import DEFAULT_DETECTOR, DEFAULT_SEGMENTER

MEMORY_STEP = 100


def resident_megabytes() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def write_looped(path: Path, frames: list[Frame], count: int) -> None:
    """A video of the frames forwards, backwards, forwards ... `count` in all."""
    step = (frames[-1].time - frames[0].time) / max(len(frames) - 1, 1)
    order = [*frames, *frames[-2:0:-1]]
    with VideoWriter(path, frames[0].width, frames[0].height, 1 / step) as video:
        for i in range(count):
            video.write(order[i % len(order)].image, i * step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--camera", default="fov=70")
    parser.add_argument("--segment", default=DEFAULT_SEGMENTER)
    parser.add_argument("--detect", default=DEFAULT_DETECTOR)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with open_source(arguments.source) as source:
        frames = list(source)
    width, height = frames[0].width, frames[0].height
    memory: list[float] = []

    def progress(done: int, _: int | None) -> None:
        if done % MEMORY_STEP == 0:
            memory.append(round(resident_megabytes(), 1))

    with tempfile.TemporaryDirectory() as out:
        write_looped(Path(out) / "looped.mp4", frames, arguments.frames)
        del frames
        result = litescene.run(
            Path(out) / "looped.mp4",
            out=Path(out) / "run",
            camera=arguments.camera,
            segment=arguments.segment,
            detect=arguments.detect,
            progress=progress,
        )
    summary = result.summary
    record = {
        "benchmark": "run_speed",
        **provenance(),
        "source": Path(arguments.source).name,
        "size": [width, height],
        **{k: summary[k] for k in ("frames", "frames_per_second", "milliseconds", "states")},
        "engines": summary["settings"]["engines"],
        "memory_mb": memory,
    }
    print(json.dumps(record, indent=2))
    if arguments.json:
        write_atomic(arguments.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
