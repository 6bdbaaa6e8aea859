"""The sections of the documentation that say what poolings bring networks."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

MACHINE = {"processor": "P", "date": "D", "commit": "C"}


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "docs")
    import poolings

    return poolings


def figures(mean: float, deviation: float | None) -> dict[str, float | None]:
    return {"mean": mean, "deviation": deviation}


def test_networks_stand_with_their_poolings_and_the_command_that_trained_them(
    tables: ModuleType, tmp_path: Path
) -> None:
    record: dict[str, Any] = {
        "machine": MACHINE,
        "recipe": "short",
        "seeds": 3,
        "settings": ["epochs=4", 'segmentation.stages=[{epoch = 0}]'],
        "conditions": {"protocol": "short", "epochs": 4, "size": [360, 480]},
        "metrics": ["mean_iou"],
        "networks": {
            "enet_adapool": {
                "network": "enet", "pooling": "adapool",
                "mean_iou": figures(0.51234, 0.01), "runs": [{}, {}, {}],
            }
        },
    }  # fmt: skip
    (tmp_path / "pooling_segmentation.json").write_text(json.dumps(record))
    text = tables.poolings(tmp_path)
    assert "By the recipe `short`, 4 epochs, at 480×360." in text
    assert "| `enet` | `adapool` | 0.5123 ± 0.0100 | 3 |" in text
    assert (
        "`python benchmarks/pooling_segmentation.py train --recipe short --seeds 3 "
        "--set epochs=4 --set 'segmentation.stages=[{epoch = 0}]'`. (P, D, commit C)"
    ) in text


def test_ways_of_up_sampling_stand_beside_what_needs_no_training(
    tables: ModuleType, tmp_path: Path
) -> None:
    ways = {
        "conditions": {"protocol": "x2", "epochs": 4, "size": [0, 0]},
        "untrained": {"psnr": 30.0, "ssim": 0.9},
        "adaunpool": {"psnr": figures(31.234, None), "ssim": figures(0.95, None), "runs": [{}]},
    }
    record = {"machine": MACHINE, "settings": [], "ways": {"super_resolution": {"street": ways}}}
    (tmp_path / "pooling_restoration.json").write_text(json.dumps(record))
    text = tables.poolings(tmp_path)
    assert "| street | `untrained` | 30.00 | 0.9000 | - |" in text
    assert "| street | `adaunpool` | 31.23 | 0.9500 | 1 |" in text
    assert "`python benchmarks/pooling_restoration.py train`. (P, D, commit C)" in text


def test_nothing_is_written_of_what_was_not_trained(tables: ModuleType, tmp_path: Path) -> None:
    assert tables.poolings(tmp_path) == ""
