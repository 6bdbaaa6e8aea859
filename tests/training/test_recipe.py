from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from litescene.core import RecipeError
from litescene.training.recipe import (
    OptimizerSection,
    StageSection,
    find_recipe,
    in_order,
    load_recipe,
    recipe_from_dict,
    stage_at,
    validated,
)
from litescene.training.schedule import learning_rate_factor
from litescene.training.tasks.base import build_network, optimizer_groups
from litescene.training.tasks.segmentation_settings import SegmentationSettings

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


def test_a_recipe_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "segmentation_common.toml"
    path.write_text(find_recipe("segmentation_common").read_text("utf-8"), "utf-8-sig")
    assert load_recipe(str(path)) == load_recipe("segmentation_common")


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
    values = [learning_rate_factor(schedule.schedule, epoch, 20) for epoch in (1, 2, 11, 20)]
    assert values == pytest.approx([0.5, 1.0, 0.6, 0.2])


def test_learning_rate_falls_at_milestones() -> None:
    schedule = {"name": "step", "milestones": [3, 6], "gamma": 0.5, "warmup_epochs": 1}
    section = recipe_from_dict({**PLAIN, "schedule": schedule}, "x").schedule
    values = [learning_rate_factor(section, epoch, 9) for epoch in (0.5, 1, 2.9, 3, 5.9, 6, 8.9)]
    assert values == [0.5, 1, 1, 0.5, 0.5, 0.25, 0.25]


def test_learning_rate_begins_again_at_restarts() -> None:
    again = [{"epoch": 10, "factor": 0.5}, {"epoch": 14, "factor": 0.25}]
    schedule = {"power": 1.0, "warmup_epochs": 2, "restarts": again}
    section = recipe_from_dict({**PLAIN, "schedule": schedule}, "x").schedule
    epochs = (1, 2, 6, 9.5, 10, 12, 14, 16, 18)
    values = [learning_rate_factor(section, epoch, 18) for epoch in epochs]
    assert values == pytest.approx([0.5, 1, 0.5, 0.0625, 0.5, 0.25, 0.25, 0.125, 0])
    shorter = [learning_rate_factor(section, epoch, 6) for epoch in (2, 4, 6)]
    assert shorter == pytest.approx([1, 0.5, 0])  # a restart that never comes


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ({"restarts": [{"epoch": 5, "factor": 1}, {"epoch": 5, "factor": 1}]}, r"rise, .*\[5, 5\]"),
        ({"name": "step", "restarts": [{"epoch": 5, "factor": 1}]}, "step has milestones"),
        ({"warmup_epochs": 5, "restarts": [{"epoch": 5, "factor": 1}]}, "after the warm-up"),
        ({"milestones": [3]}, "milestones belong to step, this is poly"),
        ({"name": "step", "milestones": [6, 3]}, r"milestones rise, these are \[6, 3\]"),
        ({"name": "step", "milestones": [0]}, "greater than 0"),
        ({"warmup_epochs": float("inf")}, "finite number"),
    ],
)
def test_wrong_schedules_are_named(schedule: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        recipe_from_dict({**PLAIN, "schedule": schedule}, "x")


SETTINGS = {"data": "camvid:a", "stages": [{"height": 64, "width": 64}]}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"teacher": {"temperature": 2.0}}, r"teacher\.checkpoint: Field required"),
        ({"teacher": {"checkpiont": "a", "checkpoint": "a"}}, "did you mean 'checkpoint'"),
        ({"teacher": {"checkpoint": "a", "temperature": 0}}, r"teacher\.temperature: .*greater"),
        ({"boundary": -1}, "boundary: .*greater than or equal to 0"),
        ({"auxiliary": {"aux_x8": -0.4}}, "auxiliary: .*table of weights by name, each 0 or"),
        ({"auxiliary": "much"}, "auxiliary: .*one weight"),
        (
            {"stages": [{**SETTINGS["stages"][0], "inverse_log": 1.1, "class_balance": 0.5}]},
            "two forms of weights; give one",
        ),
        ({"stages": [{**SETTINGS["stages"][0], "inverse_log": 0.5}]}, "above 1.*not 0.5"),
        ({"stages": [{**SETTINGS["stages"][0], "scale": [1.75, 0.75]}]}, "least <= most, not 1.75"),
        ({"stages": [{**SETTINGS["stages"][0], "scale": [0, 1]}]}, "0 < least"),
        ({"jaccard": float("inf")}, "finite number"),
    ],
)
def test_a_wrong_option_of_the_losses_is_named_in_one_line(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message) as raised:
        validated(SegmentationSettings, {**SETTINGS, **wrong}, "[segmentation]")
    assert "\n" not in str(raised.value)


def test_the_teachers_checkpoint_is_found_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "large.safetensors").touch()
    key, name = "segmentation.teacher.checkpoint", "pp_liteseg_t_camvid"
    teacher = load_recipe(name, [f"{key}=large.safetensors"]).settings["teacher"]
    assert teacher == {"checkpoint": str(tmp_path.resolve() / "large.safetensors")}
    with pytest.raises(RecipeError, match=r"segmentation\.teacher\.checkpoint = 'no': there is no"):
        load_recipe(name, [f"{key}=no"])


def test_groups_of_the_optimiser_follow_the_recipe() -> None:
    def groups(**options: Any) -> dict[tuple[float, float], set[str]]:
        section = OptimizerSection(weight_decay=0.3, **options)
        return {
            (g["weight_decay"], g["factor"]): {names[id(p)] for p in g["params"]}
            for g in optimizer_groups(network, section)
        }

    network = nn.ModuleDict(
        {
            "encoder": nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
            "head": nn.Conv2d(4, 4, 3, groups=4, bias=False),
        }
    )
    names = {id(p): n for n, p in network.named_parameters()}
    norm = {"encoder.0.bias", "encoder.1.weight", "encoder.1.bias"}
    weights = {"encoder.0.weight", "head.weight"}
    assert groups() == {(0.3, 1.0): weights, (0.0, 1.0): norm}
    spared = groups(depthwise_decay=False)
    assert spared == {(0.3, 1.0): {"encoder.0.weight"}, (0.0, 1.0): norm | {"head.weight"}}
    slower = groups(factors={"encoder": 0.1})
    assert slower[0.3, 1.0] == {"head.weight"}
    assert (slower[0.3, 0.1], slower[0.0, 0.1]) == ({"encoder.0.weight"}, norm)
    with pytest.raises(RecipeError, match="no part named encoder"):
        optimizer_groups(network["head"], OptimizerSection(factors={"encoder": 0.1}))


@pytest.mark.parametrize(
    ("recipe", "part", "convolutions"),
    [("yolov5_lite_c", "gate", 12), ("espnetv2_paper", "encoder", 0)],
)
def test_factors_of_shipped_recipes_meet_parts_of_their_networks(
    recipe: str, part: str, convolutions: int
) -> None:
    chosen = load_recipe(recipe)
    network = build_network(chosen, 4)
    groups = optimizer_groups(network, chosen.optimizer)
    slow = [g for g in groups if g["factor"] == chosen.optimizer.factors[part]]
    assert sum(len(g["params"]) for g in groups) == len(list(network.parameters()))
    assert slow
    assert all(g["params"] for g in slow)
    if convolutions:
        assert [len(g["params"]) for g in slow] == [convolutions, convolutions]
