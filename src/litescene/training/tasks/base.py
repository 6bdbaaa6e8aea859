"""What a task gives the one training loop."""

from __future__ import annotations

import inspect
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from typing import Any, Protocol, TypeVar, get_type_hints

import pydantic
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from litescene.core import InputError, RecipeError
from litescene.core.contract import TaskName
from litescene.models import create_model, list_models, replace_pools, variant
from litescene.training.recipe import ModelSection, OptimizerSection, Recipe, Section, validated

Made = TypeVar("Made")
Batch = Any
"""Whatever the task's own `batches` yields and `losses` takes."""


class Task(Protocol):
    """Everything that differs between segmentation, detection and so on.

    A task is built from (recipe, device). `metric` names the entry of `evaluate` that chooses the
    best checkpoint; higher is better.
    """

    metric: str
    recipe: Recipe
    """As given, with what the data decide filled in (fitted anchors)."""

    def build_model(self) -> nn.Module:
        """The network with its initial weights."""
        ...

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Groups for the optimiser; `weight_decay` per group where it differs."""
        ...

    def steps_per_epoch(self) -> int:
        """Optimiser steps in one epoch on one process."""
        ...

    def batches(self, epoch: int, rank: int, world: int) -> Iterator[Batch]:
        """The batches of an epoch; they depend on (recipe.seed, epoch, rank, world) alone.

        Each of the `world` processes gets equally many, see `own_steps`.
        """
        ...

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named losses of a batch; `loss` is the one to minimise."""
        ...

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Metrics on the validation data: numbers, or tables of numbers by name."""
        ...

    def pictures(self, model: nn.Module) -> dict[str, bytes]:
        """What is to be seen of the validation, as PNG files by name; empty where nothing is."""
        ...

    def card(self) -> dict[str, Any]:
        """What a checkpoint's card says about data, classes and input."""
        ...


def optimizer_groups(model: nn.Module, optimizer: OptimizerSection) -> list[dict[str, Any]]:
    """Weights of convolutions and linear layers decay, all others do not.

    `depthwise_decay` can leave out those of depthwise convolutions too, and `factors` multiplies
    the learning rate of what is under a module of that name, wherever it is in the network.

    Raises RecipeError if the network has no such module.
    """
    spared = set() if optimizer.depthwise_decay else _depthwise_weights(model)
    parameters = dict(model.named_parameters())
    groups = []
    for names, factor in _by_learning_rate(list(parameters), optimizer.factors):
        decays = {n: parameters[n].ndim > 1 and n not in spared for n in names}
        for kind, decay in ((True, optimizer.weight_decay), (False, 0.0)):
            chosen = [parameters[n] for n in names if decays[n] is kind]
            groups.append({"params": chosen, "weight_decay": decay, "factor": factor})
    return groups


def _depthwise_weights(model: nn.Module) -> set[str]:
    return {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
    }


def _by_learning_rate(names: list[str], factors: dict[str, float]) -> list[tuple[list[str], float]]:
    parts: dict[str, list[str]] = {part: [] for part in factors}
    rest: list[str] = []
    for name in names:
        part = next((module for module in name.split(".") if module in parts), None)
        (rest if part is None else parts[part]).append(name)
    for part, inside in parts.items():
        if not inside:
            raise RecipeError(f"optimizer.factors: this network has no part named {part}")
    return [(rest, 1.0), *((parts[part], factor) for part, factor in factors.items())]


def shuffled(count: int, seed: int, epoch: int) -> Tensor:
    """A permutation of 0..count-1 that depends on (seed, epoch) alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator)


def own_steps(steps: int, rank: int, world: int) -> range:
    """The steps of an epoch that a process takes: every `world`-th, and as many as the others.

    Processes that step together wait for each other, so steps that are left over are not taken.
    """
    return range(rank, steps // world * world, world)


def read_through(read: Callable[[int], object], count: int) -> None:
    """Read everything once; raises what a reading raises, before a training and not in it."""
    with ThreadPoolExecutor(2) as pool:
        deque(pool.map(read, range(count)), maxlen=0)  # nothing is kept


def build_network(recipe: Recipe, classes: int) -> nn.Module:
    """The recipe's network for so many classes, in channels-last memory.

    Raises `UnknownNameError` for an unknown network and `RecipeError`, naming the key, for a
    network of another task, unknown options, wrong values, a `num_classes` that contradicts
    the data, and a pooling that does not exist or cannot take the place of the network's own.
    """
    name, options = recipe.model.name, dict(recipe.model.options)
    chosen = variant(name)
    if chosen.task != recipe.task:
        fitting = ", ".join(list_models(task=recipe.task))
        raise RecipeError(
            f"model.name = '{name}' is a network for {chosen.task}, the recipe's task is "
            f"{recipe.task}; choose one of {fitting}"
        )
    options.setdefault("num_classes", classes)
    checked = validated(_options_section(chosen.build), options, "[model.options]").model_dump()
    if checked["num_classes"] != classes:
        raise RecipeError(
            f"model.options.num_classes = {checked['num_classes']}, but the data have {classes} "
            "classes; leave it out"
        )
    network: Any = create_model(name, **checked)
    if recipe.model.pool is not None:
        _replace_pools(network, recipe.model)
    layout = torch.channels_last_3d if takes_clips(network) else torch.channels_last
    prepared: nn.Module = network.to(memory_format=layout)
    return prepared


def takes_clips(network: Any) -> bool:
    """Whether a network takes clips, N×3×T×H×W, in place of pictures."""
    return bool(getattr(network, "clip_frames", 0))


def _replace_pools(network: nn.Module, section: ModelSection) -> None:
    try:
        replace_pools(network, str(section.pool), **section.pool_options)
    except InputError as error:
        own = [n for n in inspect.signature(variant(section.name).build).parameters if "pool" in n]
        hint = f"; its own option for that is model.options.{own[0]}" if own else ""
        said = f"model.pool = '{section.pool}' in {section.name}: {error}{hint}"
        raise RecipeError(said) from error


def _options_section(build: Callable[..., nn.Module]) -> type[BaseModel]:
    """What a builder takes, as a table of a recipe."""
    hints = get_type_hints(build)
    fields: dict[str, Any] = {
        name: (hints[name], parameter.default)
        for name, parameter in inspect.signature(build).parameters.items()
    }
    return pydantic.create_model("Options", __base__=Section, **fields)


def report_title(recipe: Recipe, data: str) -> str:
    """What the pictures of a run's validation on these data are called."""
    return f"{recipe.model.name} by {recipe.name} on {data}"


_PREFETCHERS = 4
"""Threads that make pictures ahead, at most: no task asks for more than a few cores' worth."""


def made_ahead(make: Callable[[int], Made], groups: Iterable[range]) -> Iterator[list[Made]]:
    """For each group the list of `make(i)`, in order; the next one is made in threads meanwhile."""
    pool = ThreadPoolExecutor(min(_PREFETCHERS, os.cpu_count() or 1))
    try:
        ready: list[Future[Made]] = []
        for group in groups:
            coming = [pool.submit(make, index) for index in group]
            if ready:
                yield [future.result() for future in ready]
            ready = coming
        if ready:
            yield [future.result() for future in ready]
    finally:
        pool.shutdown(cancel_futures=True)


_TASKS: dict[TaskName, str] = {
    "segmentation": "SegmentationTask",
    "detection": "DetectionTask",
    "classification": "ClassificationTask",
    "restoration": "RestorationTask",
}
"""The class of each task, in the file of its name."""


def create_task(recipe: Recipe, device: torch.device) -> Task:
    """The task that a recipe names."""
    module = import_module(f"litescene.training.tasks.{recipe.task}")
    task: Task = getattr(module, _TASKS[recipe.task])(recipe, device)
    return task
