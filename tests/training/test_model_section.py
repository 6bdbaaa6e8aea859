"""The table `[model]` of a recipe, for both tasks alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from litescene.core import RecipeError, UnknownNameError
from litescene.models import create_model
from litescene.training.recipe import Recipe, recipe_from_dict
from litescene.training.tasks.base import build_network


def recipe(task: str, name: str, **options: Any) -> Recipe:
    plain = {"name": "x", "task": task, "epochs": 1, "batch_size": 1}
    return recipe_from_dict({**plain, "model": {"name": name, "options": options}}, "test")


@pytest.mark.parametrize(
    ("task", "name", "options", "message"),
    [
        ("segmentation", "pp_liteseg_t", {"attention": "chanel"}, r"attention: .*'spatial', 'chan"),
        ("segmentation", "pp_liteseg_t", {"atention": "channel"}, r"'atention'; did you mean 'att"),
        ("segmentation", "pp_liteseg_t", {"num_classes": 19}, r"num_classes = 19, but .* 11 class"),
        ("segmentation", "yolov5_lite_e", {}, r"model\.name = 'yolov5_lite_e' is .* detection"),
        ("detection", "yolov5_lite_e", {"num_classes": 80}, r"num_classes = 80, but .* 11 classes"),
        ("detection", "yolov5_lite_e", {"attention": "spatial"}, r"unknown key 'attention'; known"),
        ("detection", "pp_liteseg_t", {}, "choose one of yolov5_lite_e, yolov5_lite_s"),
    ],
)
def test_what_does_not_fit_is_named(
    task: str, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        build_network(recipe(task, name, **options), 11)


def test_options_reach_the_network_and_defaults_change_nothing() -> None:
    torch.manual_seed(0)
    plain = create_model("pp_liteseg_t", num_classes=11)
    torch.manual_seed(0)
    built = build_network(recipe("segmentation", "pp_liteseg_t", num_classes=11), 11)
    wanted = plain.state_dict()
    assert all(torch.equal(v, wanted[k]) for k, v in built.state_dict().items())
    channel = build_network(recipe("segmentation", "pp_liteseg_t", attention="channel"), 11)
    assert channel.state_dict().keys() == wanted.keys()
    assert any(v.shape != wanted[k].shape for k, v in channel.state_dict().items())


def test_an_unknown_attention_is_refused_by_the_network_itself() -> None:
    with pytest.raises(UnknownNameError, match="did you mean channel"):
        create_model("pp_liteseg_t", attention="chanel")
