"""Confusion matrix of labelled pixels and what follows from it: IoU and accuracy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import IGNORE, DataError, Taxonomy


class ConfusionMatrix:
    """Counts of pixels per true and predicted class; pixels with truth 255 are left out.

    `counts[t, p]` are pixels of class `t` predicted as `p`; the last column holds predictions
    that are no class of the taxonomy (255), which count as misses of `t`.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self.counts: NDArray[np.int64] = np.zeros((len(taxonomy), len(taxonomy) + 1), np.int64)

    def add(self, predicted: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
        """Count the pixels of one picture (or a batch); both arrays uint8 of one shape."""
        if predicted.shape != truth.shape:
            raise ValueError(f"prediction {predicted.shape} and truth {truth.shape} differ in size")
        classes = len(self.taxonomy)
        pairs = np.bincount(
            truth.ravel().astype(np.intp) * 256 + predicted.ravel(), minlength=65536
        ).reshape(256, 256)
        if pairs[classes:IGNORE].any():
            wrong = classes + int(np.argmax(pairs[classes:IGNORE].any(axis=1)))
            raise ValueError(
                f"truth label {wrong} is neither one of the {classes} classes of "
                f"'{self.taxonomy.name}' nor {IGNORE}"
            )
        self.counts[:, :classes] += pairs[:classes, :classes]
        self.counts[:, classes] += pairs[:classes, classes:].sum(axis=1)

    def merge(self, other: ConfusionMatrix) -> None:
        """Add the counts of another part of the same data."""
        if other.taxonomy != self.taxonomy:
            raise ValueError(f"cannot merge '{other.taxonomy.name}' into '{self.taxonomy.name}'")
        self.counts += other.counts

    @property
    def pixels(self) -> int:
        """Number of pixels with a true class."""
        return int(self.counts.sum())

    @property
    def present(self) -> NDArray[np.bool_]:
        """Classes that occur in the truth or among the predictions."""
        return self._union() > 0

    def iou(self) -> NDArray[np.float64]:
        """Intersection over union per class, 0 to 1; 0 for a class that does not occur."""
        return self._hits() / np.maximum(self._union(), 1)

    def mean_iou(self) -> float:
        """Mean of the IoU of the classes that occur; 0 before anything was counted."""
        present = self.present
        return float(self.iou()[present].mean()) if present.any() else 0.0

    def accuracy(self) -> float:
        """Share of pixels with a true class that are labelled rightly, 0 to 1."""
        return float(self._hits().sum() / max(self.pixels, 1))

    def mean_accuracy(self) -> float:
        """Mean of the recall of the classes that occur in the truth, 0 to 1."""
        truth = self.counts.sum(axis=1)
        recall = self._hits()[truth > 0] / truth[truth > 0]
        return float(recall.mean()) if recall.size else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; the IoU of a class that does not occur is `None`."""
        per_class = zip(self.taxonomy.names, self.iou(), self.present, strict=True)
        return {
            "taxonomy": self.taxonomy.name,
            "pixels": self.pixels,
            "mean_iou": self.mean_iou(),
            "accuracy": self.accuracy(),
            "mean_accuracy": self.mean_accuracy(),
            "iou": {name: float(value) if seen else None for name, value, seen in per_class},
        }

    def figures(self) -> dict[str, Any]:
        """`to_dict` once all data are counted; a `DataError` if no pixel had a true class."""
        if not self.pixels:
            raise DataError("no pixel of the data has a class, so there is nothing to measure")
        return self.to_dict()

    def _hits(self) -> NDArray[np.int64]:
        return np.diagonal(self.counts)

    def _union(self) -> NDArray[np.int64]:
        predicted = self.counts[:, :-1].sum(axis=0)
        return np.asarray(self.counts.sum(axis=1) + predicted - self._hits(), np.int64)
