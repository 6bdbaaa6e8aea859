"""Pictures made from pictures, from a bundle: larger ones, and those between two."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core.errors import InputError
from litescene.core.frame import Image
from litescene.runtime.bundle import Bundle
from litescene.runtime.engines import Batch, Outputs
from litescene.runtime.predictor import LazyEngine, Picture, as_image, open_bundle

SMALLEST = 64
"""Sides from which networks take pictures; smaller ones are padded for them, and cut again."""


class Restorer:
    """One picture in, a larger one out; or two frames in, the one between them out.

    `contract.pictures` says which of the two a bundle does, `contract.factor` how many times larger
    the result is. The network sees pictures at their own size, whatever it was trained at.

    Args:
        bundle: a `Bundle`, the name of a shipped one, or a file.
        engine: `auto` or one of `runtime.ENGINES`.
        threads: cores to use; all that the process may use by default.

    """

    def __init__(
        self, bundle: Bundle | str | Path, engine: str = "auto", threads: int | None = None
    ) -> None:
        self.bundle = open_bundle(bundle, "restoration")
        self.contract = self.bundle.contract
        self._engine = LazyEngine(self.bundle, engine, threads, picture_agreement)

    @property
    def engine(self) -> str:
        """Name of the engine; `auto` until the first picture."""
        return self._engine.name

    def input_of(self, images: tuple[Image, ...]) -> Batch:
        """What the network gets for pictures of one size: 1×H×W×3k uint8, H and W from 64 on."""
        if len(images) != self.contract.pictures:
            raise InputError(
                f"'{self.bundle.name}' takes {self.contract.pictures} picture(s) at a time, not "
                f"{len(images)}"
            )
        sizes = [f"{image.shape[1]}×{image.shape[0]}" for image in images]
        if len(set(sizes)) > 1:
            raise InputError(
                f"frames to make one between are of one size, not {' and '.join(sizes)}"
            )
        height, width = images[0].shape[:2]
        below, right = max(SMALLEST - height, 0), max(SMALLEST - width, 0)
        if below or right:
            repeat = cv2.BORDER_REPLICATE
            padded = (cv2.copyMakeBorder(i, 0, below, 0, right, repeat) for i in images)
            images = tuple(np.asarray(image, np.uint8) for image in padded)
        return np.ascontiguousarray(np.concatenate(images, axis=2))[None]

    def __call__(self, *pictures: Picture) -> Image:
        """The result for paths, bytes, RGB arrays, PIL images or frames: H×W×3 uint8 RGB.

        Raises `InputError` for another number of pictures than the bundle takes, and for two of
        different sizes.
        """
        images = tuple(as_image(picture) for picture in pictures)
        given = self._engine.run(self.input_of(images))[0][0]
        height, width = (side * self.contract.factor for side in images[0].shape[:2])
        return to_picture(given[:, :height, :width])


def to_picture(planes: NDArray[np.float32]) -> Image:
    """3×H×W float from 0 to 1 as H×W×3 uint8: times 255, rounded to even, cut to 0..255."""
    merged = cv2.merge([np.ascontiguousarray(plane) for plane in planes])
    return np.asarray(cv2.convertScaleAbs(np.maximum(merged, 0), alpha=255.0), np.uint8)


def picture_agreement(one: Outputs, other: Outputs) -> float:
    """Share of the values of two results, as uint8, that are at most one level apart.

    A level is what rounding may move; the eye does not see it.
    """
    shares = []
    for a, b in zip(one[0], other[0], strict=True):
        apart = cv2.absdiff(to_picture(a), to_picture(b))
        shares.append(np.mean(np.asarray(apart) <= 1))
    return float(np.mean(shares))
