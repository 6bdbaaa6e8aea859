"""The one training loop, for every task.

An epoch is the unit of work: the data order and the augmentation depend on (seed, epoch) alone,
and one rename of the resume file commits an epoch. A run killed at any moment resumes at its last
finished epoch; on the CPU it ends bit-equal to an uninterrupted run.

With several processes all of them step together; the first alone writes, shows and reports.
"""

from __future__ import annotations

import copy
import math
import shlex
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import litescene
from litescene.core import DivergedError, LitesceneError, RecipeError
from litescene.core.provenance import commit
from litescene.models.spec import input_spec_of
from litescene.training.checkpoint import initialise_from, load_checkpoint, take_input_spec
from litescene.training.data_specs import with_absolute_data
from litescene.training.ema import MovingAverage
from litescene.training.precision import precision_here
from litescene.training.recipe import ModelSection, Recipe
from litescene.training.run_folder import RunFolder, load_resume, save_resume
from litescene.training.schedule import learning_rate_factor
from litescene.training.tasks.base import Batch, Task, create_task
from litescene.training.tensorboard import shown_in_tensorboard


@dataclass(frozen=True)
class Progress:
    """Where a run is; given to the callback after every step."""

    epoch: int
    epochs: int
    step: int
    steps: int
    losses: dict[str, float]
    metric: float | None


@dataclass
class _Counters:
    epoch: int = 0
    best: float = float("-inf")
    best_epoch: int = -1
    seconds: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)


Callback = Callable[[Progress], None]


def _optimizer(task: Task, model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    groups = task.parameter_groups(model)
    o = recipe.optimizer
    if o.name == "sgd":
        return torch.optim.SGD(groups, lr=o.lr, momentum=o.momentum, nesterov=o.momentum > 0)
    kind = torch.optim.Adam if o.name == "adam" else torch.optim.AdamW
    return kind(groups, lr=o.lr, betas=(o.momentum, 0.999))


def _steps_together(task: Task, recipe: Recipe, processes: int) -> int:
    """Steps of an epoch that each process takes; a `RecipeError` if there is not one."""
    batches = task.steps_per_epoch()
    if batches >= processes:
        return batches // processes
    devices = f" on each of {processes} devices; use fewer of them, or" if processes > 1 else ";"
    raise RecipeError(
        f"an epoch has pictures for {batches} batches of {recipe.batch_size}, and needs at least "
        f"one{devices} lower batch_size"
    )


def _named_pool(model: ModelSection) -> dict[str, Any]:
    """What a card says of a pooling that took the place of the network's own."""
    return {} if model.pool is None else {"pool": model.pool, "pool_options": model.pool_options}


class Trainer:
    """One run of one recipe in one folder; `callback` hears of every step of the first process.

    Raises `RecipeError` for a recipe that does not fit its data, and `DataError` for those.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        callback: Callback | None = None,
        devices: int | Literal["auto"] = "auto",
    ) -> None:
        self.recipe = recipe = with_absolute_data(recipe)
        self.folder, self.callback = RunFolder(folder), callback
        self.precision = precision_here(recipe.precision)
        """What is computed in, which the card names."""
        self.fabric = Fabric(accelerator="auto", devices=devices, precision=self.precision)
        self.fabric.launch()
        torch.manual_seed(recipe.seed)
        self.task = create_task(recipe, self.fabric.device)
        self.recipe = recipe = self.task.recipe
        self.steps = _steps_together(self.task, recipe, self.fabric.world_size)
        network = self.task.build_model()
        self.left_random: list[str] = []
        """Of a run that starts from a checkpoint: names of the weights that this one has not."""
        if recipe.model.init and not self.folder.resume_file.exists():
            self.left_random = initialise_from(network, Path(recipe.model.init))
        network = network.to(self.fabric.device)
        self.average = MovingAverage(network, recipe.ema)
        optimizer = _optimizer(self.task, network, recipe)
        self.model, self.optimizer = self.fabric.setup(network, optimizer)
        self.network = network
        self.counters = _Counters()
        self.commit = commit()

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.fabric.is_global_zero

    def start(self) -> None:
        """Begin a new run."""
        with ExitStack() as held:
            self._by_the_first(lambda: held.enter_context(self.folder.claimed()))
            self._by_the_first(lambda: self.folder.begin(self.recipe))
            self._run()

    def resume(self) -> None:
        """Go on after the last finished epoch (from the start when there is none)."""
        with ExitStack() as held:
            self._by_the_first(lambda: held.enter_context(self.folder.claimed()))
            self._by_the_first(self.folder.clear_leftovers)
            self._take_up()
            self._run()

    def _take_up(self) -> None:
        """Put the state of the last finished epoch back, if there is one."""
        if self.folder.resume_file.exists():
            state = load_resume(self.folder, self.network, self.average, self.optimizer)
            for network in (self.network, self.average.shadow):
                take_input_spec(network, state, self.folder.resume_file)
            self.counters = _Counters(
                state["epoch"], state["best"], state["best_epoch"], state["seconds"], state["log"]
            )

    def _by_the_first(self, act: Callable[[], None]) -> None:
        """Let the first process act while the others wait; its error is raised in all of them."""
        failure: LitesceneError | None = None
        if self.is_first:
            try:
                act()
            except LitesceneError as error:
                failure = error
        failure = self.fabric.broadcast(failure)
        if failure is not None:
            raise failure

    def _run(self) -> None:
        with shown_in_tensorboard(self.folder.path, self.counters.log, self.is_first) as show:
            while self.counters.epoch < self.recipe.epochs and not self._stopped:
                show(self._epoch())
        self._by_the_first(self._draw)

    def _draw(self) -> None:
        """Let the task draw what the best weights do on the validation data, once."""
        if self.folder.has_pictures:
            return
        best = load_checkpoint(self.folder.path / "best.safetensors").tensors
        network = copy.deepcopy(self.average.shadow)
        network.load_state_dict(best)
        self.folder.save_pictures(self.task.pictures(network.eval()))

    @property
    def _stopped(self) -> bool:
        """Whether the run ended because it grew no better."""
        return bool(self.counters.log) and bool(self.counters.log[-1].get("stopped"))

    def _has_stalled(self) -> bool:
        """Whether this evaluation, which is no better, exhausts the patience."""
        counters, patience = self.counters, self.recipe.patience
        evaluated = [e["epoch"] for e in counters.log if self.task.metric in e]
        since = sum(epoch > counters.best_epoch for epoch in evaluated) + 1
        return 0 < patience <= since

    def _epoch(self) -> dict[str, Any]:
        counters, started = self.counters, time.monotonic()
        losses = self._steps(counters.epoch)
        counters.epoch += 1
        last = counters.epoch == self.recipe.epochs
        record: dict[str, Any] = {"epoch": counters.epoch, **losses}
        better = False
        if last or counters.epoch % self.recipe.evaluate_every == 0:
            # Batch norms have seen other pictures in each process: the first one's figures count.
            metrics = self.fabric.broadcast(self.task.evaluate(self.average.shadow))
            record |= metrics
            better = metrics[self.task.metric] > counters.best
            if better:
                counters.best, counters.best_epoch = metrics[self.task.metric], counters.epoch
            elif self._has_stalled():
                record["stopped"] = True
        counters.seconds += time.monotonic() - started
        record["seconds"] = round(counters.seconds, 1)
        self._by_the_first(lambda: self._commit(record, better))
        if not self.is_first:
            counters.log.append(record)
        return record

    def _commit(self, record: dict[str, Any], better: bool) -> None:
        counters = self.counters
        self.folder.log(record, counters.log)
        card = self._card(record)
        self.folder.save_weights("last", self.average, card)
        if better:
            self.folder.save_weights("best", self.average, card)
        state = {
            "epoch": counters.epoch,
            "best": counters.best,
            "best_epoch": counters.best_epoch,
            "seconds": counters.seconds,
            "log": counters.log,
            "input": input_spec_of(self.network).to_dict(),
        }
        save_resume(self.folder, self.network, self.average, self.optimizer, state)

    def _steps(self, epoch: int) -> dict[str, float]:
        recipe, task, fabric = self.recipe, self.task, self.fabric
        steps = self.steps
        sums: dict[str, float] = {}
        self.model.train()
        for step, batch in enumerate(task.batches(epoch, fabric.global_rank, fabric.world_size)):
            factor = learning_rate_factor(recipe.schedule, epoch + step / steps, recipe.epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = recipe.optimizer.lr * factor * group["factor"]
            with fabric.autocast():
                losses = self._losses(batch)
            values = {name: float(value.detach()) for name, value in losses.items()}
            share, ends = self._share_of_step(step)
            with fabric.no_backward_sync(self.model, enabled=not ends):
                fabric.backward(losses["loss"] * share if share < 1 else losses["loss"])
            if ends:
                self._check({**values, "the gradient": self._clipped_norm()}, epoch, step)
                self.optimizer.step()
                self.optimizer.zero_grad(set_to_none=True)
                self.average.update(self.network)
            else:
                self._check(values, epoch, step)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value
            self._report(epoch, step + 1, steps, {n: s / (step + 1) for n, s in sums.items()})
        return {name: total / steps for name, total in sums.items()}

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """The task's losses; a batch too small for the network's batch norms is a `RecipeError`."""
        try:
            return self.task.losses(self.model, batch)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise RecipeError(
                f"batch_size = {self.recipe.batch_size} is too small for {self.recipe.model.name}, "
                "which normalises maps of a single value; it takes at least 2 on each device"
            ) from error

    def _share_of_step(self, batch: int) -> tuple[float, bool]:
        """A batch's share of the gradient of its step, and whether the step is made after it."""
        together = self.recipe.accumulate
        first = batch // together * together
        last = min(first + together, self.steps) - 1
        return 1 / (last - first + 1), batch == last

    def _clipped_norm(self) -> float:
        """Norm of the gradient; one above the recipe's limit, if it sets one, is cut to it."""
        limit = self.recipe.optimizer.clip_norm
        if limit:
            norm = self.fabric.clip_gradients(
                self.model, self.optimizer, max_norm=limit, error_if_nonfinite=False
            )
            return float(torch.as_tensor(norm))
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        return float(nn.utils.get_total_norm(gradients))

    def _check(self, values: dict[str, float], epoch: int, step: int) -> None:
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if self._anywhere(bool(bad)):
            raise DivergedError(
                f"{', '.join(bad) or 'a loss of another process'} became non-finite in epoch "
                f"{epoch + 1}, batch {step + 1} (seed {self.recipe.seed}). {self._way_on()}"
            )

    def _anywhere(self, here: bool) -> bool:
        """Whether it is so in one of the processes: they go on together or end together."""
        if self.fabric.world_size == 1:
            return here
        count = self.fabric.all_reduce(torch.tensor(float(here)), reduce_op="sum")
        return bool(torch.as_tensor(count) > 0)

    def _way_on(self) -> str:
        lower = f"--set optimizer.lr={self.recipe.optimizer.lr / 2:g}"
        if not self.recipe.optimizer.clip_norm:
            lower += " --set optimizer.clip_norm=5"
        kept = self.folder.path.resolve() / "last.safetensors"
        if self.counters.epoch == 0:
            return f"No epoch was finished; train the recipe anew in another --out with {lower}"
        return (
            f"Epoch {self.counters.epoch} is kept; train the recipe anew in another --out with "
            f"{lower} --set {shlex.quote(f'model.init={kept}')}"
        )

    def _report(self, epoch: int, step: int, steps: int, losses: dict[str, float]) -> None:
        if self.callback is not None and self.is_first:
            best = self.counters.best if self.counters.best_epoch >= 0 else None
            self.callback(Progress(epoch, self.recipe.epochs, step, steps, losses, best))

    def _card(self, record: dict[str, Any]) -> dict[str, Any]:
        model = self.task.card()
        return {
            **model,
            "model": {
                "name": self.recipe.model.name,
                "options": {
                    **self.recipe.model.options,
                    "num_classes": len(model["taxonomy"]["names"]),
                },
                **_named_pool(self.recipe.model),
            },
            "input": input_spec_of(self.network).to_dict(),
            "recipe": self.recipe.model_dump(mode="json"),
            "result": record,
            "precision": self.precision,
            "litescene": litescene.__version__,
            "torch": torch.__version__,
            "commit": self.commit,
        }
