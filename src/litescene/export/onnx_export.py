"""Trained network to bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from torch import nn

from litescene.core import CheckpointError, Contract, Image, Taxonomy
from litescene.core.contract import FINISH_OF_TASK
from litescene.export.graph import to_onnx
from litescene.export.parity import prove
from litescene.media.atomic import write_atomic
from litescene.runtime.bundle import Bundle, write_metadata

DEFAULT_THRESHOLDS = {"score": 0.45, "iou": 0.5}
_PROVENANCE = ("data", "recipe", "imported", "litescene", "torch", "commit")
_ACCURACY = ("accuracy", "ap", "iou", "map", "mean_", "per_class", "top", "psnr", "ssim")
"""How the names of measured figures begin; a record of training also holds losses and times."""


def export(
    model: nn.Module, contract: Contract, out: str | Path, pictures: Sequence[Image] = ()
) -> Bundle:
    """Write a bundle after proving that it computes what the network computes.

    Args:
        model: the trained network; it is not changed.
        contract: what the bundle's metadata shall say; `parity` is filled in.
        out: the file; it appears whole or not at all.
        pictures: real pictures for the proof and for the agreement of bf16 (see `parity.prove`).

    Returns:
        The bundle as it was written.

    Raises:
        ParityError: outputs or decisions differ; nothing is written.
        OutputError: the file cannot be written.

    """
    out = Path(out)
    was_training = model.training
    model.eval()
    try:
        graph = to_onnx(model)
        bundle = Bundle.from_bytes(write_metadata(graph, contract), out.stem)
        parity = prove(model, bundle, pictures)
    finally:
        model.train(was_training)
    data = write_metadata(graph, dataclasses.replace(contract, parity=parity))
    write_atomic(out, data)
    return Bundle.from_bytes(data, out.stem)


def export_checkpoint(
    checkpoint: str | Path,
    out: str | Path,
    pictures: Sequence[Image] = (),
    license: str = "",
) -> Bundle:
    """Export a checkpoint, trained here or imported; its card gives the contract."""
    from litescene.training import load_model

    model, card = load_model(Path(checkpoint))
    return export(model, contract_of(model, card, license), out, pictures)


def contract_of(model: Any, card: Mapping[str, Any], license: str = "") -> Contract:
    """The contract of a network from the card of its checkpoint."""
    try:
        task, system = card["task"], card["model"]["name"]
        taxonomy = Taxonomy.from_dict(card["taxonomy"])
        height, width = card["size"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint's card lacks what a bundle must say: {error}"
        ) from error
    if task not in FINISH_OF_TASK:
        raise CheckpointError(f"the checkpoint's card is of an unknown task '{task}'")
    detects = task == "detection"
    provenance = _without_folders({key: card[key] for key in _PROVENANCE if key in card})
    result = card.get("result", {})
    if "epoch" in result:
        provenance["epoch"] = result["epoch"]
    return Contract(
        task=task,
        system=system,
        taxonomy=taxonomy,
        size=(int(height), int(width)),
        finish=FINISH_OF_TASK[task],
        align_corners=bool(getattr(model, "align_corners", False)),
        anchors=_plain_anchors(model) if detects else (),
        strides=tuple(int(s) for s in model.strides) if detects else (),
        thresholds=dict(card.get("thresholds", DEFAULT_THRESHOLDS)) if detects else {},
        crop_share=float(card.get("crop_share", 1.0)),
        pictures=int(getattr(model, "pictures", 1)),
        factor=int(getattr(model, "factor", 1)),
        provenance=provenance | {"exported": datetime.now(UTC).date().isoformat()},
        accuracy={name: v for name, v in result.items() if name.startswith(_ACCURACY)},
        license=license or card.get("license", ""),
    )


def _without_folders(provenance: dict[str, Any]) -> dict[str, Any]:
    """Names the data, and the checkpoints that the training began from or learned from, bare."""
    from litescene.training.data_specs import without_data_folders

    bare: dict[str, Any] = without_data_folders(provenance)
    recipe = bare.get("recipe", {})
    model, settings = recipe.get("model", {}), recipe.get("settings", {})
    if model.get("init"):
        recipe = {**recipe, "model": {**model, "init": Path(model["init"]).name}}
    if settings.get("teacher"):
        teacher = settings["teacher"]
        named = {**teacher, "checkpoint": Path(teacher["checkpoint"]).name}
        recipe = {**recipe, "settings": {**settings, "teacher": named}}
    return {**bare, "recipe": recipe} if recipe else bare


def _plain_anchors(model: Any) -> tuple[tuple[tuple[float, float], ...], ...]:
    return tuple(tuple((float(w), float(h)) for w, h in level) for level in model.anchors)
