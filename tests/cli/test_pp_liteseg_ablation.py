"""`benchmarks/pp_liteseg_ablation.py` on four pictures: trained once, resumed, measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pp_liteseg_ablation as ablation
from litescene.core import RecipeError


def test_every_configuration_is_another_network() -> None:
    size = (64, 64)
    counted = {
        n: ablation.counts("pp_liteseg_b", o, size) for n, o in ablation.CONFIGURATIONS.items()
    }
    assert {name: found["parameters"] for name, found in counted.items()} == {
        "baseline": 11_203_168,
        "fld": 11_691_744,
        "fld_sppm": 12_233_952,
        "fld_uafm_spatial": 11_691_936,
        "fld_uafm_channel": 11_756_416,
        "all": 12_234_240,
    }


@pytest.mark.slow
def test_runs_are_trained_once_and_measured(
    recipe: Path, place: Path, capsys: pytest.CaptureFixture[str], trained_elsewhere: Any
) -> None:
    common = ["--recipe", str(recipe), "--set", "epochs=1", "--out", "runs", "--seeds", "2"]
    common += ["--only", "baseline", "--only", "all"]
    with trained_elsewhere(place / "runs/all_seed1"):
        ablation.main(["train", *common])  # that one is left to the process that holds it
    finished = place.glob("runs/*/last.safetensors")
    kept = {file.parent.name: file.stat().st_mtime_ns for file in finished}
    assert set(kept) == {"baseline_seed0", "all_seed0", "baseline_seed1"}

    ablation.main(["measure", *common, "--rounds", "1", "--json", "found.json"])
    assert "all: 1 of 2 runs are finished" in capsys.readouterr().out
    record = json.loads((place / "found.json").read_text())
    assert (record["conditions"]["protocol"], record["conditions"]["size"]) == ("tiny", [96, 96])
    baseline, whole = (record["configurations"][name] for name in ("baseline", "all"))
    first, second = (run["mean_iou"] for run in baseline["runs"])
    assert baseline["mean_iou"]["mean"] == pytest.approx((first + second) / 2)
    assert baseline["mean_iou"]["deviation"] == pytest.approx(abs(first - second) / 2**0.5)
    assert [run["seed"] for run in whole["runs"]] == [0]
    assert whole["mean_iou"]["deviation"] is None
    assert whole["runtime_ms"]["count"] == 2
    assert whole["runtime_ms"]["median"] > 0

    ablation.main(["train", *common])
    assert (place / "runs/all_seed1/last.json").exists()
    for name, time in kept.items():
        assert (place / "runs" / name / "last.safetensors").stat().st_mtime_ns == time
    with pytest.raises(RecipeError, match="another recipe"):
        ablation.main(["train", *common, "--set", "epochs=2"])
