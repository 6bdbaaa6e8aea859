"""The benchmark of what poolings keep of pictures, against NumPy, and its part of the page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import pooling_fidelity as benchmark
from litescene.core import SourceError


@pytest.fixture
def noise() -> torch.Tensor:
    values = np.random.default_rng(5).integers(0, 256, (50, 67, 3), dtype=np.uint8)
    return benchmark.as_tensor(values)


@pytest.fixture
def record(noise: torch.Tensor) -> dict[str, object]:
    found = {str(factor): benchmark.Fidelity(factor) for factor in benchmark.FACTORS}
    for fidelity in found.values():
        fidelity.add(noise)
    return {"factors": {name: fidelity.to_dict() for name, fidelity in found.items()}}


def test_pictures_are_taken_at_equal_distances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "SETS", {"some": "pictures"})
    (tmp_path / "pictures").mkdir()
    for i in range(10):
        (tmp_path / "pictures" / f"{i}.JPG").touch()
    (tmp_path / "pictures" / "0.txt").touch()
    found = benchmark.sample(tmp_path, 4)
    assert [path.name for path in found["some"]] == ["0.JPG", "2.JPG", "5.JPG", "7.JPG"]
    with pytest.raises(SourceError, match="10 pictures, 11 are wanted"):
        benchmark.sample(tmp_path, 11)


def test_pictures_are_cut_to_what_both_factors_divide(noise: torch.Tensor) -> None:
    assert tuple(noise.shape) == (1, 3, 48, 64)
    assert torch.equal(benchmark.as_tensor(benchmark.as_picture(noise)), noise)


def test_maximum_against_the_area_average_is_what_numpy_finds(noise: torch.Tensor) -> None:
    fidelity = benchmark.Fidelity(4)
    fidelity.add(noise)
    tiles = noise[0].double().numpy().reshape(3, 12, 4, 16, 4)
    most, mean = (np.round(255 * t) for t in (tiles.max((2, 4)), tiles.mean((2, 4))))
    psnr = 10 * np.log10(255**2 / np.mean((most - mean) ** 2))
    assert fidelity.to_dict()["down"]["max"]["psnr"] == pytest.approx(psnr, abs=0.01)


def test_a_picture_of_one_colour_loses_nothing() -> None:
    fidelity = benchmark.Fidelity(2)
    fidelity.add(torch.full((1, 3, 32, 32), 102 / 255))
    found = fidelity.to_dict()
    for quality in (*found["down"].values(), found["up"]["average"], found["unpooled"]):
        assert (quality["psnr"], quality["ssim"]) == (100.0, pytest.approx(1.0))


def test_the_best_beta_is_that_of_the_highest_psnr(record: dict[str, object]) -> None:
    for found in record["factors"].values():  # type: ignore[attr-defined]
        for which, by_beta in found["beta"].items():
            best = str(found["best_beta"][which])
            assert by_beta[best]["psnr"] == max(quality["psnr"] for quality in by_beta.values())


def test_the_page_has_the_table_and_what_it_was_measured_on(
    record: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "docs")
    import fidelity

    table = benchmark.table(record)
    lines = table.split("\n")
    assert len(lines) == 2 + len(benchmark.POOLINGS) + 2
    assert {line.count("|") for line in lines} == {6}
    whole = record | {
        "table": table,
        "conditions": {"sets": {"some": "x"}, "names": {"some": ["a", "b"]}, "pictures": 2},
        "machine": {"processor": "some", "date": "2026-11-28T10:00:00Z", "commit": "abc"},
    }
    (tmp_path / "record.json").write_text(json.dumps(whole), "utf-8")
    section = fidelity.fidelity(tmp_path / "record.json")
    assert table in section
    assert "2 pictures (2 of some)" in section
    assert "commit abc" in section
    assert fidelity.fidelity(tmp_path / "absent.json") == ""


def test_the_page_says_what_adapool_brings_against_the_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "docs")
    import fidelity

    up = {"average": {"psnr": 27.5}, "adapool": {"psnr": 27.25}}
    assert fidelity.gain({"2": {"up": up}}).endswith("average pooling: -0.25 dB at 2.")
