"""A class for every pixel of a picture, from a bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litescene.core.frame import Image
from litescene.core.results import SegmentationMap
from litescene.media.fitting import network_size, resize
from litescene.runtime.bundle import Bundle
from litescene.runtime.engines import Batch, Outputs
from litescene.runtime.predictor import LazyEngine, Picture, as_image, open_bundle
from litescene.runtime.upsample import upsample_argmax


class Segmenter:
    """Pictures in, label maps at the pictures' own size out.

    Args:
        bundle: a `Bundle`, the name of a shipped one, or a file.
        engine: `auto` or one of `runtime.ENGINES`.
        threads: cores to use; all that the process may use by default.
        size: (height, width) at which the network sees pictures, instead of `network_size`.

    """

    def __init__(
        self,
        bundle: Bundle | str | Path,
        engine: str = "auto",
        threads: int | None = None,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.bundle = open_bundle(bundle, "segmentation")
        self.contract = self.bundle.contract
        self.taxonomy = self.contract.taxonomy
        self._size, self._threads = size, threads
        self._engine = LazyEngine(self.bundle, engine, threads, label_agreement)

    def another(self) -> Segmenter:
        """The same network once more, for another thread: one object serves one thread."""
        return Segmenter(self.bundle, self.engine, self._threads, self._size)

    @property
    def engine(self) -> str:
        """Name of the engine; `auto` until the first picture."""
        return self._engine.name

    def input_of(self, image: Image) -> Batch:
        """What the network gets for a picture: 1×H×W×3 uint8 RGB."""
        frame = (image.shape[0], image.shape[1])
        size = self._size or network_size(frame, self.contract.size, self.contract.stride)
        return np.ascontiguousarray(resize(image, size))[None]

    def logits(self, image: Image) -> NDArray[np.float32]:
        """Logits C×h×w at the head's stride; valid until the next call."""
        return self._engine.run(self.input_of(image))[0][0]

    def __call__(self, picture: Picture) -> SegmentationMap:
        """Labels of a path, bytes, RGB array, PIL image or frame, at its own size."""
        image = as_image(picture)
        height, width = image.shape[:2]
        labels = upsample_argmax(
            self.logits(image), height, width, align_corners=self.contract.align_corners
        )
        return SegmentationMap(labels, self.taxonomy)


def label_agreement(one: Outputs, other: Outputs) -> float:
    """Share of pixels with the same label, at eight times the logits' resolution."""
    shares = []
    for a, b in zip(one[0], other[0], strict=True):
        height, width = 8 * a.shape[1], 8 * a.shape[2]
        same = upsample_argmax(a, height, width) == upsample_argmax(b, height, width)
        shares.append(np.mean(same))
    return float(np.mean(shares))
