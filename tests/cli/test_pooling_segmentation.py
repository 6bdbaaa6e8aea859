"""`benchmarks/pooling_segmentation.py`: networks with and without AdaPool, trained and measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pooling_segmentation as benchmark
from litescene.training import load_recipe
from pooled import variants_of


def test_a_variant_differs_by_its_network_and_its_pooling_alone() -> None:
    found = variants_of("segmentation_short", benchmark.NETWORKS, benchmark.POOLS, ["epochs=3"])
    assert list(found) == [
        "pp_liteseg_t_published", "pp_liteseg_t_adapool", "enet_published", "enet_adapool",
    ]  # fmt: skip
    for name, recipe in found.items():
        network, _, pool = name.rpartition("_")
        expected = ["epochs=3", f"model.name={network}"]
        if pool == "adapool":
            expected.append("model.pool=adapool")
        assert recipe == load_recipe("segmentation_short", expected)


@pytest.mark.slow
def test_finished_runs_are_measured(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--recipe", str(recipe), "--set", "epochs=1", "--out", "runs", "--seeds", "1"]
    benchmark.main(["train", *words, "--pool", "adapool"])
    benchmark.main(["measure", *words, "--pool", "adapool", "--json", "found.json"])
    record = json.loads(Path("found.json").read_text())
    assert list(record["networks"]) == ["pp_liteseg_t_adapool", "enet_adapool"]
    for entry in record["networks"].values():
        assert entry["pooling"] == "adapool"
        assert entry["mean_iou"]["mean"] == entry["runs"][0]["mean_iou"]
    assert "| enet | adapool |" in capsys.readouterr().out
