"""The tables of what the segmentation networks reached, on the documentation's page of models."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from litescene.core import CAMVID
from litescene.core.trained import COMMON, SHORT

NAMES = ["pp_liteseg_t", "sctf", "enet"]
IOU = {name: index / 20 for index, name in enumerate(CAMVID.names)}
WHERE = {
    "data": "camvid:val",
    "processor": "some processor",
    "cores": 2,
    "seed": 0,
    "commit": "abc",
    "date": "2026-11-21T10:00:00Z",
}


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the documentation, with three networks only."""
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "docs")
    import comparison

    monkeypatch.setattr(comparison, "list_models", lambda task: NAMES)
    return comparison


def store(folder: Path, name: str, *runs: dict[str, Any]) -> None:
    (folder / "segmentation").mkdir(exist_ok=True)
    (folder / "segmentation" / f"{name}.json").write_text(json.dumps({"name": name, "runs": runs}))


def lines(text: str) -> list[list[str]]:
    """The cells of every line of every table."""
    tables = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables]


def test_without_results_every_network_is_not_trained_yet(page: ModuleType, tmp_path: Path) -> None:
    text = page.comparison(tmp_path)
    rows = lines(text)[2:]
    assert [row[0] for row in rows] == ["`enet`", "`pp_liteseg_t`", "`sctf`"]
    assert all(row[4:8] == ["not trained yet", "-", "-", "-"] for row in rows)
    assert "IoU per class" not in text
    # 8,028,064 parameters and 3,852,533,652 MACs of the official code in PaddlePaddle.
    assert rows[1][1:4] == ["PP-LiteSeg, arXiv 2204.02681 (2022)", "8.028", "3.85"]
    assert "cityscapes val mIoU (512×1024): 73.1" in rows[1][8]


def test_trained_networks_come_first_with_their_protocols(page: ModuleType, tmp_path: Path) -> None:
    length = {"epochs": 160, "seconds": 9000, "macs": 7_000_000_000}
    common = {"protocol": COMMON, "mean_iou": 0.5, **length, **WHERE}
    own = {"protocol": "own", "mean_iou": 0.7, "iou": IOU, "epochs": 94}
    store(tmp_path, "sctf", {**common, "protocol": SHORT, "mean_iou": 0.4, "epochs": 20})
    store(tmp_path, "pp_liteseg_t", common, own)
    text = page.comparison(tmp_path)
    first, second, third = lines(text)[2:5]
    assert (first[0], *first[3:8]) == (
        "`pp_liteseg_t`", "7.00", "**0.500** (160 epochs, 2.5 h)", "-", "-",
        "**0.700** (94 epochs), `own`",
    )  # fmt: skip
    assert (second[0], *second[4:8]) == ("`sctf`", "-", "**0.400** (20 epochs, 2.5 h)", "-", "-")
    assert second[3] != "7.00", "what was counted at another size is no figure of this one"
    assert third[4] == "not trained yet"
    classes = next(row for row in lines(text) if row[:3] == ["`pp_liteseg_t`", "`own`", "0.700"])
    assert classes[3:] == [f"{value:.3f}" for value in IOU.values()]
    origin = next(row for row in lines(text) if row[:2] == [f"`{COMMON}`", "1"])
    assert origin[2:] == [
        "camvid:val", "-", "some processor, 2 cores", "0", "abc", "2026-11-21",
    ]  # fmt: skip


def test_the_packaged_results_make_a_page(page: ModuleType) -> None:
    row = next(r for r in lines(page.comparison()) if r[0] == "`pp_liteseg_t`")
    assert "**0.730** (94 epochs), `pp_liteseg_t_camvid_street`" in row[7]
