"""The pictures of a classifier's evaluation show what was put into them."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image

from litescene.core import Taxonomy
from litescene.metrics.classification import TopAccuracy
from litescene.metrics.classification_report import (
    COLUMNS,
    SHOWN,
    TILE,
    WRONG,
    ClassificationReport,
)

THREE = Taxonomy("three", ("a", "b", "c"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
FIELD = TILE + 8


def opened(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    return {n: np.asarray(PIL.Image.open(io.BytesIO(data))) for n, data in files.items()}


def test_the_worst_pictures_come_first_and_mistakes_are_marked() -> None:
    """Picture i is of grey i; the true class b leads or trails a by a distance known for each."""
    rng = np.random.default_rng(0)
    count = 50
    lead = rng.permutation(count) - 10.0  # ten trail
    lead[lead >= 0] += 1
    report = ClassificationReport(TopAccuracy(THREE), [f"{i}.png" for i in range(count)])
    for start in (0, 30):  # in batches
        chosen = range(start, min(start + 30, count))
        images = [np.full((60, 80, 3), i, np.uint8) for i in chosen]
        scores = np.array([[0.0, lead[i], -50.0] for i in chosen])
        report.add(images, scores, np.ones(len(images), np.int32))
    assert report.confusion.tolist() == [[0, 0, 0], [10, 40, 0], [0, 0, 0]]
    assert report.metric.top1() == 0.8

    files = opened(report.files("a title"))
    assert set(files) == {"confusion.png", "pictures.png", "worst.png"}
    evenly = np.linspace(0, count - 1, SHOWN).round().astype(int)
    for name, indices in (("worst.png", np.argsort(lead)[:SHOWN]), ("pictures.png", evenly)):
        sheet = files[name]
        high = sheet.shape[0] * COLUMNS // SHOWN
        assert sheet.shape[1] == COLUMNS * FIELD
        for place, index in enumerate(indices):
            row, column = divmod(place, COLUMNS)
            field = sheet[row * high : (row + 1) * high, column * FIELD : (column + 1) * FIELD]
            middle = (TILE * 3 // 4) // 2
            assert field[middle, FIELD // 2].tolist() == [int(index)] * 3
            marked = (field == WRONG).all(axis=2).sum() > 1000
            assert marked == (lead[index] < 0)


def test_pictures_without_names_leave_the_confusion() -> None:
    report = ClassificationReport(TopAccuracy(THREE))
    report.add([np.zeros((9, 9, 3), np.uint8)], np.eye(3)[:1], np.array([2]))
    assert set(report.files("a title")) == {"confusion.png"}
    assert report.confusion[2].tolist() == [1, 0, 0]


def test_pictures_of_any_shape_and_a_single_class_are_shown() -> None:
    one = Taxonomy("one", ("a class of a long name that no tile can hold whole",), ((1, 2, 3),))
    report = ClassificationReport(TopAccuracy(one), ["wide.png", "high.png"])
    for shape in ((10, 300, 3), (300, 10, 3)):
        report.add([np.full(shape, 77, np.uint8)], np.zeros((1, 1)), np.zeros(1, np.int32))
    assert (opened(report.files("t"))["pictures.png"] == 77).all(axis=2).sum() > 2 * 8 * TILE
