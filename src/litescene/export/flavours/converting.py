"""A bundle to the files of another runtime, run on the spot and compared with the bundle."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from litescene.core import (
    BundleError,
    Contract,
    Image,
    MissingExtraError,
    OutputError,
    ParityError,
)
from litescene.core.contract import TaskName
from litescene.export.flavours.finishing import Finish, finished
from litescene.export.flavours.plain_graph import INPUT, Graph, plain_graph, shape_of
from litescene.export.flavours.targets import TARGETS, Planes, Run, Target
from litescene.export.graph import is_quantized
from litescene.export.parity import draw_picture, exact_engines, fit
from litescene.export.reference import decoded
from litescene.media.atomic import write_together
from litescene.media.letterbox import PAD_VALUE, Letterbox
from litescene.runtime.bundle import Bundle
from litescene.runtime.detection import find_boxes, stated_iou, stated_score
from litescene.runtime.engines import Engine, create_engine, default_threads
from litescene.runtime.nms import MAX_BOXES

_DRAWN = 3
"""Drawn pictures that always join the comparison."""
_OUTPUTS: dict[TaskName, str] = {  # of a detector anchors and strides say it
    "segmentation": "logits N×C×h×w at the head's stride; resize bilinearly, take the largest",
    "classification": "logits N×C; the softmax gives probabilities",
    "restoration": "N×3×(f·H)×(f·W) from 0 to 1",
}


_KINDS: dict[Finish, tuple[slice, ...]] = {
    "heads": (slice(None),),
    "rows": (slice(4), slice(4, None)),
    "boxes": (slice(1, 5), slice(5, 6), slice(6, None)),
}
"""Columns of one unit: of rows the box and the scores, of boxes the corners, the score, the class.
The first column of boxes is the picture's number, 0."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written, and how far it is from the bundle."""

    folder: Path
    files: tuple[str, ...]
    difference: float
    """The largest, as a share of the largest output of its kind; coordinates and scores are two."""
    absolute: float
    """The largest, as it is."""
    pictures: int
    boxes: int | None = None
    """Boxes in these pictures, where suppression is inside; 0 compares nothing of it."""


def convert(
    bundle: Bundle,
    flavour: str,
    folder: str | Path,
    size: tuple[int, int] | None = None,
    *,
    finish: Finish = "heads",
    open_sizes: bool = False,
    pictures: Sequence[Image] = (),
) -> Converted:
    """Write a bundle in another runtime's format, run it there, and compare.

    Args:
        bundle: a float32 bundle, or a quantised one, which is compared in the same runtime.
        flavour: one of `TARGETS`.
        folder: for the files, which are named after the bundle, and NAME.json, which says what an
            application has to know of input, outputs and classes.
        size: height and width of the input; by default the trained ones. Multiples of the stride.
        finish: how much of a detector's last steps is inside, see `finishing`.
        open_sizes: leave batch, height and width open.
        pictures: real ones that join the comparison.

    Raises:
        BundleError: the format cannot hold the network, or what was asked for.
        ParityError: the runtime computes something else; nothing was written.
        MissingExtraError: the runtime's packages are not installed.
        OutputError: a file cannot be written, or a bundle or the facts of another format stand in
            its place.

    """
    target = _target(flavour)
    contract, name = bundle.contract, bundle.name
    size = size or contract.size
    _check(bundle, flavour, target, size, finish, open_sizes)
    folder = Path(folder)
    files = target.files(name)
    _spare_bundles(folder / file for file in files)
    facts_file = folder / f"{name}.json"
    _spare_facts(facts_file, files)
    model = plain_graph(bundle, None if open_sizes else size)
    engine = _engine(bundle, target, flavour) if is_quantized(model) else exact_engines(bundle)[0]
    model = finished(model, contract, finish)
    seen = [_seen(p, size, contract) for p in (*map(draw_picture, range(_DRAWN)), *pictures)]
    with tempfile.TemporaryDirectory(prefix="litescene-") as place:
        untried = Path(place)
        target.write(model, untried, name)
        run = target.load(untried, name, model)
        share, absolute, rows = _compared(run, engine, bundle, finish, seen)
        if not share <= target.tolerance:
            raise ParityError(
                f"{flavour} computes something else: its outputs differ by {share:.2g} of the "
                f"largest, and {target.tolerance:g} is allowed; nothing was written"
            )
        contents = {file: (untried / file).read_bytes() for file in files}
    boxes = rows if finish == "boxes" else None
    compared = {"pictures": len(seen), "largest_difference": float(f"{share:.3g}")}
    facts = (
        {"format": flavour}
        | _facts(bundle, model, finish)
        | {"compared": compared | ({} if boxes is None else {"boxes": boxes})}
    )
    said = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    write_together(folder, contents | {facts_file.name: said.encode()})
    return Converted(folder, (*files, facts_file.name), share, absolute, len(seen), boxes)


def _spare_bundles(files: Iterable[Path]) -> None:
    """Refuse to write over a bundle, such as the one that is converted."""
    for file in files:
        if file.suffix == ".onnx" and file.is_file() and _is_bundle(file):
            raise OutputError(f"{file} is a bundle and would be lost; choose another folder")


def _spare_facts(facts_file: Path, files: Sequence[str]) -> None:
    """Refuse to write over what is said of files of another format, which would stay."""
    try:
        other = TARGETS[json.loads(facts_file.read_text("utf-8"))["format"]]
    except (OSError, ValueError, KeyError, TypeError):
        return
    stay = [f for f in other.files(facts_file.stem) if f not in files]
    if any((facts_file.parent / f).exists() for f in stay):
        raise OutputError(
            f"{facts_file} is for {', '.join(stay)} beside it and would be lost; choose another "
            "folder"
        )


def _is_bundle(file: Path) -> bool:
    try:
        Bundle.open(file)
    except BundleError:
        return False
    return True


def _target(flavour: str) -> Target:
    if flavour not in TARGETS:
        raise BundleError(f"there is no flavour '{flavour}'; there are {', '.join(TARGETS)}")
    target = TARGETS[flavour]
    if target.missing():
        raise MissingExtraError(f"the flavour {flavour} ({', '.join(target.missing())})", "deploy")
    return target


def _check(
    bundle: Bundle, flavour: str, target: Target, size: tuple[int, int], finish: Finish, wide: bool
) -> None:
    detects, stride = bundle.contract.task == "detection", bundle.contract.stride
    if finish != "heads" and not detects:
        raise BundleError(f"{finish} inside the graph is for detectors; {bundle.name} is none")
    if finish != "heads" and not target.finishes:
        able = ", ".join(n for n, t in TARGETS.items() if t.finishes)
        raise BundleError(f"{finish} inside the graph is for detectors as {able}, not {flavour}")
    if wide and not target.open_sizes:
        raise BundleError(f"{flavour} takes one size; leave --dynamic out")
    if detects and any(side < stride or side % stride for side in size):
        raise BundleError(f"a detector's size is a multiple of {stride}, not {size[1]}×{size[0]}")


def _engine(bundle: Bundle, target: Target, flavour: str) -> Engine:
    """What a quantised bundle is compared in: another runtime rounds its integers otherwise."""
    if target.engine is None:
        able = ", ".join(n for n, t in TARGETS.items() if t.engine)
        raise BundleError(
            f"'{bundle.name}' is quantised, which is for {able}, not {flavour}; convert the "
            "float32 bundle, and quantise it with the tools of that runtime"
        )
    return create_engine(target.engine, bundle, default_threads())


def _seen(picture: Image, size: tuple[int, int], contract: Contract) -> Image:
    """A picture at the input's size, as the network is shown it."""
    if contract.task == "detection":
        shape = picture.shape[0], picture.shape[1]
        return Letterbox.plan(shape, size, stride=contract.stride, auto=False).apply(picture)
    return fit(picture, size)


def _compared(
    run: Run, engine: Engine, bundle: Bundle, finish: Finish, seen: list[Image]
) -> tuple[float, float, int]:
    """Largest differences to the bundle over all pictures, as a share and as it is, and rows."""
    kinds = _KINDS[finish]
    absolute, largest = np.zeros(len(kinds)), np.full(len(kinds), 1e-12)
    rows = 0
    for picture in seen:
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)
        wanted = _expected([np.array(o) for o in engine.run(picture[None])], bundle, finish)
        for want, have in zip(wanted, run(planes), strict=True):
            if want.size != have.size:
                raise ParityError(f"an output has {have.shape} numbers instead of {want.shape}")
            found = _ordered(have) if finish == "boxes" else have.reshape(want.shape)
            if not np.isfinite(found).all():
                raise ParityError("an output is not finite")
            for number, columns in enumerate(kinds):
                off = np.abs(found - want)[..., columns].max(initial=0)
                absolute[number] = max(absolute[number], off)
                top = np.abs(want[..., columns]).max(initial=0)
                largest[number] = max(largest[number], top)
            rows += len(want)
    return float((absolute / largest).max()), float(absolute.max()), rows


def _expected(heads: list[Planes], bundle: Bundle, finish: Finish) -> list[Planes]:
    """What the outputs have to be: the bundle's, or what the runtime or PyTorch make of them."""
    contract = bundle.contract
    if finish == "heads":
        return heads
    if finish == "boxes":
        score, iou = stated_score(contract), stated_iou(contract)
        rows = find_boxes([head[0] for head in heads], contract, score, iou)
        return [_ordered(np.hstack([np.zeros((len(rows), 1), np.float32), rows]))]
    corners = decoded([torch.from_numpy(head[0]) for head in heads], contract).numpy()
    low, high = corners[:, :2], corners[:, 2:4]
    rows = np.hstack([(low + high) / 2, high - low, corners[:, 4:]])
    return [rows[None].astype(np.float32)]


def _ordered(boxes: Planes) -> Planes:
    """Boxes by score, which runtimes give in an order of their own."""
    return boxes[np.argsort(-boxes[:, 5], kind="stable")]


def _facts(bundle: Bundle, model: Graph, finish: Finish) -> dict[str, Any]:
    """What an application has to know."""
    contract = bundle.contract
    facts: dict[str, Any] = {
        "name": bundle.name,
        "task": contract.task,
        "system": contract.system,
        "classes": list(contract.taxonomy.names),
        "colors": [list(c) for c in contract.taxonomy.colors],
        "input": {
            "name": INPUT,
            "shape": list(shape_of(model.graph.input[0])),
            "values": "float32 planes red, green, blue from 0 to 255; normalised inside",
        },
        "outputs": [{"name": o.name, "shape": list(shape_of(o))} for o in model.graph.output],
    }
    if contract.task == "detection":
        facts |= {
            "finish": finish,
            "letterbox": {"value": PAD_VALUE, "stride": contract.stride},
            "anchors": [[list(size) for size in level] for level in contract.anchors],
            "strides": list(contract.strides),
            "thresholds": {"score": stated_score(contract), "iou": stated_iou(contract)},
            "most_boxes": MAX_BOXES,
        }
    else:
        facts["meaning"] = _OUTPUTS[contract.task]
        facts["align_corners"] = contract.align_corners
    return facts | {"license": contract.license, "bundle": bundle.digest}
