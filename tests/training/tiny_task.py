"""A task of a few numbers, so that the loop itself can be watched.

Run as a script, `python tiny_task.py FOLDER TASK`, it is one of two processes that train together;
the environment says which one. It prints its rank, the steps it took and how it ended.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from litescene.core import CAMVID, LitesceneError
from litescene.training import loop
from litescene.training.recipe import OptimizerSection, Recipe, recipe_from_dict
from litescene.training.tasks.base import optimizer_groups, own_steps

BATCHES = 5


class TinyTask:
    """Fits a line; `spoil` is added to the loss and gets the network's weight."""

    metric = "score"

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.seen: list[int] = []

    def build_model(self) -> nn.Module:
        return nn.Linear(2, 1)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        return optimizer_groups(model, OptimizerSection(weight_decay=0.0))

    def steps_per_epoch(self) -> int:
        return BATCHES

    def batches(self, epoch: int, rank: int, world: int) -> Iterator[Tensor]:
        for step in own_steps(BATCHES, rank, world):
            self.seen.append(step)
            yield torch.randn(4, 2, generator=torch.Generator().manual_seed(10 * epoch + step))

    def spoil(self, weight: Tensor) -> Tensor:
        return weight.new_zeros(())

    def losses(self, model: nn.Module, batch: Tensor) -> dict[str, Tensor]:
        loss = (model(batch)[:, 0] - batch.sum(1)).square().mean()
        return {"loss": loss + self.spoil(next(model.parameters()))}

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        return {"score": float(sum(p.sum() for p in model.parameters()))}

    def pictures(self, model: nn.Module) -> dict[str, bytes]:
        return {}

    def card(self) -> dict[str, Any]:
        return {"task": "segmentation", "taxonomy": CAMVID.to_dict(), "size": [64, 64], "data": {}}


def tiny_recipe(**changes: Any) -> Recipe:
    plain = {
        "name": "tiny",
        "task": "segmentation",
        "epochs": 3,
        "batch_size": 4,
        "evaluate_every": 1,
        "precision": "32-true",
        "model": {"name": "pp_liteseg_t"},
        "optimizer": {"name": "sgd", "lr": 0.1},
        **changes,
    }
    return recipe_from_dict(plain, "test")


class _FullDisk(TinyTask):
    """Makes the folder of the run unwritable after the first epoch."""

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        log = Path(sys.argv[1]) / "log.jsonl"
        if log.is_file() and torch.distributed.get_rank() == 0:
            log.unlink()
            log.mkdir()
        return super().evaluate(model)


class _OneDiverges(TinyTask):
    """The loss of the second process alone stops to be a number; its gradient stays one."""

    def spoil(self, weight: Tensor) -> Tensor:
        bad = torch.distributed.get_rank() == 1 and len(self.seen) == 2
        return weight.new_tensor(float("inf") if bad else 0.0)


class _Falls(TinyTask):
    """Grows worse from the first evaluation on, in the second process otherwise."""

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        rank = torch.distributed.get_rank()
        return {"score": float(len(self.seen) if rank else -len(self.seen))}


_TASKS = {"train": TinyTask, "full_disk": _FullDisk, "one_diverges": _OneDiverges, "falls": _Falls}


def _two_processes(fabric: Any, accelerator: str, devices: str, precision: str) -> Any:
    return fabric(accelerator="cpu", devices=2, strategy="ddp", precision=precision)


def main() -> None:
    loop.create_task = _TASKS[sys.argv[2]]  # type: ignore[assignment]
    loop.Fabric = partial(_two_processes, loop.Fabric)  # type: ignore[assignment,misc]
    recipe = tiny_recipe(epochs=6, patience=2) if sys.argv[2] == "falls" else tiny_recipe()
    trainer = loop.Trainer(recipe, Path(sys.argv[1]))
    rank, world = trainer.fabric.global_rank, trainer.fabric.world_size
    try:
        trainer.start()
        ended = "done"
    except LitesceneError as error:
        ended = type(error).__name__
    seen = ",".join(map(str, trainer.task.seen))  # type: ignore[attr-defined]
    sys.stdout.write(f"{rank}/{world} {seen} {ended}\n")


if __name__ == "__main__":
    main()
