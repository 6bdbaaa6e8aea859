"""The rooms of the main job load and work where PyTorch and its company do not exist."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = ("core", "geometry", "media", "metrics", "synth", "runtime", "scene")
READERS = ("location", "segmentation", "detection", "classification", "restoration", "doctor")
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
sys.path.insert(0, sys.argv[4])
from short_drive import COUNT, HEIGHT, WIDTH, assert_whole, frames_of
from litescene.cli import main
from litescene.media import VideoWriter

segmenter, detector, place = sys.argv[1], sys.argv[2], Path(sys.argv[3])
with VideoWriter(place / "drive.mp4", WIDTH, HEIGHT, 10) as video:
    for frame in frames_of():
        video.write(frame.image, frame.time)
usual = ["--segment", segmenter, "--detect", detector, "--engine", "onnxruntime"]
for verb in (["run"], ["segment", "--model", segmenter], ["detect", "--model", detector]):
    words = usual if verb == ["run"] else usual[-2:]
    try:
        main([*verb, str(place / "drive.mp4"), "--out", str(place / verb[0]), *words])
    except SystemExit as ended:
        assert ended.code == 0, (verb, ended.code)
summary = assert_whole(place / "run", COUNT)
assert summary["states"]["tracking"] == COUNT
assert summary["map"]["points"] > 500
assert summary["objects"] > 0
assert len(list((place / "segment" / "labels").iterdir())) == COUNT
assert (place / "detect" / "detections.jsonl").stat().st_size > 0
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
def test_the_main_job_runs_without_pytorch(
    tmp_path: Path, building_bundle: Path, boxes_bundle: Path
) -> None:
    helpers = Path(__file__).parent / "scene"
    start(MAIN_JOB, building_bundle, boxes_bundle, tmp_path, helpers)


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


@pytest.fixture
def boxes_bundle(tmp_path: Path) -> Path:
    """The tiny detector of the runtime's tests."""
    from litescene.runtime import write_metadata
    from tiny_bundles import detection_contract, detection_model

    path = tmp_path / "boxes.onnx"
    path.write_bytes(write_metadata(detection_model(), detection_contract()))
    return path
