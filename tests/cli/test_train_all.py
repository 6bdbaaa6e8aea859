"""`litescene train --all`: several networks by one recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from litescene.training import load_recipe
from litescene.training.data_specs import with_absolute_data

ALL = ("train", "--all", "segmentation")
TWO = ("--models", "fast_scnn", "--models", "contextnet")


@pytest.fixture
def short(recipe: Path) -> Path:
    recipe.write_text(recipe.read_text().replace("epochs = 2", "epochs = 1"))
    return recipe


def result(place: Path, name: str) -> dict[str, Any]:
    stored = json.loads((place / f"runs/tiny/results/segmentation/{name}.json").read_text())
    assert stored["name"] == name
    (run,) = stored["runs"]
    return dict(run)


@pytest.mark.slow
def test_every_chosen_network_is_trained_once(call: Any, short: Path, place: Path) -> None:
    done = call(*ALL, short, *TWO)
    assert done.code == 0, done.err
    run = result(place, "fast_scnn")
    assert (run["protocol"], run["epochs"], run["parameters"]) == ("tiny", 1, 1_137_019)
    assert 0 <= run["mean_iou"] <= 1
    assert run["trained_on"] == ["camvid:set"]  # and not where this machine has it
    assert result(place, "contextnet")["macs"] == 546_564_224

    again = call(*ALL, short, *TWO)
    assert (again.code, again.out) == (0, "")
    assert "2 of 2 have a result in runs/tiny/results" in again.err


@pytest.mark.slow
def test_a_network_that_another_process_trains_is_left_to_it(
    call: Any, short: Path, place: Path, trained_elsewhere: Any
) -> None:
    with trained_elsewhere(place / "runs/tiny/fast_scnn"):
        done = call(*ALL, short, *TWO)
    assert done.code == 0, done.err
    assert {p.stem for p in (place / "runs/tiny/results/segmentation").iterdir()} == {"contextnet"}


@pytest.mark.slow
def test_what_was_begun_is_gone_on_with(call: Any, recipe: Path, place: Path) -> None:
    only = ("--models", "fast_scnn")
    begun = call("train", recipe, "--out", "runs/tiny/fast_scnn", "--set", "model.name=fast_scnn",
                 "--set", "epochs=1")  # fmt: skip
    assert begun.code == 0, begun.err
    kept = place / "runs/tiny/fast_scnn/recipe.json"
    kept.write_text(kept.read_text().replace('"epochs": 1', '"epochs": 2'))
    done = call(*ALL, recipe, *only)
    assert done.code == 0, done.err
    assert result(place, "fast_scnn")["epochs"] == 2
    assert len((place / "runs/tiny/fast_scnn/log.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        ({"epochs": 7}, "is of tiny with epochs 7"),
        ({"seed": 3}, "is of tiny with seed 3"),
        ({"trained_on": ["camvid:other"]}, "is of tiny with data camvid:other"),
    ],
)
def test_a_result_of_other_settings_is_not_taken_for_what_is_asked(
    call: Any, recipe: Path, place: Path, trained: dict[str, Any], said: str
) -> None:
    file = place / "runs/tiny/results/segmentation/fast_scnn.json"
    file.parent.mkdir(parents=True)
    run = {
        "protocol": "tiny",
        "mean_iou": 0.5,
        "epochs": 2,
        "seed": 0,
        "trained_on": ["camvid:set"],
    }
    file.write_text(json.dumps({"name": "fast_scnn", "runs": [run]}))
    only = ("--models", "fast_scnn")
    assert call(*ALL, recipe, *only).code == 0
    file.write_text(json.dumps({"name": "fast_scnn", "runs": [{**run, **trained}]}))
    done = call(*ALL, recipe, *only)
    assert done.code == 2
    assert f"fast_scnn.json {said}, which" in done.err


def test_a_begun_run_of_other_settings_is_not_gone_on_with(
    call: Any, recipe: Path, place: Path
) -> None:
    begun = place / "runs/tiny/fast_scnn/recipe.json"
    begun.parent.mkdir(parents=True)
    other = load_recipe(str(recipe), ["epochs=9", "model.name=fast_scnn", "optimizer.lr=7"])
    begun.write_text(with_absolute_data(other).model_dump_json())
    begun.with_name("resume.safetensors").write_bytes(b"an epoch")
    done = call(*ALL, recipe, "--models", "fast_scnn")
    assert done.code == 2
    assert "runs/tiny/fast_scnn was begun with epochs 9, optimizer.lr 7.0, which" in done.err


@pytest.mark.slow
def test_what_one_network_cannot_do_does_not_keep_another_from_it(
    call: Any, short: Path, place: Path
) -> None:
    two = ("--models", "bisenet_x39", "--models", "erfnet_encoder")
    done = call(*ALL, short, *two, "--set", "batch_size=1")
    assert done.code != 0
    assert "batch_size = 1 is too small" in done.out
    assert result(place, "erfnet_encoder")["epochs"] == 1
    again = call(*ALL, short, "--models", "bisenet_x39")  # no epoch was finished: it begins anew
    assert again.code == 0, again.err
    assert result(place, "bisenet_x39")["epochs"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gmacs", "much"), "LOW:HIGH"),
        (("--gmacs", "5:1"), "LOW is to be below HIGH"),
        (("--models", "enet", "--gmacs", "500:"), "no network fits"),
        (("--models", "fast_scn"), "fast_scnn"),
        (("--resume", "runs/x"), "leave out --resume"),
        (("--set", "model.name=enet"), "choose some with --models"),
    ],
)
def test_a_wrong_choice_is_one_line(
    call: Any, place: Path, words: tuple[str, ...], said: str
) -> None:
    done = call(*ALL, *words)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert said in done.err
