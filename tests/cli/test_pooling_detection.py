"""`benchmarks/pooling_detection.py`: a detector with one pooling after the other."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest

import pooling_detection as benchmark
from litescene.training import load_recipe
from pooled import variants_of


def test_a_variant_differs_by_its_pooling_alone() -> None:
    found = variants_of(benchmark.NETWORK, [benchmark.NETWORK], benchmark.POOLS, benchmark.SETTINGS)
    plain = load_recipe(benchmark.NETWORK, [*benchmark.SETTINGS])
    assert [recipe.model.pool for recipe in found.values()] == [None, *benchmark.POOLS[1:]]
    for recipe in found.values():
        assert recipe.model_copy(update={"model": plain.model}) == plain


@pytest.mark.slow
def test_finished_runs_are_measured(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (place / "set" / kind / split).mkdir(parents=True)
        for index in range(4):
            picture = rng.integers(0, 90, (96, 128, 3), dtype=np.uint8)
            picture[32:64, 32:96] = 240
            cv2.imwrite(str(place / f"set/images/{split}/{index}.png"), picture)
            (place / f"set/labels/{split}/{index}.txt").write_text("0 0.5 0.5 0.5 0.3333\n")
    (place / "set/data.yaml").write_text("names: [car]\n")
    tiny = (
        *("epochs=1", "evaluate_every=1", "batch_size=2", "precision='32-true'"),
        *("detection.pictures=4", "detection.size=96"),
        "detection.stages=[{epoch=0,size=64,mosaic=0.5}]",
        'detection.train=[{data="yolo:set"}]',
        'detection.val=["yolo:set"]',
    )
    words = [word for setting in tiny for word in ("--set", setting)]
    words += ["--pool", "adapool", "--seeds", "1", "--out", "runs"]
    benchmark.main(["train", *words])
    benchmark.main(["measure", *words, "--json", "pooling_detection.json"])
    record = json.loads(Path("pooling_detection.json").read_text())
    entry = record["networks"]["yolov5_lite_s_adapool"]
    assert entry["ap50"] == {"mean": entry["runs"][0]["ap50"], "deviation": None}
    assert "| yolov5_lite_s | adapool |" in capsys.readouterr().out
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs")
    page = import_module("poolings").poolings(Path())
    assert f"| `yolov5_lite_s` | `adapool` | {entry['ap50']['mean']:.4f} | 1 |" in page
