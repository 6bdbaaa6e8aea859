"""Objects of a picture, from a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litescene.core.contract import Contract
from litescene.core.errors import InputError
from litescene.core.frame import Image
from litescene.core.results import Detections
from litescene.media.letterbox import Letterbox
from litescene.runtime.bundle import Bundle
from litescene.runtime.engines import Outputs
from litescene.runtime.nms import (
    Suppression,
    decode,
    suppress,
    suppress_softly,
)
from litescene.runtime.predictor import LazyEngine, Picture, as_image, open_bundle

DEFAULT_SCORE, DEFAULT_IOU = 0.45, 0.5
"""Thresholds of bundles that state none: those of the original detector."""
_SAME_BOX = 0.9
_NEAR_THRESHOLD = 0.8


class Detector:
    """Pictures in, boxes in the pictures' own pixels out.

    Args:
        bundle: a `Bundle`, the name of a shipped one, or a file.
        engine: `auto` or one of `runtime.ENGINES`.
        threads: cores to use; all that the process may use by default.
        size: (height, width) to fit pictures into, instead of the trained size.
        score: least score, 0 to 1, instead of the bundle's.
        iou: overlap from which a box suppresses another one of its class.
        multi_label: give a box every class above `score`, as precision-recall curves want it.
        suppression: `class`: boxes suppress worse ones of their class; `all`: of any class;
            `soft`: they lower the scores of those of their class (see `nms`), whatever `iou`.

    """

    def __init__(
        self,
        bundle: Bundle | str | Path,
        engine: str = "auto",
        threads: int | None = None,
        size: tuple[int, int] | None = None,
        *,
        score: float | None = None,
        iou: float | None = None,
        multi_label: bool = False,
        suppression: Suppression = "class",
    ) -> None:
        self.bundle = open_bundle(bundle, "detection")
        self.contract = self.bundle.contract
        self.taxonomy = self.contract.taxonomy
        self.size = size or self.contract.size
        stride = self.contract.stride
        if any(side < stride or side % stride for side in self.size):
            raise InputError(
                f"a detector's size is a multiple of {stride}, not {self.size[1]}×{self.size[0]}"
            )
        self.score = stated_score(self.contract) if score is None else score
        self.iou = stated_iou(self.contract) if iou is None else iou
        self._multi_label = multi_label
        self._suppression: Suppression = suppression
        self._engine = LazyEngine(self.bundle, engine, threads, self._agreement)

    @property
    def engine(self) -> str:
        """Name of the engine; `auto` until the first picture."""
        return self._engine.name

    def plan(self, image: Image) -> Letterbox:
        """Where a picture lies in the network's input."""
        picture = (image.shape[0], image.shape[1])
        return Letterbox.plan(picture, self.size, stride=self.contract.stride, auto=True)

    def __call__(self, picture: Picture) -> Detections:
        """Objects of a path, bytes, RGB array, PIL image or frame, best score first."""
        image = as_image(picture)
        box = self.plan(image)
        heads = [head[0] for head in self._engine.run(box.apply(image)[None])]
        rows = find_boxes(
            heads, self.contract, self.score, self.iou, self._multi_label, self._suppression
        )
        boxes = box.to_picture(rows[:, :4])
        seen = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        return Detections(
            boxes[seen],
            np.ascontiguousarray(rows[seen, 4]),
            rows[seen, 5].astype(np.int32),
            self.taxonomy,
        )

    def _agreement(self, one: Outputs, other: Outputs) -> float | None:
        # By the stated thresholds: the choice of the engine is kept for every caller.
        contract = self.contract
        return box_agreement(one, other, contract, stated_score(contract), stated_iou(contract))


def stated_score(contract: Contract) -> float:
    """Score, 0 to 1, from which a bundle calls a box an object."""
    return contract.thresholds.get("score", DEFAULT_SCORE)


def stated_iou(contract: Contract) -> float:
    """Overlap, 0 to 1, from which a bundle's box suppresses another one of its class."""
    return contract.thresholds.get("iou", DEFAULT_IOU)


def find_boxes(
    heads: Outputs,
    contract: Contract,
    score: float,
    iou: float,
    multi_label: bool = False,
    suppression: Suppression = "class",
) -> NDArray[np.float32]:
    """Head maps of one picture to n×6 rows x1, y1, x2, y2 (input pixels), score, class."""
    rows = decode(heads, contract.anchors, contract.strides, score, multi_label=multi_label)
    if suppression == "soft":
        return suppress_softly(rows, score)
    return suppress(rows, iou, agnostic=suppression == "all")


def box_agreement(
    one: Outputs, other: Outputs, contract: Contract, score: float, iou: float
) -> float | None:
    """Share of boxes that both outputs have (same class, IoU at least 0.9); None without boxes.

    A box of one that the other finds a little below the threshold counts as found.
    """
    near = score * _NEAR_THRESHOLD
    found = total = 0
    for a, b in ((one, other), (other, one)):
        for index in range(len(a[0])):
            wanted = find_boxes([head[index] for head in a], contract, score, iou)
            there = find_boxes([head[index] for head in b], contract, near, iou)
            found += sum(_contains(there, row) for row in wanted)
            total += len(wanted)
    return found / total if total else None


def _contains(rows: NDArray[np.float32], row: NDArray[np.float32]) -> bool:
    same = rows[rows[:, 5] == row[5]]
    low, high = np.maximum(same[:, :2], row[:2]), np.minimum(same[:, 2:4], row[2:4])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(same[:, 2:4] - same[:, :2], axis=1) + np.prod(row[2:4] - row[:2])
    return bool(np.any(common >= _SAME_BOX * (areas - common)))
