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

from litescene.core import CheckpointError, InputError, UnknownNameError
from litescene.media.atomic import write_atomic
from litescene.models import InputSpec, replace_pools, variant
from litescene.models.pruning import Prunable, prune_channels

_CARD = "litescene_card"
LEAST_SHARE = 0.1
"""Least share of a network's numbers that a training takes from another one's checkpoint.

Networks with the same encoder share more, others a few layers by chance.
"""


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
    try:
        card = json.loads(metadata[_CARD])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its card is damaged: {error}") from error
    if not isinstance(card, dict):
        raise CheckpointError(f"{path}: its card is no table")
    return Checkpoint(tensors, card)


def load_model(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a checkpoint with its weights, in evaluation mode, and the card.

    A card that says how the input is normalised, as that of an imported checkpoint does, replaces
    the network's own `input_spec`.
    """
    checkpoint = load_checkpoint(path)
    model = _network_of(checkpoint.card, path)
    load_weights(model, checkpoint.tensors, str(path))
    take_input_spec(model, checkpoint.card, path)
    return model.eval(), checkpoint.card


def _network_of(card: Mapping[str, Any], path: Path) -> nn.Module:
    """The network that a card names, with random weights; `CheckpointError` if there is none."""
    try:
        name, options = str(card["model"]["name"]), dict(card["model"]["options"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the card names no model and its options") from error
    taxonomy = card.get("taxonomy")
    names = taxonomy.get("names", ()) if isinstance(taxonomy, Mapping) else ()
    classes = options.get("num_classes", len(names))
    if names and classes != len(names):
        raise CheckpointError(
            f"{path}: the card names {len(names)} classes, the network has {classes}"
        )
    try:
        build = variant(name).build
    except UnknownNameError as error:
        raise CheckpointError(
            f"{path} is of a network that this litescene does not know: {error}"
        ) from error
    try:
        return _with_pools(build(**options), card["model"])
    except (TypeError, ValueError, InputError) as error:
        raise CheckpointError(
            f"{path}: the card's options of {name} do not fit: {error}"
        ) from error


def _with_pools(network: nn.Module, model: Mapping[str, Any]) -> nn.Module:
    """The network with the pooling that a card names, if it names one."""
    pool = model.get("pool")
    return replace_pools(network, pool, **model.get("pool_options", {})) if pool else network


def take_input_spec(model: Any, card: Mapping[str, Any], path: Path) -> None:
    """Give `model` the `input` of a card, where it has one."""
    if "input" not in card:
        return
    try:
        model.input_spec = InputSpec.from_dict(card["input"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the card's input convention is damaged: {error}") from error


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load all weights; the error names missing, unexpected, misshapen and non-finite ones."""
    state = model.state_dict()
    problems = [f"missing {name}" for name in state if name not in tensors]
    problems += [f"unexpected {name}" for name in tensors if name not in state]
    problems += [
        f"{name} is {tuple(tensors[name].shape)}, expected {tuple(value.shape)}"
        for name, value in state.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    problems += [
        f"{name} holds values that are not finite"
        for name in state
        if name in tensors and not tensors[name].isfinite().all()
    ]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise CheckpointError(f"{where} does not fit the network: {'; '.join(problems[:4])}{more}")
    model.load_state_dict(dict(tensors))


def initialise_from(model: nn.Module, path: Path) -> list[str]:
    """Copy the entries of `path` whose name and shape fit; returns the names left random.

    A wider network of the same kind is pruned to the width of this one (see `prune_channels`).
    The weights come with the input that they expect (see `load_model`). Where less than
    `LEAST_SHARE` of the network's numbers fit, it is a `CheckpointError`.
    """
    checkpoint = load_checkpoint(path)
    tensors, state = _pruned_to(model, checkpoint, path), model.state_dict()
    fitting = {n: t for n, t in tensors.items() if n in state and state[n].shape == t.shape}
    share = _numbers(fitting) / _numbers(state)
    if share < LEAST_SHARE:
        theirs = (checkpoint.card.get("model") or {}).get("name", "its network is not named")
        raise CheckpointError(
            f"{path} ({theirs}) has {share:.1%} of the weights of {type(model).__name__}; start "
            f"from a checkpoint of the same family, which has {LEAST_SHARE:.0%} of them or more"
        )
    with torch.no_grad():
        for name, value in fitting.items():
            state[name].copy_(value)
    take_input_spec(model, checkpoint.card, path)
    return sorted(set(state) - set(fitting))


def _pruned_to(model: nn.Module, checkpoint: Checkpoint, path: Path) -> dict[str, Tensor]:
    """The checkpoint's weights, of a wider network of the kind those of the channels that stay."""
    if not isinstance(model, Prunable):
        return checkpoint.tensors
    wide = _network_of(checkpoint.card, path)
    if not isinstance(wide, type(model)) or wide.width <= model.width:
        return checkpoint.tensors
    load_weights(wide, checkpoint.tensors, str(path))
    return prune_channels(wide, model.width / wide.width).state_dict()


def _numbers(tensors: Mapping[str, Tensor]) -> int:
    return sum(value.numel() for value in tensors.values())
