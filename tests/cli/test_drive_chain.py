"""`synth`, `run` and `trajectory` one after another, through the command line alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from litescene.media import open_source, read_ply, read_trajectory

FILES = (
    "trajectory.txt",
    "map.ply",
    "map/cameras.txt",
    "frames.jsonl",
    "labels",
    "overlay.mp4",
    "summary.json",
    "report.html",
)


@pytest.mark.slow
def test_a_rendered_drive_is_understood_and_measured(
    call: Any, place: Path, building_bundle: Path
) -> None:
    made = call("synth", "street", "-o", "street", "--seconds", "2", "--width", "320",
                "--height", "240", "--seed", "1")  # fmt: skip
    assert made.code == 0, made.err
    with open_source(place / "street/drive.mp4") as video:
        assert len(list(video)) == 40

    ended = call("run", "street/drive.mp4", "--camera", "street/camera.yaml", "--out", "run",
                 "--segment", building_bundle, "--detect", "none", "--engine", "onnxruntime",
                 "--limit", "30")  # fmt: skip
    assert ended.code == 0, ended.err
    assert "30 frames" in ended.out
    for name in FILES:
        assert (place / "run" / name).exists(), name
    summary = json.loads((place / "run/summary.json").read_text())
    assert summary["frames"] == 30
    assert summary["scale"] == "arbitrary"
    assert len((place / "run/frames.jsonl").read_text().splitlines()) == 30
    assert len(read_ply(place / "run/map.ply")) > 100
    assert len(read_trajectory(place / "run/trajectory.txt")) >= 20

    measured = call("trajectory", "run/trajectory.txt", "street/groundtruth.txt", "--json",
                    "scores.json")  # fmt: skip
    assert measured.code == 0, measured.err
    scores = json.loads((place / "scores.json").read_text())
    # A drive of about 12 m: a tenth of a metre is a hundredth of the path.
    assert scores["ate"]["rmse"] < 0.1


def test_a_camera_that_makes_no_sense_is_one_line(
    call: Any, pictures: Path, building_bundle: Path
) -> None:
    for camera, said in (("fov=400", "fov"), ("absent.yaml", "absent.yaml"), ("K=1,2", "K=")):
        ended = call("run", pictures, "--camera", camera, "--segment", building_bundle,
                     "--detect", "none", "--engine", "onnxruntime", "--out", "o")  # fmt: skip
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert said in ended.err


def test_a_street_of_no_length_is_one_line(call: Any) -> None:
    ended = call("synth", "street", "-o", "street", "--seconds", "0")
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert "seconds" in ended.err
