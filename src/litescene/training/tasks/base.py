"""What a task gives the one training loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from litescene.training.recipe import Recipe

Batch = Any
"""Whatever the task's own `batches` yields and `losses` takes."""


class Task(Protocol):
    """Everything that differs between segmentation, detection and so on.

    A task is built from (recipe, device). `metric` names the entry of `evaluate` that chooses the
    best checkpoint; higher is better.
    """

    metric: str

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
        """The batches of an epoch; they depend on (recipe.seed, epoch, rank, world) alone."""
        ...

    def losses(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Named losses of a batch; `loss` is the one to minimise."""
        ...

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Metrics on the validation data: numbers, or tables of numbers by name."""
        ...

    def card(self) -> dict[str, Any]:
        """What a checkpoint's card says about data, classes and input."""
        ...


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: weights of convolutions and linear layers decay, all others do not."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]


def shuffled(count: int, seed: int, epoch: int) -> Tensor:
    """A permutation of 0..count-1 that depends on (seed, epoch) alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator)


def create_task(recipe: Recipe, device: torch.device) -> Task:
    """The task that a recipe names."""
    if recipe.task == "segmentation":
        from litescene.training.tasks.segmentation import SegmentationTask

        return SegmentationTask(recipe, device)
    from litescene.training.tasks.detection import DetectionTask

    return DetectionTask(recipe, device)
