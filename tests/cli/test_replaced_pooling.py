"""`--pool`: another pooling from the training to the bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

NETWORK = ("--set", "model.name=espnet_c_p2q3", "--set", "epochs=1")


@pytest.mark.slow
def test_a_network_trained_with_another_pooling_is_evaluated_resumed_and_exported(
    call: Any, recipe: Path, place: Path
) -> None:
    trained = call("train", recipe, "--out", "run", "--pool", "adapool", *NETWORK)
    assert trained.code == 0, trained.err
    card = json.loads((place / "run/best.json").read_text())
    assert (card["model"]["pool"], card["model"]["pool_options"]) == ("adapool", {})
    assert call("train", "--resume", "run").code == 0

    checkpoint = place / "run/best.safetensors"
    assert call("evaluate", checkpoint, "--data", "camvid:set").code == 0
    exported = call("export", checkpoint, "-o", "tiny.onnx")
    assert exported.code == 0, exported.err
    ended = call("segment", "set/val/0.png", "--model", "tiny.onnx", "--engine", "onnxruntime")
    assert ended.code == 0, ended.err

    further = call("train", recipe, "--out", "further", "--pool", "adapool", *NETWORK,
                   "--set", f"model.init={checkpoint}")  # fmt: skip
    assert further.code == 0, further.err
    assert "not in" not in further.out
    plain = call("train", recipe, "--out", "plain", *NETWORK, "--set", f"model.init={checkpoint}")
    assert plain.code == 0, plain.err


@pytest.mark.slow
def test_many_networks_with_another_pooling_have_results_of_their_own(
    call: Any, recipe: Path, place: Path
) -> None:
    """Those that do not pool are left out."""
    done = call("train", "--all", "segmentation", recipe, "--pool", "adapool", "--set", "epochs=1",
                "--models", "fast_scnn", "--models", "espnet_c_p2q3")  # fmt: skip
    assert done.code == 0, done.err
    (result,) = (place / "runs/tiny_adapool/results/segmentation").iterdir()
    stored = json.loads(result.read_text())
    assert stored["name"] == "espnet_c_p2q3"
    assert [run["protocol"] for run in stored["runs"]] == ["tiny_adapool"]


def test_a_pooling_without_a_place_is_one_line(call: Any, recipe: Path) -> None:
    ended = call("train", recipe, "--pool", "adapool", "--set", "model.name=fast_scnn")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "model.pool = 'adapool' in fast_scnn: FastSCNN has no pooling layer" in ended.err
    ended = call("train", recipe, "--pool", "adapol")
    assert "did you mean adapool" in ended.err
    ended = call("train", "--resume", "run", "--pool", "adapool")
    assert "leave out --set, --data, --pool and --out" in ended.err
