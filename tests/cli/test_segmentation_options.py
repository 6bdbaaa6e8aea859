"""`benchmarks/segmentation_options.py`: each variant changes one thing; trained once, measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import segmentation_options as options
from litescene.training import load_recipe
from litescene.training.recipe import parse_override
from variants import mean_and_deviation, written

SHORT = "segmentation_short"


def differences(name: str, checkpoint: Path | None = None) -> dict[str, object]:
    """What an option's recipe has otherwise than the network's plain one, by dotted key."""

    def flat(table: dict[str, object], above: str = "") -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in table.items():
            if isinstance(value, dict):
                found |= flat(value, f"{above}{key}.")
            else:
                found[above + key] = value
        return found

    network = options.OPTIONS[name][0]
    plain = flat(load_recipe(SHORT, [f"model.name={network}"]).model_dump(mode="json"))
    own = flat(options.changed(SHORT, name, checkpoint, []).model_dump(mode="json"))
    return {key: value for key, value in own.items() if plain.get(key) != value}


@pytest.mark.parametrize("name", [n for n in options.OPTIONS if n not in ("teacher", "street")])
def test_an_option_changes_what_it_says_and_nothing_else(name: str) -> None:
    change = options.OPTIONS[name][1]
    found = differences(name)
    if not change:
        assert found == {}
    elif change.startswith("class_balance"):
        assert list(found) == ["settings.stages"]
        balance = float(change.partition("=")[2])
        plain = load_recipe(SHORT, []).model_dump(mode="json")["settings"]["stages"]
        assert found["settings.stages"] == [{**stage, "class_balance": balance} for stage in plain]
    else:
        keys, value = parse_override(change)
        assert found == {f"settings.{keys[1]}": value}


def test_options_with_a_checkpoint_name_it(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    file.touch()
    assert differences("teacher", file) == {"settings.teacher.checkpoint": str(file)}
    assert differences("street", file) == {"model.init": str(file)}


def test_mean_and_deviation_are_those_of_the_sample() -> None:
    assert mean_and_deviation([0.5]) == {"mean": 0.5, "deviation": None}
    found = mean_and_deviation([0.5, 0.7, 0.6])
    assert found == pytest.approx({"mean": 0.6, "deviation": 0.1})
    assert written(found) == "0.6000 ± 0.1000"


@pytest.mark.slow
def test_finished_runs_are_measured_and_absent_checkpoints_named(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--recipe", str(recipe), "--set", "epochs=1", "--out", "runs", "--seeds", "1"]
    words += ["--only", "plain", "--only", "ohem", "--only", "teacher"]
    options.main(["train", *words])
    options.main(["measure", *words, "--json", "found.json"])
    assert "teacher is left out: give its checkpoint by --teacher" in capsys.readouterr().out
    record = json.loads(Path("found.json").read_text())
    assert list(record["options"]) == ["plain", "ohem"]
    ohem = record["options"]["ohem"]
    assert (ohem["network"], ohem["against"]) == ("fast_scnn", "plain")
    assert ohem["mean_iou"]["mean"] == ohem["runs"][0]["mean_iou"]
