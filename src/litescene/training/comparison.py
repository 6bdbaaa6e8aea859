"""Many networks trained by one recipe, and the file that says what each of them reached.

Each network has its own run folder, so an interruption costs at most an epoch. What is trained
already, or is being trained by another process, is left alone: started once per core or device,
the same command shares the networks out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from litescene.core import CheckpointError, DivergedError, InputError, RecipeError
from litescene.core.provenance import provenance
from litescene.core.trained import trained_by
from litescene.media.atomic import write_atomic
from litescene.media.claim import claimed
from litescene.training.data_specs import (
    data_specs,
    with_absolute_data,
    without_data_folders,
)
from litescene.training.loop import Trainer
from litescene.training.recipe import Recipe
from litescene.training.run_folder import RunFolder

Facts = Mapping[str, Any]
_MEASURED: Mapping[str, tuple[str, ...]] = {
    "segmentation": ("mean_iou", "iou", "accuracy", "mean_accuracy"),
    "classification": ("top1", "top5", "mean_top1", "top1_per_class"),
    "detection": ("ap50",),
    "restoration": ("psnr", "ssim", "pictures"),
}
"""What is stored of the last epoch, by task; the first also of every other one."""
_OF_ONE_NETWORK = (
    DivergedError,
    RecipeError,
    CheckpointError,
    MemoryError,
    torch.OutOfMemoryError,
)
"""What may go wrong with one network while the next one can be trained."""


def train_networks(
    recipe: Recipe,
    networks: Mapping[str, Facts],
    out: Path,
    results: Path,
    follow: Callable[[Trainer, Callable[[], None]], None],
) -> dict[str, str]:
    """Train each network that has no result of this recipe yet; returns the failures by name.

    Raises `InputError`, before anything is trained, where a result of the recipe's name is of other
    data, another length or another seed, or where a begun run is of another recipe.

    Args:
        recipe: the common recipe; `model.name` is replaced, its `name` is the protocol's.
        networks: names in order, each with what its result shall say besides (parameters, MACs).
        out: `out/NAME` is the run folder of a network.
        results: `results/TASK/NAME.json` takes the result.
        follow: calls the second argument, which trains, and shows the trainer's progress.

    """
    trained = trained_by(recipe.name, recipe.task, results)
    for name in networks:
        if name in trained:
            facts, where = trained[name].facts, f"{results / recipe.task / name}.json"
            _require_same(recipe, facts, data_specs(facts.get("trained_on")), where)
        if (folder := RunFolder(out / name)).resume_file.exists():
            _require_begun_alike(recipe_of(recipe, name), folder)
    failures: dict[str, str] = {}
    for name, facts in networks.items():
        if name in trained:
            continue
        folder = RunFolder(out / name)
        with claimed(folder.path) as ours:
            if not ours or name in trained_by(recipe.name, recipe.task, results):
                continue
            try:
                train_or_resume(recipe_of(recipe, name), folder, follow)
            except _OF_ONE_NETWORK as error:
                failures[name] = " ".join(str(error).split()) or "not enough memory"
                continue
            store_result(results, recipe.task, name, result_of(folder, facts))
    return failures


def _require_same(recipe: Recipe, facts: Facts, trained_on: Sequence[str], where: str) -> None:
    """Refuse to take what was trained otherwise for what is asked for, or to go on with it."""
    asked = {"epochs": recipe.epochs, "seed": recipe.seed}
    other = [f"{key} {facts[key]}" for key in asked if facts.get(key, asked[key]) != asked[key]]
    if not set(trained_on) <= set(data_specs(recipe.settings)):
        other.append(f"data {', '.join(trained_on)}")
    if other:
        raise InputError(
            f"{where} is of {recipe.name} with {', '.join(other)}, which is not what is asked for; "
            "give another --out (and --results)"
        )


def _require_begun_alike(recipe: Recipe, folder: RunFolder) -> None:
    """Refuse to go on with a run of another recipe; anchors may have been fitted since."""
    asked, begun = (_flat(r.model_dump()) for r in (with_absolute_data(recipe), folder.recipe()))
    other = {key for key in begun | asked if begun.get(key) != asked.get(key)}
    if asked.get("settings.anchors") == "auto":
        other.discard("model.options.anchors")
    if other:
        found = ", ".join(f"{key} {begun.get(key)}" for key in sorted(other))
        raise InputError(
            f"{folder.path} was begun with {found}, which is not what is asked for; give another "
            "--out (and --results)"
        )


def _flat(plain: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested tables as one, the keys joined by dots."""
    found: dict[str, Any] = {}
    for key, value in plain.items():
        whole = f"{above}{key}"
        found |= _flat(value, f"{whole}.") if isinstance(value, Mapping) else {whole: value}
    return found


def recipe_of(recipe: Recipe, name: str) -> Recipe:
    """The common recipe for one network."""
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"name": name})})


def train_or_resume(
    recipe: Recipe, folder: RunFolder, follow: Callable[[Trainer, Callable[[], None]], None]
) -> None:
    """Train in a folder, or go on after the last finished epoch of the run that it holds."""
    begun = folder.resume_file.exists()
    trainer = Trainer(folder.recipe() if begun else recipe, folder.path, devices=1)
    follow(trainer, trainer.resume if begun else trainer.start)


def is_finished(folder: RunFolder) -> bool:
    """Whether the folder holds a run that came to its last epoch."""
    file = folder.path / "last.json"
    if not file.exists():
        return False
    card = json.loads(file.read_text("utf-8"))
    result = card["result"]
    return bool(result["epoch"] == card["recipe"]["epochs"] or result.get("stopped"))


def result_of(folder: RunFolder, facts: Facts) -> dict[str, Any]:
    """What a finished run says of its network: the last epoch's figures, not the best one's."""
    card = json.loads((folder.path / "last.json").read_text("utf-8"))
    recipe, result = card["recipe"], card["result"]
    log = [json.loads(line) for line in (folder.path / "log.jsonl").read_text("utf-8").splitlines()]
    figures = _MEASURED[card["task"]]
    chief = figures[0]
    return {
        "protocol": recipe["name"],
        **{key: result[key] for key in figures},
        f"{chief}_by_epoch": {e["epoch"]: e[chief] for e in log if chief in e},
        "data": card["data"]["val"],
        "trained_on": without_data_folders(card["data"]["train"]),
        "size": card["size"],
        "precision": card.get("precision", recipe["precision"]),  # older cards have none
        **facts,
        "epochs": recipe["epochs"],
        "seconds": result["seconds"],
        "seed": recipe["seed"],
        **provenance(),
        "commit": card["commit"],
    }


def store_result(results: Path, task: str, name: str, run: dict[str, Any]) -> Path:
    """Put a run into the network's result file, in place of an older one of that protocol."""
    path = results / task / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = json.loads(path.read_text("utf-8"))["runs"] if path.exists() else []
    kept = [other for other in runs if other["protocol"] != run["protocol"]]
    text = json.dumps({"name": name, "runs": [*kept, run]}, indent=1)
    write_atomic(path, text + "\n")
    return path
