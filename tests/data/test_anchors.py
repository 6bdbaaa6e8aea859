"""Anchors that fit a data set: recall by hand, clusters found, and never worse than clusters."""

from __future__ import annotations

import numpy as np
import pytest

from litescene.data.anchors import LIMIT, closeness, fit_anchors, possible_recall


def test_closeness_and_recall_are_those_of_the_definition() -> None:
    sizes = np.array([[10.0, 20.0], [100.0, 10.0], [39.9, 20.0], [40.1, 20.0]])
    anchors = np.array([[10.0, 20.0], [10.0, 10.0]])
    expected = [[min(min(w / a, a / w), min(h / b, b / h)) for a, b in anchors] for w, h in sizes]
    np.testing.assert_allclose(closeness(sizes, anchors), expected)
    # sides may differ by less than four times
    assert LIMIT == 4
    assert possible_recall(sizes, anchors[:1]) == 0.5
    assert possible_recall(sizes[:0], anchors) == 1


def test_three_kinds_of_boxes_give_three_anchors() -> None:
    g = np.random.default_rng(0)
    kinds = np.array([[12.0, 40.0], [60.0, 30.0], [150.0, 170.0]])
    sizes = np.concatenate([kind * g.uniform(0.95, 1.05, (60, 2)) for kind in kinds])
    found = fit_anchors(g.permutation(sizes), 3)
    np.testing.assert_allclose(found, kinds, rtol=0.06)
    assert possible_recall(sizes, found) == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_fitted_anchors_meet_what_cocos_do_not_and_depend_on_the_arguments_alone(seed: int) -> None:
    g = np.random.default_rng(seed)
    sizes = np.exp(g.normal([2.0, 4.5], [0.4, 0.5], (400, 2)))  # narrow and tall
    coco = np.array([[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119], [116, 90],
                     [156, 198], [373, 326]], float)  # fmt: skip
    found = fit_anchors(sizes, 9, seed)
    assert possible_recall(sizes, found) > 0.99 > possible_recall(sizes, coco)
    assert closeness(sizes, found).max(1).mean() > closeness(sizes, coco).max(1).mean() + 0.1
    areas = found.prod(axis=1)
    assert (np.diff(areas) >= 0).all()
    np.testing.assert_array_equal(found, fit_anchors(sizes, 9, seed))


def test_too_few_boxes_are_refused_and_tiny_ones_do_not_count() -> None:
    sizes = np.array([[10.0, 10.0], [1.0, 30.0], [20.0, 20.0]])
    with pytest.raises(ValueError, match="3 anchors need as many boxes above 2 pixels, not 2"):
        fit_anchors(sizes, 3)
    np.testing.assert_allclose(fit_anchors(np.full((5, 2), 16.0), 2), 16, rtol=0.5)
