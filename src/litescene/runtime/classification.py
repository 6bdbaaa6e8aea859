"""The class of a picture, from a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core.frame import Image
from litescene.core.results import Classification
from litescene.media.fitting import centre_crop
from litescene.runtime.bundle import Bundle
from litescene.runtime.engines import Batch, Outputs
from litescene.runtime.predictor import LazyEngine, Picture, as_image, open_bundle


class Classifier:
    """Pictures in, their likeliest classes out.

    Args:
        bundle: a `Bundle`, the name of a shipped one, or a file.
        engine: `auto` or one of `runtime.ENGINES`.
        threads: cores to use; all that the process may use by default.
        top: how many classes a result has, at most.

    """

    def __init__(
        self,
        bundle: Bundle | str | Path,
        engine: str = "auto",
        threads: int | None = None,
        *,
        top: int = 5,
    ) -> None:
        self.bundle = open_bundle(bundle, "classification")
        self.contract = self.bundle.contract
        self.taxonomy = self.contract.taxonomy
        self.top = top
        self._engine = LazyEngine(self.bundle, engine, threads, class_agreement)

    @property
    def engine(self) -> str:
        """Name of the engine; `auto` until the first picture."""
        return self._engine.name

    def input_of(self, image: Image) -> Batch:
        """What the network gets for a picture: 1×H×W×3 uint8 RGB."""
        seen = centre_crop(image, self.contract.size, self.contract.crop_share)
        return np.ascontiguousarray(seen)[None]

    def probabilities(self, picture: Picture) -> NDArray[np.float64]:
        """Probability of every class for a path, bytes, RGB array, PIL image or frame."""
        return class_probabilities(self._engine.run(self.input_of(as_image(picture)))[0][0])

    def __call__(self, picture: Picture) -> Classification:
        """The likeliest classes of a path, bytes, RGB array, PIL image or frame."""
        return Classification.of(self.probabilities(picture), self.taxonomy, self.top)


def class_probabilities(logits: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Softmax over the last axis: ...×C logits to probabilities of that shape."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(-1, keepdims=True)
    powers = np.exp(shifted)
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def class_agreement(one: Outputs, other: Outputs) -> float:
    """How far two outputs N×C decide alike, 0 to 1, the mean over the pictures.

    Of a picture to which both give the same class it is the part that both distributions have in
    common (1 minus their total variation distance), of any other 0: the choice of an engine may
    have a single picture to go by.
    """
    a, b = class_probabilities(one[0]), class_probabilities(other[0])
    same = a.argmax(-1) == b.argmax(-1)
    return float(np.mean(np.where(same, np.minimum(a, b).sum(-1), 0.0)))
