"""The table `[model]` of a recipe, for both tasks alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from litescene.core import CheckpointError, RecipeError, UnknownNameError
from litescene.models import create_model
from litescene.ops.pooling import AdaPool
from litescene.training import load_model, save_checkpoint
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
        ("detection", "pp_liteseg_t", {}, "choose one of yolov5_lite_c, yolov5_lite_e"),
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


def pooled(name: str, pool: str, **options: Any) -> Recipe:
    plain = {"name": "x", "task": "segmentation", "epochs": 1, "batch_size": 1}
    model = {"name": name, "pool": pool, "pool_options": options}
    return recipe_from_dict({**plain, "model": model}, "test")


def test_a_pooling_takes_the_place_of_the_networks_own() -> None:
    network = build_network(pooled("bisenet_r18", "adapool", per_channel=True), 11)
    (layer,) = (m for m in network.modules() if isinstance(m, AdaPool))
    assert tuple(layer.logit.shape) == (64,)
    plain = build_network(recipe("segmentation", "bisenet_r18"), 11)
    assert set(network.state_dict()) - set(plain.state_dict()) == {"encoder.stem.1.logit"}


@pytest.mark.parametrize(
    ("name", "pool", "options", "message"),
    [
        ("contextnet", "adapool", {}, r"model\.pool = 'adapool' in contextnet: .* no pooling"),
        ("bisenet_r18", "adapol", {}, "did you mean adapool"),
        ("bisenet_r18", "em", {"powr": 2}, "pooling 'em' has no option powr"),
        ("lw_refinenet_50", "lift", {}, r"MaxPool2d.*lifting halves"),
    ],
)
def test_a_pooling_that_does_not_fit_is_named(
    name: str, pool: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        build_network(pooled(name, pool, **options), 11)


def test_a_network_that_pools_if_asked_to_names_its_option() -> None:
    plain = {"name": "x", "task": "classification", "epochs": 1, "batch_size": 1}
    section = {"name": "resnet3d_18", "pool": "adapool"}
    with pytest.raises(RecipeError, match=r"no pooling.*option for that is model\.options\.stem_p"):
        build_network(recipe_from_dict({**plain, "model": section}, "test"), 5)
    section |= {"options": {"stem_pool": True}}
    build_network(recipe_from_dict({**plain, "model": section}, "test"), 5)


def test_options_of_no_pooling_are_refused() -> None:
    plain = {"name": "x", "task": "segmentation", "epochs": 1, "batch_size": 1}
    with pytest.raises(RecipeError, match="pool_options belong to a pool"):
        recipe_from_dict({**plain, "model": {"name": "enet", "pool_options": {"a": 1}}}, "test")


def test_a_card_brings_the_pooling_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    section = pooled("enet", "dpp", form="asymmetric")
    network = build_network(section, 11).eval()
    model = {"name": "enet", "options": {"num_classes": 11}, "pool": section.model.pool}
    card = {"model": {**model, "pool_options": section.model.pool_options}}
    file = tmp_path / "x.safetensors"
    save_checkpoint(file, network.state_dict(), card)
    again, _ = load_model(file)
    x = torch.rand(1, 3, 65, 70)
    with torch.inference_mode():
        torch.testing.assert_close(again(x), network(x))  # one is in channels-last memory
    save_checkpoint(file, network.state_dict(), {"model": {**model, "pool": "dppp"}})
    with pytest.raises(CheckpointError, match="there is no pooling 'dppp'"):
        load_model(file)
