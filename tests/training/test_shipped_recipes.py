"""Every recipe that ships: its tables are read strictly, and what it names exists."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from litescene.core import RecipeError
from litescene.data import classification, detection, restoration, segmentation
from litescene.models import create_model, list_models
from litescene.training import Recipe, load_recipe
from litescene.training.recipe import recipe_from_dict, validated
from litescene.training.tasks.base import optimizer_groups
from litescene.training.tasks.classification import ClassificationSettings
from litescene.training.tasks.detection import DetectionSettings
from litescene.training.tasks.restoration import RestorationSettings
from litescene.training.tasks.segmentation import SegmentationSettings

RECIPES = sorted(Path(str(resources.files("litescene"))).glob("recipes/*.toml"))
Settings = SegmentationSettings | DetectionSettings | ClassificationSettings | RestorationSettings
SETTINGS: dict[str, type[Settings]] = {
    "segmentation": SegmentationSettings,
    "detection": DetectionSettings,
    "classification": ClassificationSettings,
    "restoration": RestorationSettings,
}
FORMATS = {
    "segmentation": segmentation.FORMATS,
    "detection": detection.FORMATS,
    "classification": classification.FORMATS,
    "restoration": restoration.FORMATS,
}

pytestmark = pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)


def settings_of(recipe: Recipe) -> Settings:
    """The task's own table, as the task reads it."""
    return validated(SETTINGS[recipe.task], recipe.settings, f"[{recipe.task}]")


def sources_of(settings: Settings) -> list[str]:
    """All `FORMAT:PATH` of a recipe."""
    if isinstance(settings, SegmentationSettings):
        return [settings.data, *(extra.data for extra in settings.extra)]
    if isinstance(settings, ClassificationSettings | RestorationSettings):
        return [settings.data]
    return [*(source.data for source in settings.train), *settings.val]


def tables(plain: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A table and all tables in it, but for those whose keys the network decides."""
    yield plain
    for key, value in plain.items():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict) and key not in ("options", "auxiliary"):
                yield from tables(inner)


def test_a_shipped_recipe_is_valid_to_its_last_key(path: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "first.safetensors"
    checkpoint.touch()
    recipe = load_recipe(path.stem, [f"model.init={checkpoint}"])
    settings = settings_of(recipe)
    assert recipe.name == path.stem
    stages = () if isinstance(settings, RestorationSettings) else settings.stages
    assert all(stage.epoch < recipe.epochs for stage in stages)
    assert recipe.schedule.warmup_epochs < recipe.epochs
    for spec in sources_of(settings):
        assert spec.partition(":")[0] in FORMATS[recipe.task], spec


def test_a_shipped_recipe_is_documented(path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "training.md"
    assert f"`{path.stem}`" in page.read_text("utf-8")


def test_a_shipped_recipe_names_a_network_of_its_task(path: Path) -> None:
    model = tomllib.loads(path.read_text())["model"]
    task = tomllib.loads(path.read_text())["task"]
    assert model["name"] in list_models(task=task)
    create_model(model["name"], num_classes=3, **model.get("options", {}))


def test_a_shipped_recipe_starts_from_the_run_of_another_one(path: Path) -> None:
    init = tomllib.loads(path.read_text())["model"].get("init")
    if init is not None:
        runs, name, file = Path(init).parts
        assert (runs, file in ("best.safetensors", "last.safetensors")) == ("runs", True)
        assert name in {other.stem for other in RECIPES if other != path}


def test_the_network_of_an_earlier_run_has_the_weights_to_start_from(path: Path) -> None:
    model = tomllib.loads(path.read_text())["model"]
    if "init" not in model:
        return
    earlier = tomllib.loads((path.parent / f"{Path(model['init']).parts[1]}.toml").read_text())
    with torch.device("meta"):
        given, wanted = (
            create_model(m["name"], num_classes=3, **m.get("options", {})).state_dict()
            for m in (earlier["model"], model)
        )
    lost = [n for n, t in given.items() if n not in wanted or wanted[n].shape != t.shape]
    assert set(lost) <= {"score.weight", "score.bias"}


def test_weights_by_name_are_those_of_the_training_heads(path: Path) -> None:
    plain = tomllib.loads(path.read_text())
    weights = plain[plain["task"]].get("auxiliary")
    if not isinstance(weights, dict):
        return
    with torch.device("meta"):
        network = create_model(plain["model"]["name"], num_classes=3)
        outputs = network.train()(torch.zeros(2, 3, 128, 128))
    assert weights.keys() == {name for name in outputs if name.startswith("aux_")}


def read(plain: dict[str, Any], network: nn.Module) -> None:
    """Everything that looks at a recipe; the optimiser's groups know the network's parts."""
    recipe = recipe_from_dict(plain, "a recipe")
    settings_of(recipe)
    optimizer_groups(network, recipe.optimizer)


def test_a_slip_in_any_table_of_a_shipped_recipe_is_found(path: Path) -> None:
    given = tomllib.loads(path.read_text())
    count = len(list(tables(given)))
    assert count >= 6
    with torch.device("meta"):
        network = create_model(given["model"]["name"], num_classes=3)
    for number in range(count):
        plain = tomllib.loads(path.read_text())
        list(tables(plain))[number]["wieght"] = 1.0
        with pytest.raises(RecipeError, match="wieght"):
            read(plain, network)
