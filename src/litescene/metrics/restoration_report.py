"""Pictures of how a network did that makes pictures: where it is furthest from the true ones."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from litescene.core import Image
from litescene.media.contact_sheet import place
from litescene.media.overlay import draw_status
from litescene.media.pictures import encode_png
from litescene.metrics.image_quality import ImageQuality
from litescene.metrics.report import Examples, Tiles

SHOWN = 8
"""Pictures on a sheet."""
TILE = 320
"""Pixels of the sides of what is shown of a picture, at most."""
TIMES = 4
"""By how much errors are multiplied to be seen."""


class RestorationReport:
    """Collects the pictures of one evaluation beside its metric; `files()` draws them.

    The sheet has the `SHOWN` pictures of the lowest PSNR, worst first: of each, pixel by pixel, the
    part with the largest errors, as given (the first of two frames, a smaller picture enlarged), as
    made, as it truly is, and the errors `TIMES` as strong. `pictures` says how many, the first
    ones that come, may be shown; without it any.
    """

    def __init__(self, quality: ImageQuality, pictures: int | None = None) -> None:
        self.quality = quality
        self._examples = Examples(SHOWN, pictures)

    def add(self, given: Sequence[Image], made: Image, truth: Image) -> None:
        """Compare one picture H×W×3, made of those that were given, and in the metric too."""
        self.quality.add(made, truth)
        index, psnr = len(self.quality.psnrs), self.quality.psnrs[-1]
        self._examples.add(-psnr, lambda: _tiles(given[0], made, truth, f"{index}: {psnr:.2f} dB"))

    def files(self, title: str) -> dict[str, bytes]:
        """The PNG file `worst`."""
        sheet = place(self._examples.worst, TILE)
        head = np.zeros((24, sheet.shape[1], 3), np.uint8)
        return {"worst.png": encode_png(np.vstack([draw_status(head, title), sheet]))}


def _tiles(given: Image, made: Image, truth: Image, name: str) -> Tiles:
    height, width = truth.shape[:2]
    enlarged = np.asarray(cv2.resize(given, (width, height), interpolation=cv2.INTER_NEAREST))
    errors = cv2.absdiff(made, truth)
    top, left = _window(errors, min(TILE, height), min(TILE, width))
    parts = [
        image[top : top + TILE, left : left + TILE].copy()
        for image in (enlarged, made, truth, cv2.convertScaleAbs(errors, alpha=float(TIMES)))
    ]
    words = (f"{name}, given", "made", "true", f"errors, {TIMES} times")
    return [draw_status(part, text) for part, text in zip(parts, words, strict=True)]


def _window(errors: Image, height: int, width: int) -> tuple[int, int]:
    """Upper left corner of the window of this size with the largest sum of errors."""
    sums = cv2.integral(errors.sum(axis=2, dtype=np.float64))
    inside = (
        sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
        + sums[:-height, :-width]
    )  # fmt: skip
    top, left = divmod(int(np.argmax(inside)), inside.shape[1])
    return top, left
