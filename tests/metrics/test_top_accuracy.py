"""Top-1 and top-5 accuracy against sorting, picture by picture."""

from __future__ import annotations

import json

import numpy as np
import pytest

from litescene.core import DataError, Taxonomy, distinct_colors
from litescene.metrics import TopAccuracy
from litescene.metrics.classification import known_classes


def taxonomy(*names: str) -> Taxonomy:
    return Taxonomy("test", names, distinct_colors(len(names)))


NINE = taxonomy(*"abcdefghi")


def test_accuracies_are_those_of_sorted_scores() -> None:
    rng = np.random.default_rng(4)
    scores = rng.integers(0, 6, (400, 9)).astype(np.float32)  # many are equal
    truth = rng.integers(0, 8, 400)  # the last class has no picture
    metric = TopAccuracy(NINE)
    metric.add(scores[:130], truth[:130])
    metric.add(scores[130:], truth[130:])
    # Of equal scores the earlier class is the likelier one: a stable sort.
    ranked = [sorted(range(9), key=lambda c, row=row: (-row[c], c)) for row in scores]
    first = np.array([r[0] == t for r, t in zip(ranked, truth, strict=True)])
    among = np.array([t in r[:5] for r, t in zip(ranked, truth, strict=True)])
    found = metric.to_dict()
    assert found["top1"] == pytest.approx(first.mean(), abs=1e-12)
    assert found["top5"] == pytest.approx(among.mean(), abs=1e-12)
    per_class = [first[truth == c].mean() for c in range(8)]
    assert found["mean_top1"] == pytest.approx(np.mean(per_class), abs=1e-12)
    assert list(found["top1_per_class"].values())[:8] == pytest.approx(per_class, abs=1e-12)
    assert found["top1_per_class"]["i"] is found["top5_per_class"]["i"] is None
    assert found["top5_per_class"]["c"] == pytest.approx(among[truth == 2].mean(), abs=1e-12)
    assert found["pictures"] == 400
    json.dumps(found)


def test_among_few_classes_the_true_one_is_always_in_the_first_five() -> None:
    metric = TopAccuracy(taxonomy("a", "b", "c"))
    metric.add(np.array([[1.0, 0.0, 0.0]]), np.array([2]))
    assert (metric.top1(), metric.top5()) == (0.0, 1.0)


def test_without_pictures_all_is_zero() -> None:
    metric = TopAccuracy(NINE)
    assert (metric.top1(), metric.top5(), metric.mean_top1()) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("scores", "truth", "said"),
    [
        (np.zeros((2, 8)), [0, 1], "expected 2×9"),
        (np.zeros((2, 9)), [0], "expected 1×9"),
        (np.full((1, 9), np.nan), [0], "finite"),
        (np.zeros((1, 9)), [9], "0 to 8"),
        (np.zeros((1, 9)), [-1], "0 to 8"),
    ],
)
def test_what_does_not_fit_is_refused(scores: np.ndarray, truth: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TopAccuracy(NINE).add(scores, np.array(truth))


def test_classes_are_found_by_name_whatever_their_order() -> None:
    assert known_classes(NINE, taxonomy("c", "a")).tolist() == [2, 0]
    with pytest.raises(DataError, match="does not know z, y of"):
        known_classes(NINE, taxonomy("a", "z", "y"))
    with pytest.raises(DataError, match="it knows a, b, c, d, e, f, g, h and 1 more:"):
        known_classes(NINE, taxonomy("z"))
