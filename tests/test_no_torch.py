"""The rooms of the main job load and work where PyTorch and its company do not exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = ("core", "geometry", "media", "metrics", "synth", "runtime", "scene")
READERS = ("location", "segmentation", "detection", "doctor")
BLOCKED = ("torch", "lightning_fabric", "safetensors", "pydantic", "tensorboard", "onnx")

PRELUDE = f"""
import sys
for name in {BLOCKED!r}:
    sys.modules[name] = None  # importing it fails, and looking for it finds nothing
"""

IMPORT_ALL = f"""
import importlib, pkgutil, litescene
for room in {ROOMS!r}:
    package = importlib.import_module("litescene." + room)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
for reader in {READERS!r}:
    importlib.import_module("litescene.data." + reader)
from litescene.cli.verbs import VERBS
from litescene.cli.dispatch import parser
for verb in VERBS:
    parser(verb)
"""

MAIN_JOB = """
import sys
from pathlib import Path
import numpy as np
import litescene
from litescene.core import Frame

rng = np.random.default_rng(0)
grain = rng.integers(0, 256, (60, 120, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
frames = [
    Frame(i, i / 10, np.ascontiguousarray(grain[100:340, 4 * i : 4 * i + 320])) for i in range(12)
]
out = Path(sys.argv[2])
scene = litescene.run(frames, out=out, camera="fov=60", segment=sys.argv[1], detect=None,
                      engine="onnxruntime")
assert scene.summary["frames"] == 12
for name in ("summary.json", "frames.jsonl", "overlay.mp4", "report.html"):
    assert (out / name).stat().st_size > 0, name
assert len(list((out / "labels").iterdir())) == 12
"""


def start(code: str, *arguments: str | Path) -> None:
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", PRELUDE + code]
    done = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr


def test_every_module_of_the_main_job_and_every_verb_loads_without_pytorch() -> None:
    start(IMPORT_ALL)


@pytest.mark.slow
def test_the_main_job_runs_without_pytorch(tmp_path: Path, building_bundle: Path) -> None:
    start(MAIN_JOB, building_bundle, tmp_path / "out")


def test_training_verbs_say_which_extra_is_missing() -> None:
    code = """
from litescene.cli import main
main(["train", "pp_liteseg_t_camvid"])
"""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr == ("litescene: training needs an extra: pip install 'litescene[train]'\n")
