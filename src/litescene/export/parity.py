"""The proof that a bundle computes what the trained network computes.

At three sizes and two batch sizes, on every exact engine that is installed, the outputs must
differ from PyTorch's float32 by at most `TOLERANCE` of the largest output, and the decisions
after the runtime's own last step must be those of PyTorch's: every label and every picture's class,
unless two classes are closer than the tolerance; every value of a restored picture, but for one
level of 255 where it is rounded; of the boxes 99 %, because one at the very threshold may flip.
Where PyTorch finds no box, the threshold is lowered until it finds some (`score_with_boxes`).
Probabilities of classes may differ by `TOLERANCE`.

A network that unpools puts a value where its window had the maximum, and which of two nearly equal
values that was hangs on the last digits: some windows of every picture differ between any two
engines. Of such a network 1 % of all pixels may differ; `moved_pixels` states how many did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from litescene.core import Contract, Image, MissingExtraError, ParityError
from litescene.core.contract import TaskName
from litescene.export.graph import head_maps, planes_of
from litescene.export.reference import decoded, found_boxes, overlaps, upsampled
from litescene.media.fitting import centre_crop, network_size, resize
from litescene.media.letterbox import Letterbox
from litescene.models.spec import input_spec_of
from litescene.runtime.bundle import Bundle
from litescene.runtime.classification import class_agreement, class_probabilities
from litescene.runtime.detection import DEFAULT_IOU, DEFAULT_SCORE, box_agreement, find_boxes
from litescene.runtime.engines import (
    Engine,
    OnnxRuntimeEngine,
    OpenVinoEngine,
    Outputs,
    default_threads,
    has_bf16,
    installed,
)
from litescene.runtime.restoration import picture_agreement, to_picture
from litescene.runtime.segmentation import label_agreement
from litescene.runtime.upsample import upsample_argmax

TOLERANCE = 1e-4
SAME_BOXES = 0.99
MOVED_PIXELS = 0.01
BATCHES = (1, 2)
_CANDIDATES = 50
"""So many of the best rows of a picture without a box may become boxes of the proof."""
_MARGIN = 1e-3
"""Share of the best score by which such rows must differ: ten times the tolerance."""


def prove(model: nn.Module, bundle: Bundle, pictures: Sequence[Image] = ()) -> dict[str, Any]:
    """Compare a bundle with its network; the result goes into the contract's `parity`.

    `decisions` is "equal", or "none compared" where a detector has no boxes at any threshold;
    for detectors `boxes` counts those of PyTorch that each engine was held against.

    Args:
        model: the trained network in evaluation.
        bundle: the bundle made from it.
        pictures: real pictures to compare on, all of them at every size; without them drawn ones
            serve for the proof, and the agreement of bf16, which means something on real pictures
            only, is not stated.

    Raises:
        ParityError: an output or a decision differs; the message says where and by how much.
        MissingExtraError: no engine is installed.

    """
    engines = exact_engines(bundle)
    drawn = list(pictures) or [draw_picture(seed) for seed in range(2)]
    worst, decisions = 0.0, 0
    unpools = bool(getattr(model, "unpools", False))
    moved: list[tuple[float, int]] = []
    sizes = proof_sizes(bundle.contract)
    for size in sizes:
        for batch in _batches(drawn, size, planes_of(bundle.contract)):
            wanted = _torch_outputs(model, batch)
            for engine in engines:
                given = engine.run(batch)
                if unpools:
                    given, share = _without_moved(given, wanted)
                    moved.append((share, len(batch) * size[0] * size[1]))
                where = f"{engine.name} at {'×'.join(map(str, batch.shape[:3]))}"
                difference, compared = _compare(given, wanted, batch, bundle.contract, where)
                worst = max(worst, difference)
            decisions += compared
    result: dict[str, Any] = {
        "engines": [engine.name for engine in engines],
        "sizes": [list(size) for size in sizes],
        "batches": list(BATCHES),
        "tolerance": TOLERANCE,
        "largest_difference": worst,
        "pictures": len(pictures),
        "decisions": "equal" if decisions else "none compared",
    }
    if bundle.contract.task == "detection":
        result["boxes"] = decisions
    if unpools:
        result["moved_pixels"] = _moved_share(moved)
    if pictures and installed("openvino") and has_bf16():
        agreement = bf16_agreement(bundle, pictures)
        if agreement is not None:
            result |= {"bf16_agreement": agreement, "bf16_pictures": len(pictures)}
    return result


def _batches(
    pictures: Sequence[Image], size: tuple[int, int], planes: int
) -> Iterator[NDArray[np.uint8]]:
    """Batches of each of `BATCHES`; those of the largest hold every picture."""
    *small, largest = BATCHES
    fitted = [_moving(fit(picture, size), planes) for picture in pictures]
    starts = [(count, 0) for count in small]
    starts += [(largest, start) for start in range(0, len(fitted), largest)]
    for count, start in starts:
        yield np.stack([fitted[(start + i) % len(fitted)] for i in range(count)])


def _moving(picture: Image, planes: int) -> Image:
    """H×W×`planes`: the picture, and it again as if the camera had moved, one after another."""
    return np.concatenate([np.roll(picture, 3 * i, 1) for i in range(planes // 3)], 2)


def bf16_agreement(bundle: Bundle, pictures: Sequence[Image]) -> float | None:
    """Mean share of decisions that bf16 has in common with float32; None without decisions."""
    exact, rough = (
        OpenVinoEngine(bundle, default_threads(), precision, store=False)
        for precision in ("f32", "bf16")
    )
    return agreement(exact, rough, bundle.contract, pictures)


def agreement(
    exact: Engine, rough: Engine, contract: Contract, pictures: Sequence[Image]
) -> float | None:
    """Mean share of decisions that two engines have in common; None without decisions."""
    shares = []
    for picture in pictures:
        batch = as_seen(picture, contract)[None]
        one, other = [o.copy() for o in exact.run(batch)], rough.run(batch)
        share = _agreement(one, other, contract)
        if share is not None:
            shares.append(share)
    return float(np.mean(shares)) if shares else None


def proof_sizes(contract: Contract) -> tuple[tuple[int, int], ...]:
    """The trained size and two others, one of them upright and, for label maps, odd."""
    height, width = contract.size
    step = contract.stride
    half = max(height // 2 // step, 2) * step, max(width // 2 // step, 2) * step
    if contract.task == "detection":
        return (height, width), half, (half[1] + step, half[0])
    return (height, width), half, (half[1] + 5, half[0] + 3)


def draw_picture(seed: int) -> Image:
    """A picture with smooth shading, edges and texture at several scales, 256×320 RGB."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((256, 320, 3), np.float32)
    for scale in (2, 4, 8, 16, 32, 64):
        noise = rng.normal(0, scale, (256 // scale, 320 // scale, 3)).astype(np.float32)
        picture += cv2.resize(noise, (320, 256), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        x, y = int(rng.integers(0, 280)), int(rng.integers(0, 220))
        w, h = int(rng.integers(10, 90)), int(rng.integers(10, 90))
        picture[y : y + h, x : x + w] += rng.normal(0, 60, 3)
    return np.clip(128 + picture, 0, 255).astype(np.uint8)


def fit(picture: Image, size: tuple[int, int]) -> Image:
    """The picture at (height, width)."""
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def as_seen(picture: Image, contract: Contract) -> Image:
    """The picture as the runtime shows it to the network."""
    return _SEEN[contract.task](picture, contract)


def _letterboxed(picture: Image, contract: Contract) -> Image:
    height, width = picture.shape[:2]
    box = Letterbox.plan((height, width), contract.size, stride=contract.stride, auto=True)
    return box.apply(picture)


def _resized(picture: Image, contract: Contract) -> Image:
    height, width = picture.shape[:2]
    return resize(picture, network_size((height, width), contract.size, contract.stride))


def _centre(picture: Image, contract: Contract) -> Image:
    return centre_crop(picture, contract.size, contract.crop_share)


_SEEN: dict[TaskName, Callable[[Image, Contract], Image]] = {
    "segmentation": _resized,
    "detection": _letterboxed,
    "classification": _centre,
    "restoration": lambda picture, contract: _moving(picture, planes_of(contract)),
}


def exact_engines(bundle: Bundle) -> list[Engine]:
    """Every installed engine that adds no rounding of its own; a `MissingExtraError` without."""
    engines: list[Engine] = []
    if installed("onnxruntime"):
        engines.append(OnnxRuntimeEngine(bundle, default_threads()))
    if installed("openvino"):
        engines.append(OpenVinoEngine(bundle, default_threads(), "f32", store=False))
    if not engines:
        raise MissingExtraError("the parity proof", "onnxruntime")
    return engines


@torch.inference_mode()
def _torch_outputs(model: nn.Module, batch: NDArray[np.uint8]) -> list[Tensor]:
    x = torch.from_numpy(batch).permute(0, 3, 1, 2).float()
    return list(head_maps(model, input_spec_of(model).normalised(x)))


def _without_moved(given: Outputs, wanted: Sequence[Tensor]) -> tuple[Outputs, float]:
    """A label map's logits with PyTorch's where they differ, and the share of such pixels."""
    have, want = given[0], wanted[0].numpy()
    if have.shape != want.shape:
        return given, 0.0
    moved = np.abs(have - want).max(1, keepdims=True) > TOLERANCE * np.abs(want).max()
    return [np.where(moved, want, have)], float(moved.mean())


def _moved_share(moved: Sequence[tuple[float, int]]) -> float:
    """The mean of shares, each with its pixels. Raises `ParityError` if it is too much."""
    share = float(np.average([s for s, _ in moved], weights=[pixels for _, pixels in moved]))
    if share > MOVED_PIXELS:
        raise ParityError(
            f"{share:.1%} of the pixels differ from PyTorch's; of a network that unpools "
            f"{MOVED_PIXELS:.0%} may"
        )
    return share


def _compare(
    given: Outputs,
    wanted: Sequence[Tensor],
    batch: NDArray[np.uint8],
    contract: Contract,
    where: str,
) -> tuple[float, int]:
    """Largest difference relative to the largest output, and the decisions that were compared.

    The pixels of a segmentation, the boxes that PyTorch finds, the pictures of a classification,
    the values of a restored picture. Raises `ParityError`.
    """
    worst, decisions = 0.0, 0
    for have, want in zip(given, wanted, strict=True):
        if have.shape != tuple(want.shape):
            raise ParityError(f"{where}: output {have.shape}, PyTorch has {tuple(want.shape)}")
        scale = float(want.abs().max())
        difference = float(np.abs(have - want.numpy()).max()) / max(scale, 1e-12)
        if not difference <= TOLERANCE:
            raise ParityError(
                f"{where}: outputs differ from PyTorch by {difference:.2e} of the largest one; "
                f"allowed is {TOLERANCE:.0e}"
            )
        worst = max(worst, difference)
    for index in range(len(batch)):
        one = [output[index] for output in given]
        other = [output[index] for output in wanted]
        size = (batch.shape[1], batch.shape[2])
        decisions += _DECISIONS[contract.task](one, other, contract, size, where)
    return worst, decisions


Size = tuple[int, int]


def _compare_labels(
    given: Outputs, wanted: Sequence[Tensor], contract: Contract, size: Size, where: str
) -> int:
    logits, corners = wanted[0], contract.align_corners
    full = upsampled(logits[None], *size, align_corners=corners)[0]
    labels = torch.from_numpy(upsample_argmax(given[0], *size, align_corners=corners)).long()
    chosen = full.gather(0, labels[None])[0]
    gap = float((full.amax(0) - chosen).max()) / max(float(logits.abs().max()), 1e-12)
    if gap > 2 * TOLERANCE:
        raise ParityError(
            f"{where}: a label differs from PyTorch's although its class is {gap:.1e} behind"
        )
    return labels.numel()


def _compare_classes(
    given: Outputs, wanted: Sequence[Tensor], contract: Contract, size: Size, where: str
) -> int:
    want = wanted[0].double().softmax(0).numpy()
    have = class_probabilities(given[0])
    difference = float(np.abs(have - want).max())
    gap = float(want.max() - want[have.argmax()])
    if max(difference, gap) > TOLERANCE:
        raise ParityError(
            f"{where}: a probability differs from PyTorch's by {difference:.1e}, and the class "
            f"chosen is {gap:.1e} behind; allowed is {TOLERANCE:.0e}"
        )
    return 1


def _compare_pictures(
    given: Outputs, wanted: Sequence[Tensor], contract: Contract, size: Size, where: str
) -> int:
    planes = (wanted[0] * 255).round().clamp(0, 255).to(torch.uint8)
    rounded = planes.permute(1, 2, 0).numpy()
    apart = int(cv2.absdiff(to_picture(given[0]), rounded).max())
    if apart > 1:
        raise ParityError(f"{where}: a value of the picture differs from PyTorch's by {apart}")
    return rounded.size


def _compare_boxes(
    given: Outputs, wanted: Sequence[Tensor], contract: Contract, size: Size, where: str
) -> int:
    score, iou = _thresholds(contract)
    score = score_with_boxes(decoded(wanted, contract), score)
    want = found_boxes(wanted, contract, score, iou)
    have = torch.from_numpy(find_boxes(given, contract, score, iou)).double()
    shared = sum(_has(have, row) for row in want) + sum(_has(want, row) for row in have)
    total = len(want) + len(have)
    if total and shared / total < SAME_BOXES:
        raise ParityError(f"{where}: only {shared} of {total} boxes are those of PyTorch")
    return len(want)


_DECISIONS: dict[TaskName, Callable[[Outputs, Sequence[Tensor], Contract, Size, str], int]] = {
    "segmentation": _compare_labels,
    "detection": _compare_boxes,
    "classification": _compare_classes,
    "restoration": _compare_pictures,
}
"""Compares what follows from the outputs for one picture of that size; returns how much it was."""


def score_with_boxes(rows: Tensor, score: float) -> float:
    """The threshold of the proof: `score` if a row is above it, else one that some rows are above.

    Such a threshold lies half-way down the widest step among the best `_CANDIDATES` scores. The
    rows above it must differ in score, and each one's class must lead, by more than `_MARGIN`:
    else their order in the suppression and their class hang on the last digits, as with a network
    that was never trained, and there is nothing to compare. `rows` as `reference.decoded` gives
    them.
    """
    scores = rows[:, 5:] * rows[:, 4:5]
    best = scores.amax(1)
    if bool((best > score).any()):
        return score
    ranked, order = best.topk(min(_CANDIDATES, len(best)))
    others = scores[order].scatter(1, scores[order].argmax(1, keepdim=True), 0.0).amax(1)
    margin = _MARGIN * float(ranked[0])
    steps, leads = ranked[:-1] - ranked[1:], (ranked - others)[:-1]
    firm = int(((steps > margin) & (leads > margin)).long().cumprod(0).sum())
    if not firm:
        return score
    widest = int(steps[:firm].argmax())
    return float(ranked[widest] + ranked[widest + 1]) / 2


def _has(rows: Tensor, row: Tensor) -> bool:
    same = rows[rows[:, 5] == row[5]]
    return bool((overlaps(row, same) > 0.99).any())


def _agreement(one: Outputs, other: Outputs, contract: Contract) -> float | None:
    return _AGREEMENTS[contract.task](one, other, contract)


_AGREEMENTS: dict[TaskName, Callable[[Outputs, Outputs, Contract], float | None]] = {
    "segmentation": lambda one, other, _: label_agreement(one, other),
    "detection": lambda one, other, contract: box_agreement(
        one, other, contract, *_thresholds(contract)
    ),
    "classification": lambda one, other, _: class_agreement(one, other),
    "restoration": lambda one, other, _: picture_agreement(one, other),
}


def _thresholds(contract: Contract) -> tuple[float, float]:
    stated = contract.thresholds
    return stated.get("score", DEFAULT_SCORE), stated.get("iou", DEFAULT_IOU)
