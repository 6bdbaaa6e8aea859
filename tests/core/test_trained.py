"""The result files of training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from litescene.core import DataError
from litescene.core.trained import COMMON, no_accuracy, trained_by, trained_runs


def store(folder: Path, name: str, *runs: dict[str, Any]) -> None:
    (folder / "segmentation").mkdir(exist_ok=True)
    file = folder / "segmentation" / f"{name}.json"
    file.write_text(json.dumps({"name": name, "runs": runs}))


def test_runs_are_found_by_network_and_protocol(tmp_path: Path) -> None:
    store(
        tmp_path,
        "enet",
        {"protocol": COMMON, "mean_iou": 0.6, "data": "camvid:val", "epochs": 3},
        {"protocol": "long", "mean_iou": 0.7},
    )
    store(tmp_path, "erfnet", {"protocol": "long", "mean_iou": 0.65})
    runs = trained_runs(folder=tmp_path)
    assert {name: set(found) for name, found in runs.items()} == {
        "enet": {COMMON, "long"},
        "erfnet": {"long"},
    }
    (run,) = trained_by(folder=tmp_path).values()
    assert (run.name, run.mean_iou, run.data, run.facts["epochs"]) == ("enet", 0.6, "camvid:val", 3)
    assert trained_runs("detection", tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "bad.json"),
        ('{"name": "other", "runs": []}', "other"),
        ('{"name": "bad", "runs": [{"protocol": "a"}]}', "mean_iou"),
        ('{"name": "bad", "runs": [{"protocol": "a", "mean_iou": 61.2}]}', "61.2"),
        ('{"name": "bad", "runs": 3}', "bad.json"),
    ],
)
def test_a_malformed_file_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "segmentation").mkdir()
    (tmp_path / "segmentation/bad.json").write_text(text)
    with pytest.raises(DataError, match=r"bad\.json") as error:
        trained_runs(folder=tmp_path)
    assert said in str(error.value)


def test_an_unknown_protocol_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    assert "no result is stored" in no_accuracy("x", folder=tmp_path)
    store(tmp_path, "enet", {"protocol": "long", "mean_iou": 0.7})
    assert "'x'" in no_accuracy("x", folder=tmp_path)
    assert "long" in no_accuracy("x", folder=tmp_path)


def test_the_packaged_results_are_readable() -> None:
    for name, runs in trained_runs().items():
        assert all(run.name == name for run in runs.values())
