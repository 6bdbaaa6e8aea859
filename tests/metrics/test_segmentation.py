import numpy as np
import pytest

from litescene.core import CAMVID, DataError, Taxonomy
from litescene.metrics import ConfusionMatrix

THREE = Taxonomy("three", ("a", "b", "c"), ((0, 0, 0),) * 3)


def _pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 12, (40, 50)).astype(np.uint8)
    truth[truth == 11] = 255
    predicted = np.where(rng.random((40, 50)) < 0.6, truth, rng.integers(0, 11, (40, 50)))
    predicted[rng.random((40, 50)) < 0.05] = 255
    return predicted.astype(np.uint8), truth


def test_figures_agree_with_sets_of_pixels_per_class() -> None:
    predicted, truth = _pictures(0)
    matrix = ConfusionMatrix(CAMVID)
    matrix.add(predicted, truth)
    valid = truth != 255
    expected = []
    for c in range(11):
        p, t = (predicted == c) & valid, truth == c
        expected.append((p & t).sum() / (p | t).sum())
    np.testing.assert_allclose(matrix.iou(), expected)
    assert matrix.mean_iou() == pytest.approx(np.mean(expected))
    assert matrix.accuracy() == pytest.approx((predicted == truth)[valid].mean())
    recall = [(predicted == c)[truth == c].mean() for c in range(11)]
    assert matrix.mean_accuracy() == pytest.approx(np.mean(recall))
    assert matrix.pixels == valid.sum()


def test_parts_merged_equal_the_whole() -> None:
    whole, first, second = (ConfusionMatrix(CAMVID) for _ in range(3))
    for seed, part in ((1, first), (2, second)):
        whole.add(*_pictures(seed))
        part.add(*_pictures(seed))
    first.merge(second)
    assert first.to_dict() == whole.to_dict()


def test_void_is_ignored_and_absent_classes_do_not_enter_the_mean() -> None:
    matrix = ConfusionMatrix(THREE)
    matrix.add(np.array([0, 0, 1, 2], np.uint8), np.array([0, 0, 0, 255], np.uint8))
    # Class b occurs among the predictions only, class c only where the truth is void.
    np.testing.assert_allclose(matrix.iou(), [2 / 3, 0, 0])
    assert matrix.mean_iou() == pytest.approx(1 / 3)
    assert matrix.to_dict()["iou"] == {"a": pytest.approx(2 / 3), "b": 0.0, "c": None}


def test_an_empty_matrix_gives_zeros() -> None:
    plain = ConfusionMatrix(THREE).to_dict()
    assert (plain["mean_iou"], plain["accuracy"], plain["pixels"]) == (0.0, 0.0, 0)


def test_data_without_a_labelled_pixel_are_no_result() -> None:
    matrix = ConfusionMatrix(THREE)
    matrix.add(np.zeros((2, 2), np.uint8), np.full((2, 2), 255, np.uint8))
    with pytest.raises(DataError, match="no pixel of the data has a class"):
        matrix.figures()
    matrix.add(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))
    assert matrix.figures() == matrix.to_dict()


def test_wrong_shapes_labels_and_taxonomies_are_refused() -> None:
    matrix = ConfusionMatrix(THREE)
    with pytest.raises(ValueError, match="differ in size"):
        matrix.add(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="truth label 3"):
        matrix.add(np.zeros(2, np.uint8), np.array([0, 3], np.uint8))
    with pytest.raises(ValueError, match="merge"):
        matrix.merge(ConfusionMatrix(CAMVID))
