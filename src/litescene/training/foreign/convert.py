"""A published checkpoint to one of ours."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import litescene
from litescene.core import (
    CAMVID,
    CITYSCAPES,
    COCO,
    CheckpointError,
    InputError,
    Taxonomy,
    UnknownNameError,
)
from litescene.core.taxonomy import VOID, distinct_colors
from litescene.models import create_model, list_models, variant
from litescene.training.checkpoint import save_checkpoint
from litescene.training.foreign import bisenet, enet, espnet, espnet_v2, stdc, yolov5_lite
from litescene.training.foreign.files import read_network
from litescene.training.foreign.keys import Weights, renamed
from litescene.training.foreign.published import Published

PUBLISHED: Mapping[str, Published] = {
    **bisenet.PUBLISHED,
    **enet.PUBLISHED,
    **espnet.PUBLISHED,
    **espnet_v2.PUBLISHED,
    **stdc.PUBLISHED,
    **yolov5_lite.PUBLISHED,
}
"""The networks whose official files can be read, by our name."""

_DATA = {"camvid": CAMVID, "cityscapes": CITYSCAPES}


def published(name: str) -> Published:
    """What is known of the official files of a network.

    Raises `UnknownNameError` with near names, and `InputError` for a network without such files.
    """
    if name in list_models() and name not in PUBLISHED:
        raise InputError(
            f"no official files of {name} are known; there are some of: {', '.join(PUBLISHED)}"
        )
    if name not in PUBLISHED:
        raise UnknownNameError("network whose official files can be read", name, PUBLISHED)
    return PUBLISHED[name]


def import_checkpoint(
    name: str,
    file: Path,
    out: Path,
    taxonomy: Taxonomy | None = None,
    size: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Read the official checkpoint `file` of the network `name` and write it as one of ours.

    Args:
        name: one of `PUBLISHED`.
        file: what the authors published (see `files`); nothing of it is run.
        out: the `.safetensors` file to write.
        taxonomy: the classes; by default those that the file names, or by their number those of
            CamVid (11 or 12), Cityscapes (19 or 20), where the one more is `void`, or COCO (80).
        size: height and width of the training, by default the usual ones of the data set.

    Returns:
        The card of the checkpoint. Its `input` says which channel order and normalisation the
        weights expect.

    Raises:
        CheckpointError: the file is damaged, asks for anything but tensors, or does not fit.

    """
    source = published(name)
    weights, names = read_network(file)
    try:
        model, options = load_official(name, weights)
    except CheckpointError as error:
        raise CheckpointError(f"{file} is no {name}: {error}") from error
    classes = taxonomy or taxonomy_of(options["num_classes"], source, names)
    if len(classes) != options["num_classes"]:
        raise CheckpointError(
            f"{file} has {options['num_classes']} classes, '{classes.name}' {len(classes)}"
        )
    data = next((data for data in _DATA if data in classes.name), "")
    chosen = size or source.sizes.get(data, source.size)
    if chosen is None:
        raise CheckpointError(f"{file}: say with --size at which pictures it was trained")
    card = {
        "task": variant(name).task,
        "taxonomy": classes.to_dict(),
        "size": list(chosen),
        "model": {"name": name, "options": options},
        "input": source.input_of.get(data, source.input_spec).to_dict(),
        "imported": {
            "file": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "code": source.code,
        },
        "license": source.license,
        "litescene": litescene.__version__,
        "torch": torch.__version__,
    }
    save_checkpoint(out, model.state_dict(), card)
    return card


def load_official(name: str, weights: Weights) -> tuple[nn.Module, dict[str, Any]]:
    """The network `name` with official weights, and the builder's options that fit them.

    Raises `CheckpointError` where a weight has no place, or a place gets none.
    """
    source = published(name)
    if source.classes not in weights:
        raise CheckpointError(
            f"{source.classes} is not among its {len(weights)} weights; is it of {source.code}?"
        )
    scores = weights[source.classes]
    if scores.ndim <= source.classes_axis or not scores.numel():
        raise CheckpointError(f"{source.classes} is {tuple(scores.shape)}, which is no weight")
    classes = source.classes_of(int(scores.shape[source.classes_axis]))
    options = {**source.options(weights), "num_classes": classes}
    model = create_model(name, **options)
    plain = _as_plain_norms(weights, source.compiled_norms)
    state = renamed(weights, source.table, model.state_dict(), source.ignored, plain)
    strange = [n for n, v in state.items() if not bool(torch.isfinite(v).all())]
    if strange:
        raise CheckpointError(f"{strange[0]} is not finite")
    model.load_state_dict(state)
    return model.eval(), options


def _as_plain_norms(weights: Weights, compiled: tuple[str, ...]) -> Callable[[str, Tensor], Tensor]:
    """Makes scales of batch norms that use |weight| + 1e-5 those of a plain batch norm."""
    names = [re.escape(name).replace(r"\#", r"\d+") for name in compiled]
    pattern = re.compile(rf"({'|'.join(names)})(\..+)?") if names else None

    def plain(name: str, value: Tensor) -> Tensor:
        module, _, leaf = name.rpartition(".")
        scales = leaf == "weight" and f"{module}.running_mean" in weights
        if pattern is None or not scales or not pattern.fullmatch(module):
            return value
        return value.abs() + 1e-5

    return plain


def taxonomy_of(classes: int, source: Published, names: tuple[str, ...] = ()) -> Taxonomy:
    """The classes of a file with so many of them, and with these names if it says any."""
    if len(names) == classes:
        if len(set(names)) < classes:
            twice = next(name for name in names if names.count(name) > 1)
            raise CheckpointError(f"it names two classes '{twice[:40]}'; name them with --classes")
        known = names == COCO.names
        return COCO if known else Taxonomy("imported", names, distinct_colors(classes))
    if classes == len(COCO) and source.boxes:
        return COCO
    for data, taxonomy in _DATA.items():
        if classes == len(taxonomy):
            return taxonomy
        if classes == len(taxonomy) + 1:
            return with_void(taxonomy, first=data in source.void_first)
    raise CheckpointError(f"it has {classes} classes, which are unknown; name them with --classes")


def with_void(taxonomy: Taxonomy, *, first: bool = False) -> Taxonomy:
    """The taxonomy and one more class, black, for all that has no name in it."""
    if first:
        return Taxonomy(
            f"{VOID}+{taxonomy.name}",
            (VOID, *taxonomy.names),
            ((0, 0, 0), *taxonomy.colors),
        )
    return Taxonomy(
        f"{taxonomy.name}+{VOID}", (*taxonomy.names, VOID), (*taxonomy.colors, (0, 0, 0))
    )
