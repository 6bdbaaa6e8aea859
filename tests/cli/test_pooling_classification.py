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
from litescene.models import create_model
from litescene.models.pooling import replace_pools
from litescene.ops.pooling import POOLINGS

TINY = ["--set", "epochs=2", "--set", "evaluate_every=1", "--set", "batch_size=2",
        "--set", "precision='32-true'", "--set", "classification.data=imagefolder:set"]  # fmt: skip


def test_there_are_networks_with_all_these_poolings() -> None:
    for name in pooling.POOLS[1:]:
        assert name in POOLINGS
        replace_pools(create_model(pooling.NETWORK), name)


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
    words = [
        *TINY,
        "--pool",
        "published",
        "--seeds",
        "2",
        "--out",
        "runs",
        "--json",
        "pooling_classification.json",
    ]
    records: list[int] = []
    write = variants.write_atomic

    def counted(path: Path, text: str) -> None:
        records.append(len(json.loads(text)["networks"]["resnet18_published"]["runs"]))
        write(path, text)

    monkeypatch.setattr(variants, "write_atomic", counted)
    pooling.main(["train", *words])
    assert records == [1, 2]
    pooling.main(["train", *words])
    assert records == [1, 2]  # nothing was left to do
    capsys.readouterr()
    pooling.main(["measure", *words])
    record = json.loads(Path("pooling_classification.json").read_text())
    entry = record["networks"]["resnet18_published"]
    tops = [run["top1"] for run in entry["runs"]]
    assert [run["seed"] for run in entry["runs"]] == [0, 1]
    assert entry["top1"]["mean"] == pytest.approx(np.mean(tops))
    assert entry["top1"]["deviation"] == pytest.approx(np.std(tops, ddof=1))
    assert set(entry["runs"][0]["top1_by_epoch"]) == {"1", "2"}
    assert record["crops"] == {k: contents[k] for k in ("side", "crops", "classes", "digest")}
    assert "| resnet18 | published | " in capsys.readouterr().out
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "docs")
    page = import_module("poolings").poolings(Path())
    mean, deviation = entry["top1"]["mean"], entry["top1"]["deviation"]
    assert f"| `resnet18` | `published` | {mean:.4f} ± {deviation:.4f} | " in page
    assert "| bird | 3 | 1 | camera, street |" in page
    with pytest.raises(RecipeError, match="another recipe"):
        pooling.main(["train", *words, "--set", "epochs=3"])
