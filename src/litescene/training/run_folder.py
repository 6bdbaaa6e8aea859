"""The folder of a training run: what is written there and how it is read back.

recipe.json            the resolved recipe
command.txt            the exact command that resumes, from any folder
log.jsonl              one line per epoch
events.out.tfevents.*  the same for TensorBoard
last.safetensors       averaged weights after the newest epoch, with their card
best.safetensors       averaged weights of the best evaluation, with their card
pictures/              what the best weights do on the validation data, where the task draws it
resume.safetensors     everything needed to go on: one file, so one rename commits an epoch
claim.lock             there and locked while a process trains here
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from litescene.core import CheckpointError, RecipeError
from litescene.media.atomic import (
    require_writable,
    unfinished,
    write_atomic,
    write_together,
)
from litescene.media.claim import claimed
from litescene.training.checkpoint import load_checkpoint, load_weights, save_checkpoint
from litescene.training.ema import MovingAverage
from litescene.training.recipe import Recipe, validated

_COUNTERS = ("epoch", "best", "best_epoch", "seconds", "log", "ema_step")
"""What the card of a resume file says."""


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def resume_file(self) -> Path:
        """The state of the newest finished epoch."""
        return self.path / "resume.safetensors"

    def require_free(self) -> None:
        """Find out before the data are read that no run can begin in the folder.

        Raises `RecipeError` where it holds weights of another run, `OutputError` where it cannot
        be written.
        """
        if any(self.path.glob("*.safetensors")):
            raise RecipeError(
                f"{self.path} already holds a run; continue it with --resume {self.path} "
                "or choose another --out"
            )
        require_writable(self.path, folder=True)

    def begin(self, recipe: Recipe) -> None:
        """Create the folder; see `require_free` for the errors."""
        self.require_free()
        self.path.mkdir(parents=True, exist_ok=True)
        self.clear_leftovers()
        if (self.path / "recipe.json").exists():  # a run whose weights are gone; its curves go too
            for curves in self.path.glob("events.out.tfevents.*"):
                curves.unlink(missing_ok=True)
        write_atomic(self.path / "recipe.json", recipe.model_dump_json(indent=2).encode())
        place = shlex.quote(os.fspath(self.path.resolve()))
        write_atomic(self.path / "command.txt", f"litescene train --resume {place}\n")

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """The folder for this process alone, until the end of the block.

        Raises `RecipeError` while another process trains in it.
        """
        with claimed(self.path) as ours:
            if not ours:
                raise RecipeError(f"another process trains in {self.path}; choose another --out")
            yield

    def clear_leftovers(self) -> None:
        """Remove what a killed run left half written."""
        for part in (*unfinished(self.path), *unfinished(self.pictures)):
            part.unlink(missing_ok=True)

    def recipe(self) -> Recipe:
        """The recipe of an existing run; one that was damaged by hand is a `RecipeError`."""
        path = self.path / "recipe.json"
        if not path.exists():
            raise CheckpointError(f"{self.path} is not a run folder: it has no recipe.json")
        try:
            plain = json.loads(path.read_text("utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"{path}: not a JSON file: {error}") from error
        return validated(Recipe, plain, str(path))

    def log(self, record: dict[str, Any], known: list[dict[str, Any]]) -> None:
        """Rewrite the log with one more record (short, and never half a line)."""
        known.append(record)
        text = "".join(json.dumps(entry) + "\n" for entry in known)
        write_atomic(self.path / "log.jsonl", text.encode())

    @property
    def pictures(self) -> Path:
        """Folder of what is to be seen of the validation."""
        return self.path / "pictures"

    @property
    def has_pictures(self) -> bool:
        """Whether they are there and of the best weights, as they are once a run has ended."""
        best = self.path / "best.safetensors"
        since = best.stat().st_mtime_ns if best.exists() else 0
        return any(p.stat().st_mtime_ns >= since for p in self.pictures.glob("*.png"))

    def save_pictures(self, files: Mapping[str, bytes]) -> None:
        """Write what a task drew of the best weights."""
        write_together(self.pictures, files)

    def save_weights(self, name: str, average: MovingAverage, card: dict[str, Any]) -> None:
        """Write `last` or `best`."""
        save_checkpoint(self.path / f"{name}.safetensors", average.shadow.state_dict(), card)
        write_atomic(
            self.path / f"{name}.json", json.dumps(card, indent=2, sort_keys=True).encode()
        )


def save_resume(
    folder: RunFolder,
    model: nn.Module,
    average: MovingAverage,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
) -> None:
    """Write the resume file: weights, averages, optimiser, random state and counters."""
    tensors: dict[str, Tensor] = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema.{k}": v for k, v in average.shadow.state_dict().items()}
    packed = optimizer.state_dict()
    for index, entries in packed["state"].items():
        tensors |= {f"optimizer.{index}.{k}": torch.as_tensor(v) for k, v in entries.items()}
    tensors["random"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random_cuda"] = torch.cuda.get_rng_state()
    save_checkpoint(folder.resume_file, tensors, {**state, "ema_step": average.step})


def load_resume(
    folder: RunFolder, model: nn.Module, average: MovingAverage, optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """Put everything back; returns the counters given to `save_resume`.

    Raises `CheckpointError` for a file of another network, and for one that is no resume file.
    """
    file = folder.resume_file
    checkpoint = load_checkpoint(file)
    absent = [key for key in _COUNTERS if key not in checkpoint.card]
    absent += ["random"] if "random" not in checkpoint.tensors else []
    if absent:
        raise CheckpointError(f"{file} is not the state of a run: it has no {', '.join(absent)}")
    load_weights(model, _under(checkpoint.tensors, "model."), str(file))
    load_weights(average.shadow, _under(checkpoint.tensors, "ema."), str(file))
    average.step = int(checkpoint.card["ema_step"])
    packed = optimizer.state_dict()
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in _under(checkpoint.tensors, "optimizer.").items():
        index, _, name = key.partition(".")
        states.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": states, "param_groups": packed["param_groups"]})
    torch.set_rng_state(checkpoint.tensors["random"])
    if "random_cuda" in checkpoint.tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(checkpoint.tensors["random_cuda"])
    return checkpoint.card


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
