"""Checkpoints: safetensors with a JSON card, written atomically; no pickle anywhere."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from litescene.core import CheckpointError
from litescene.media.atomic import write_atomic
from litescene.models import InputSpec, create_model

_CARD = "litescene_card"


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name and the card that describes them."""

    tensors: dict[str, Tensor]
    card: dict[str, Any]


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], card: Mapping[str, Any]) -> None:
    """Write `path` (temporary name, fsync, rename); the card is inside and beside it as JSON."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    text = json.dumps(card, sort_keys=True)
    write_atomic(path, save(plain, {_CARD: text}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; a damaged or foreign file is a `CheckpointError`."""
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        with safe_open(os.fspath(path), "pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a readable .safetensors file: {error}") from error
    if _CARD not in metadata:
        raise CheckpointError(f"{path} has no litescene card; was it written by another program?")
    return Checkpoint(tensors, json.loads(metadata[_CARD]))


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a checkpoint with its weights, in evaluation mode, and the card.

    A card that says how the input is normalised, as that of an imported checkpoint does, replaces
    the network's own `input_spec`.
    """
    checkpoint = load_checkpoint(path)
    try:
        name, options = checkpoint.card["model"]["name"], checkpoint.card["model"]["options"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: the card names no model") from error
    model = create_model(name, **options)
    load_weights(model, checkpoint.tensors, str(path))
    take_input_spec(model, checkpoint.card, path)
    return model.eval(), checkpoint.card


def take_input_spec(model: Any, card: Mapping[str, Any], path: Path) -> None:
    """Give `model` the `input` of a card, where it has one."""
    if "input" not in card:
        return
    try:
        model.input_spec = InputSpec.from_dict(card["input"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the card's input convention is damaged: {error}") from error


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load all weights; missing, unexpected or misshapen entries are named in the error."""
    state = model.state_dict()
    problems = [f"missing {name}" for name in state if name not in tensors]
    problems += [f"unexpected {name}" for name in tensors if name not in state]
    problems += [
        f"{name} is {tuple(tensors[name].shape)}, expected {tuple(value.shape)}"
        for name, value in state.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise CheckpointError(f"{where} does not fit the network: {'; '.join(problems[:4])}{more}")
    model.load_state_dict(dict(tensors))


def initialise_from(model: nn.Module, path: Path) -> list[str]:
    """Copy the entries of `path` whose name and shape fit; returns the names left random.

    The weights come with the input that they expect (see `load_model`).
    """
    checkpoint = load_checkpoint(path)
    tensors, state = checkpoint.tensors, model.state_dict()
    fitting = {n: t for n, t in tensors.items() if n in state and state[n].shape == t.shape}
    if not fitting:
        raise CheckpointError(f"{path} shares no weight with this network")
    with torch.no_grad():
        for name, value in fitting.items():
            state[name].copy_(value)
    take_input_spec(model, checkpoint.card, path)
    return sorted(set(state) - set(fitting))
