"""Turning somebody else's ONNX model into a bundle: metadata, and a run that proves they fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from litescene.core.contract import Contract
from litescene.core.errors import BundleError, InputError
from litescene.core.taxonomy import CAMVID, CITYSCAPES, COCO, STREET_OBJECTS, Taxonomy
from litescene.media.atomic import write_atomic
from litescene.media.class_files import parse_classes
from litescene.media.fitting import SMALLEST
from litescene.runtime.bundle import Bundle, write_metadata
from litescene.runtime.engines import Engine, Outputs, create_engine
from litescene.runtime.selection import candidates

TAXONOMIES = {t.name: t for t in (CAMVID, CITYSCAPES, COCO, STREET_OBJECTS)}


def read_taxonomy(name_or_file: str) -> Taxonomy:
    """One of `TAXONOMIES` by name, or a text file with a class a line (`parse_classes`)."""
    if name_or_file in TAXONOMIES:
        return TAXONOMIES[name_or_file]
    path = Path(name_or_file)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"labels '{name_or_file}' are neither a text file nor one of {', '.join(TAXONOMIES)}"
        ) from error
    try:
        return parse_classes(text).taxonomy(path.stem)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def read_anchors(path: Path) -> dict[str, Any]:
    """Anchors and strides of a detector from JSON: `{"strides": [...], "anchors": [[[w, h]]]}`."""
    try:
        plain = json.loads(path.read_text("utf-8-sig"))
        strides = tuple(int(s) for s in plain["strides"])
        anchors = tuple(tuple((float(w), float(h)) for w, h in lev) for lev in plain["anchors"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(
            f"{path} holds no anchors ({error}); expected JSON like "
            '{"strides": [8, 16, 32], "anchors": [[[w, h], ...], ...]}'
        ) from error
    return {"strides": strides, "anchors": anchors, "stride": max(strides, default=32)}


def adopt(model: Path, contract: Contract, out: Path) -> Bundle:
    """Write `model` with `contract` as its metadata to `out`, after running it.

    The model must take uint8 N×H×W×3 (RGB, normalisation inside the graph), at more sizes than one
    unless it classifies, and give the outputs that `contract.finish` describes; otherwise a
    `BundleError` says what it gives, and nothing is written. Networks that restore pictures are
    not adopted: an `InputError`.
    """
    if contract.task == "restoration":
        raise InputError("a network of another program that restores pictures cannot be adopted")
    try:
        data = model.read_bytes()
    except OSError as error:
        raise BundleError(f"cannot read {model}: {error.strerror}") from error
    written = write_metadata(data, contract)
    bundle = Bundle.from_bytes(written, out.stem)
    # Every engine: one of them may take what another refuses.
    for engine in (create_engine(name, bundle) for name in candidates()):
        _check_size(engine, contract.size, contract, model)
        if contract.task != "classification":
            _check_size(engine, _another_size(contract), contract, model)
    write_atomic(out, written)
    return bundle


def _another_size(contract: Contract) -> tuple[int, int]:
    """A size that is not the trained one, about half of it."""
    stride = contract.stride
    least = -(-SMALLEST // stride) * stride
    rows, columns = (max(side // 2 // stride * stride, least) for side in contract.size)
    return (rows, columns) if (rows, columns) != contract.size else (rows + stride, columns)


def _check_size(engine: Engine, size: tuple[int, int], contract: Contract, model: Path) -> None:
    try:
        outputs = engine.run(np.zeros((1, *size, 3), np.uint8))
    except Exception as error:  # every engine has kinds of its own
        reason = str(error).strip().splitlines()[-1]
        advice = "" if size == contract.size else "; export it with free height and width"
        raise BundleError(
            f"{model} does not take uint8 1×{size[0]}×{size[1]}×3 pictures{advice}: {reason}"
        ) from error
    _check_outputs(outputs, size, contract, model)


def _check_outputs(
    outputs: Outputs, size: tuple[int, int], contract: Contract, model: Path
) -> None:
    classes = len(contract.taxonomy)
    given = ", ".join("×".join(map(str, o.shape)) for o in outputs)
    if contract.task == "segmentation":
        if len(outputs) == 1 and outputs[0].ndim == 4 and outputs[0].shape[1] == classes:
            return
        wanted = f"one output 1×{classes}×h×w"
    elif contract.task == "classification":
        if [o.shape for o in outputs] == [(1, classes)]:
            return
        wanted = f"one output 1×{classes}"
    else:
        height, width = size
        shapes = [
            (1, len(anchors) * (5 + classes), height // stride, width // stride)
            for anchors, stride in zip(contract.anchors, contract.strides, strict=True)
        ]
        if [o.shape for o in outputs] == shapes:
            return
        wanted = ", ".join("×".join(map(str, s)) for s in shapes)
    raise BundleError(f"{model} gives {given}; a {contract.task} bundle gives {wanted}")
