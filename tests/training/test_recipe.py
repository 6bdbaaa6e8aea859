from __future__ import annotations

from pathlib import Path

import pytest

from litescene.core import RecipeError
from litescene.training.recipe import (
    StageSection,
    in_order,
    load_recipe,
    recipe_from_dict,
    stage_at,
    validated,
)
from litescene.training.schedule import learning_rate_factor
from litescene.training.tasks.segmentation import SegmentationSettings

PLAIN = {"name": "x", "task": "segmentation", "epochs": 2, "batch_size": 2, "model": {"name": "m"}}


def test_shipped_recipes_are_found_by_name() -> None:
    assert load_recipe("pp_liteseg_t_camvid").model.name == "pp_liteseg_t"


def test_an_unknown_recipe_offers_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean pp_liteseg_t_camvid"):
        load_recipe("pp_liteseg_camvid")


def test_overrides_set_nested_values() -> None:
    recipe = recipe_from_dict(
        {**PLAIN}, "x.toml", ["optimizer.lr=0.5", "segmentation.data=camvid:a"]
    )
    assert recipe.optimizer.lr == 0.5
    assert recipe.settings == {"data": "camvid:a"}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=1", "unknown key 'optimizer.lrr'; did you mean 'lr'"),
        ("epochs=0", "epochs"),
        ("optimizer.lr=fast", "optimizer.lr"),
        ("epochs", "expected key=value"),
        ("name.x=1", "'name' is not a table"),
        ("settings.a=1", "unknown key 'settings'"),
    ],
)
def test_a_wrong_key_or_value_is_named(override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message.replace(".", r"\.")):
        recipe_from_dict({**PLAIN}, "x.toml", [override])


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("epochs = ")
    with pytest.raises(RecipeError, match="not a TOML file"):
        load_recipe(str(path))


def test_the_checkpoint_to_start_from_is_found_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "last.safetensors").touch()
    name = "pp_liteseg_t_camvid"
    recipe = load_recipe(name, ["model.init=first/last.safetensors"])
    assert recipe.model.init == str(tmp_path.resolve() / "first" / "last.safetensors")
    with pytest.raises(RecipeError, match=r"model\.init = 'best.safetensors': there is no check"):
        load_recipe(name, ["model.init=best.safetensors"])


def test_a_wrong_key_inside_a_list_of_tables_offers_the_nearest() -> None:
    plain = {"data": "camvid:a", "stages": [{"heigth": 64, "height": 64, "width": 64}]}
    with pytest.raises(RecipeError, match=r"'stages\.0\.heigth'; did you mean 'height'"):
        validated(SegmentationSettings, plain, "[segmentation]")


@pytest.mark.parametrize("epochs", [[], [1], [0, 5, 5], [0, 9, 3]])
def test_stages_that_leave_an_epoch_open_are_refused(epochs: list[int]) -> None:
    plain = {
        "data": "camvid:a",
        "stages": [{"epoch": e, "height": 64, "width": 64} for e in epochs],
    }
    with pytest.raises(RecipeError, match="stages begin at epoch 0"):
        validated(SegmentationSettings, plain, "[segmentation]")


def test_a_stage_holds_until_the_next_one() -> None:
    stages = in_order([StageSection(), StageSection(epoch=4), StageSection(epoch=7)])
    assert [stage_at(stages, epoch).epoch for epoch in (0, 3, 4, 6, 7, 99)] == [0, 0, 4, 4, 7, 7]


def test_learning_rate_warms_up_and_falls() -> None:
    schedule = recipe_from_dict({**PLAIN, "schedule": {"name": "cosine", "final": 0.2}}, "x")
    values = [learning_rate_factor(schedule.schedule, t, 0.1) for t in (0.05, 0.1, 0.55, 1.0)]
    assert values == pytest.approx([0.5, 1.0, 0.6, 0.2])
