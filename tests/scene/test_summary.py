"""`summary.json`: valid JSON, or an error that says why not."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pytest
from short_drive import RunJob, assert_whole

from litescene.core import Frame
from litescene.scene import summary


def test_numpy_numbers_and_paths_become_plain() -> None:
    plain = {"limit": np.int64(3), "share": np.float32(0.5), "out": Path("a/b"), "none": None}
    assert json.loads(summary.to_json(plain)) == {
        "limit": 3, "share": 0.5, "out": "a/b", "none": None
    }  # fmt: skip


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float64("nan")])
def test_numbers_that_json_does_not_have_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        summary.to_json({"value": value})


def test_what_is_not_json_is_named() -> None:
    with pytest.raises(TypeError, match="set is not JSON"):
        summary.to_json({"value": {1}})


def test_only_installed_packages_have_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(package: str) -> str:
        if package == "openvino":
            raise importlib.metadata.PackageNotFoundError(package)
        return "1.2.3"

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = summary.versions()
    assert "openvino" not in found
    assert found["onnxruntime"] == "1.2.3"
    assert found["litescene"]


def test_stages_are_means_per_frame_summed_over_the_parts() -> None:
    parts = [{"depth": 10.0}, {"depth": 20.0, "fusion": 5.0}]
    assert summary.milliseconds_of(parts, 10, 2.0) == {
        "depth": 3.0, "fusion": 0.5, "elapsed": 200.0
    }  # fmt: skip
    assert summary.milliseconds_of([], 0, 0.0) == {"elapsed": 0.0}


def test_a_callers_ctrl_c_between_frames_ends_the_run_as_any_other(
    drive: list[Frame], run_job: RunJob
) -> None:
    def stop(done: int, total: int | None) -> None:
        if done == 4:
            raise KeyboardInterrupt

    scene = run_job(drive, progress=stop, limit=np.int64(9))
    assert scene.interrupted
    assert assert_whole(scene.out, 4)["settings"]["limit"] == 9
