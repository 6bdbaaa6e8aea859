"""`benchmarks/pooling_classification.py`: what a pooling changes; trained once, measured."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import pooling_classification as pooling
import variants
from litescene.core import RecipeError

TINY = ["--set", "epochs=2", "--set", "evaluate_every=1", "--set", "batch_size=2",
        "--set", "precision='32-true'", "--set", "classification.data=imagefolder:set"]  # fmt: skip


def test_the_published_pooling_changes_nothing_and_others_are_the_models_own() -> None:
    assert pooling.settings_of("published", ["epochs=3"]) == ["epochs=3"]
    assert pooling.settings_of("adapool", ["epochs=3"]) == ["epochs=3", "model.pool=adapool"]


@pytest.mark.slow
def test_runs_are_trained_once_and_recorded_one_by_one(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for split in ("train", "val"):
        for value, name in ((30, "dark"), (220, "light")):
            (place / "set" / split / name).mkdir(parents=True)
            grey = np.full((64, 64, 3), value, np.uint8)
            PIL.Image.fromarray(grey).save(place / f"set/{split}/{name}/0.png")
    classes = {"bird": {"train": {"street": 3}, "val": {"camera": 1}}}
    contents = {"side": 64, "crops": {"train": 2}, "classes": classes, "digest": "d", "machine": {}}
    (place / "set" / "contents.json").write_text(json.dumps(contents))
    words = [*TINY, "--seeds", "2", "--out", "runs", "--json", "found.json"]
    records: list[int] = []
    write = variants.write_atomic

    def counted(path: Path, text: str) -> None:
        records.append(len(json.loads(text)["poolings"]["published"]["runs"]))
        write(path, text)

    monkeypatch.setattr(variants, "write_atomic", counted)
    pooling.main(["train", *words])
    assert records == [1, 2]
    pooling.main(["train", *words])
    assert records == [1, 2]  # nothing was left to do
    capsys.readouterr()
    pooling.main(["measure", *words])
    record = json.loads(Path("found.json").read_text())
    entry = record["poolings"]["published"]
    tops = [run["top1"] for run in entry["runs"]]
    assert [run["seed"] for run in entry["runs"]] == [0, 1]
    assert entry["top1"]["mean"] == pytest.approx(np.mean(tops))
    assert entry["top1"]["deviation"] == pytest.approx(np.std(tops, ddof=1))
    assert set(entry["runs"][0]["top1_by_epoch"]) == {"1", "2"}
    assert record["conditions"]["model"] == "resnet18"
    assert record["crops"] == {k: contents[k] for k in ("side", "crops", "classes", "digest")}
    assert "| published | " in capsys.readouterr().out
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs")
    page = import_module("poolings").poolings(Path("found.json"))
    mean, deviation = entry["top1"]["mean"], entry["top1"]["deviation"]
    assert f"| `published` | {mean:.4f} ± {deviation:.4f} | " in page
    assert "| bird | 3 | 1 | camera, street |" in page
    with pytest.raises(RecipeError, match="another recipe"):
        pooling.main(["train", *words, "--set", "epochs=3"])
