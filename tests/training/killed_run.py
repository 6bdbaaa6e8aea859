"""A training in a process of its own that stops at a chosen place, to be killed just there.

    python killed_run.py RECIPE_JSON RUN_FOLDER PLACE_JSON

It starts the run, or resumes the one that the folder holds. At its place it says "here" and then
waits for its input to end, so that a test kills it there however fast the machine is. Places:

    {"step": 3}                                        after the third step of this process
    {"file": "log.jsonl", "save": 2, "share": 0.4}     in its second save of that file, when so much
                                                       of the temporary file is on the disk
    {}                                                 nowhere
"""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch

from litescene.media import atomic
from litescene.training.loop import Progress, Trainer
from litescene.training.recipe import recipe_from_dict
from litescene.training.run_folder import RunFolder

NOT_KILLED = 3
"""Exit code of a process that nobody killed at its place."""


def wait_to_be_killed() -> None:
    print("here", flush=True)
    sys.stdin.read()
    os._exit(NOT_KILLED)


class HalfWritten(io.FileIO):
    """Takes a share of what is to be written, and no more; unbuffered, so it is in the file."""

    share = 0.0

    def write(self, data: Any) -> int:
        super().write(memoryview(data)[: round(self.share * len(data))])
        os.fsync(self.fileno())
        wait_to_be_killed()
        return len(data)


def stop_in_save(name: str, save: int, share: float) -> None:
    """Have the files that `atomic_write` opens stop at the place."""
    left = save

    def open_here(path: Path, mode: str) -> io.IOBase:
        nonlocal left
        left -= path.name.startswith(f".{name}.")
        if left:
            return open(path, mode)
        file = HalfWritten(path, mode)
        file.share = share
        return file

    atomic.open = open_here  # type: ignore[attr-defined]


def main(plain: dict[str, Any], out: Path, place: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    steps = 0

    def count(progress: Progress) -> None:
        nonlocal steps
        steps += 1
        if steps == place.get("step"):
            wait_to_be_killed()

    if "file" in place:
        stop_in_save(place["file"], place["save"], place["share"])
    if (out / "recipe.json").exists():
        Trainer(RunFolder(out).recipe(), out, count).resume()
    else:
        Trainer(recipe_from_dict(plain, "test"), out, count).start()
    print(f"{steps} steps", flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
