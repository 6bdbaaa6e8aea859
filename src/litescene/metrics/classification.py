"""Top-1 and top-5 accuracy of classified pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError, Taxonomy

TOP = 5


class TopAccuracy:
    """How often the true class is the likeliest one, and among the `TOP` likeliest.

    Of equal scores the earlier class goes first. Where there are no more than `TOP` classes, the
    second figure is 1 by definition.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self.counts: NDArray[np.int64] = np.zeros(len(taxonomy), np.int64)
        """Pictures of each class; `first` and `among` are those of them that were found."""
        self.first: NDArray[np.int64] = np.zeros(len(taxonomy), np.int64)
        self.among: NDArray[np.int64] = np.zeros(len(taxonomy), np.int64)

    def add(self, scores: NDArray[np.floating[Any]], truth: NDArray[np.integer[Any]]) -> None:
        """Count pictures: finite scores n×C, higher is likelier, and their true classes n."""
        classes = len(self.taxonomy)
        if scores.shape != (len(truth), classes):
            raise ValueError(
                f"scores {scores.shape} of {len(truth)} pictures; expected {len(truth)}×{classes}"
            )
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite")
        if len(truth) and not 0 <= truth.min() <= truth.max() < classes:
            raise ValueError(
                f"true classes are 0 to {classes - 1}, not {truth.min()}..{truth.max()}"
            )
        rank = _ranks(scores, truth)
        for table, found in (
            (self.counts, rank >= 0),
            (self.first, rank < 1),
            (self.among, rank < TOP),
        ):
            table += np.bincount(truth[found], minlength=classes)

    @property
    def pictures(self) -> int:
        """Number of pictures counted."""
        return int(self.counts.sum())

    def top1(self) -> float:
        """Share of the pictures whose likeliest class is the true one, 0 to 1."""
        return float(self.first.sum() / max(self.pictures, 1))

    def top5(self) -> float:
        """Share of the pictures whose true class is among the `TOP` likeliest, 0 to 1."""
        return float(self.among.sum() / max(self.pictures, 1))

    def mean_top1(self) -> float:
        """Mean over the classes that occur of each one's top-1 accuracy: all count the same."""
        seen = self.counts > 0
        return float((self.first[seen] / self.counts[seen]).mean()) if seen.any() else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form; the accuracy of a class without pictures is `None`."""
        return {
            "taxonomy": self.taxonomy.name,
            "pictures": self.pictures,
            "top1": self.top1(),
            "top5": self.top5(),
            "mean_top1": self.mean_top1(),
            "top1_per_class": self._per_class(self.first),
            "top5_per_class": self._per_class(self.among),
        }

    def _per_class(self, found: NDArray[np.int64]) -> dict[str, float | None]:
        rows = zip(self.taxonomy.names, found.tolist(), self.counts.tolist(), strict=True)
        return {name: hits / count if count else None for name, hits, count in rows}


def known_classes(model: Taxonomy, data: Taxonomy) -> NDArray[np.int32]:
    """The model's index of each class of the data, by name.

    Raises `DataError` for data with a class that the model does not know.
    """
    unknown = [name for name in data.names if name not in model.names]
    if unknown:
        raise DataError(
            f"the model does not know {_some(unknown)} of the data '{data.name}'; it knows "
            f"{_some(model.names)}: evaluate on data with its classes"
        )
    return np.array([model.names.index(name) for name in data.names], np.int32)


def _some(names: Sequence[str]) -> str:
    """The first names of what may be a long list."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _ranks(scores: NDArray[np.floating[Any]], truth: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """How many classes go before the true one, n."""
    own = np.take_along_axis(scores, truth[:, None].astype(np.intp), 1)
    earlier = np.arange(scores.shape[1]) < truth[:, None]
    before = (scores > own) | ((scores == own) & earlier)
    return np.asarray(before.sum(axis=1), np.int64)
