"""`benchmarks/pooling_restoration.py`: ways differ in nothing else; runs are made and measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import pooling_restoration as benchmark
from litescene.metrics import ImageQuality
from litescene.models import create_model


def test_every_way_is_another_network_of_the_same_recipe(tmp_path: Path) -> None:
    for problem, ways in benchmark.WAYS.items():
        for video in benchmark.VIDEOS:
            recipes = [benchmark.recipe_of(problem, video, way, tmp_path, []) for way in ways]
            options = [recipe.model.options for recipe in recipes]
            assert options == list(ways.values())
            assert [o for o in options if options.count(o) > 1] == []
            bare = [r.model_copy(update={"model": recipes[0].model}) for r in recipes]
            assert bare == [recipes[0]] * len(ways)
            assert recipes[0].evaluate_every == recipes[0].epochs == benchmark.EPOCHS
            for recipe in recipes:
                create_model(recipe.model.name, **recipe.model.options)


def test_words_choose_variants() -> None:
    assert len(list(benchmark.chosen(None))) == 2 * (4 + 6)
    found = [benchmark.name_of(*p) for p in benchmark.chosen(["street_bilinear", "_adapool"])]
    assert found == [
        "super_resolution_street_bilinear",
        "interpolation_motorway_bilinear_adapool",
        "interpolation_street_bilinear",
        "interpolation_street_bilinear_average",
        "interpolation_street_bilinear_adapool",
    ]


def test_without_training_a_picture_is_enlarged_and_frames_are_averaged() -> None:
    rng = np.random.default_rng(0)
    before, after, truth = rng.integers(0, 256, (3, 12, 16, 3), dtype=np.uint8)
    mean = benchmark.without_training(((before, after), truth))
    assert np.abs(mean - (before.astype(np.float64) + after) / 2).max() <= 0.5
    flat = np.full((6, 8, 3), 77, np.uint8)
    assert np.array_equal(benchmark.without_training(((flat,), truth)), np.full_like(truth, 77))


@pytest.mark.slow
def test_finished_runs_stand_beside_what_needs_no_training(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frames: list[Any] = []
    rough = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    wall = cv2.resize(rough, (260, 170), interpolation=cv2.INTER_CUBIC)
    (place / "out/street").mkdir(parents=True)
    for i in range(20):
        frames.append(wall[i : i + 132, 2 * i : 2 * i + 160])
        cv2.imwrite(str(place / f"out/street/{i:05d}.png"), frames[-1])
    monkeypatch.setattr(benchmark, "render_street", lambda folder, facts: None)
    words = ["--out", "out", "--seeds", "2", "--only", "interpolation_street_adaunpool"]
    words += [
        "--set",
        "epochs=1",
        "--set",
        "restoration.pictures=8",
        "--set",
        "restoration.crop=64",
    ]
    benchmark.main(["train", *words])
    assert (place / "out/interpolation_street_adaunpool_seed1/last.json").exists()
    benchmark.main(["measure", *words, "--json", "found.json"])
    assert "| interpolation | street | untrained |" in capsys.readouterr().out
    group = json.loads((place / "found.json").read_text())["ways"]["interpolation"]["street"]
    first, second = (run["psnr"] for run in group["adaunpool"]["runs"])
    assert group["adaunpool"]["psnr"]["mean"] == pytest.approx((first + second) / 2)
    assert group["adaunpool"]["ssim"]["deviation"] is not None
    quality = ImageQuality()
    stored = frames[16:]
    exact = (stored[0].astype(np.float64) + stored[2]) / 2
    quality.add(np.rint(exact).astype(np.uint8), np.ascontiguousarray(stored[1]))
    assert group["untrained"] == pytest.approx(quality.to_dict(), rel=1e-3)
