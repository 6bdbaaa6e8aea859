"""Confusion of boxes against matrices counted by hand, and the pictures of an evaluation."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image

from litescene.core import Detections, Taxonomy
from litescene.metrics import BoxTruth, DetectionMetric
from litescene.metrics.box_confusion import BoxConfusion
from litescene.metrics.detection_report import TILE, DetectionReport

THREE = Taxonomy("three", ("a", "b", "c"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


def boxes(*rows: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def found(*rows: tuple[tuple[float, float, float, float], float, int]) -> Detections:
    return Detections(
        boxes(*(row[0] for row in rows)),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[2] for row in rows], np.int32),
        THREE,
    )


ONE, TWO, FAR = (0, 0, 10, 10), (20, 0, 30, 10), (60, 60, 70, 70)


def counted(detections: Detections, truth: BoxTruth) -> list[list[int]]:
    confusion = BoxConfusion(THREE)
    confusion.add(detections, truth)
    return confusion.counts.tolist()


def test_hits_mistakes_misses_and_inventions_have_their_cells() -> None:
    truth = BoxTruth(boxes(ONE, TWO, (40, 0, 50, 10)), np.array([0, 1, 2], np.int32))
    seen = found(((1, 0, 10, 10), 0.9, 0), (TWO, 0.8, 2), (FAR, 0.7, 1), (ONE, 0.2, 1))
    assert counted(seen, truth) == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0]]


def test_the_better_of_two_boxes_on_one_object_takes_it() -> None:
    truth = BoxTruth(boxes(ONE), np.array([0], np.int32))
    # The worse one overlaps more, and does not get it.
    seen = found((ONE, 0.5, 1), ((2, 0, 10, 10), 0.9, 0))
    assert counted(seen, truth) == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0]]


def test_a_box_with_several_classes_counts_as_its_best() -> None:
    truth = BoxTruth(boxes(ONE), np.array([0], np.int32))
    seen = found((ONE, 0.5, 1), (ONE, 0.9, 0), (ONE, 0.4, 2))
    assert counted(seen, truth) == [[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_a_class_that_was_not_annotated_hides_no_other_class_of_the_box() -> None:
    truth = BoxTruth(boxes(ONE), np.array([1], np.int32), known={1})
    assert counted(found((ONE, 0.9, 0), (ONE, 0.8, 1)), truth)[1] == [0, 1, 0, 0]


def test_crowds_ignored_boxes_and_unknown_classes_count_neither_way() -> None:
    truth = BoxTruth(
        boxes((0, 0, 50, 50), FAR), np.array([0, 1], np.int32),
        crowd=np.array([True, False]), ignored=np.array([False, True]), known={0, 1},
    )  # fmt: skip
    seen = found((ONE, 0.9, 0), (TWO, 0.9, 1), (FAR, 0.9, 0), ((80, 0, 90, 9), 0.9, 2))
    assert counted(seen, truth) == [[0] * 4] * 4
    assert counted(found(((80, 0, 90, 9), 0.9, 1)), truth)[3] == [0, 1, 0, 0]


def test_true_and_found_boxes_sum_up() -> None:
    rng = np.random.default_rng(0)
    confusion, true, seen = BoxConfusion(THREE), np.zeros(3, int), np.zeros(3, int)
    for _ in range(50):
        corners = rng.uniform(0, 60, (2, 6, 2))
        sides = rng.uniform(10, 40, (2, 6, 2))
        both = np.concatenate((corners, corners + sides), axis=2).astype(np.float32)
        classes = rng.integers(0, 3, (2, 6)).astype(np.int32)
        scores = rng.uniform(0.3, 1, 6).astype(np.float32)
        confusion.add(Detections(both[0], scores, classes[0], THREE), BoxTruth(both[1], classes[1]))
        true += np.bincount(classes[1], minlength=3)
        seen += np.bincount(classes[0], minlength=3)
    assert confusion.counts[:3].sum(1).tolist() == true.tolist()
    assert confusion.counts[:, :3].sum(0).tolist() == seen.tolist()
    assert confusion.counts[:3, :3].sum() > 20


def test_a_report_draws_curves_confusion_and_evenly_spread_pictures() -> None:
    report = DetectionReport(DetectionMetric(THREE), 20)
    for index in range(20):
        image = np.full((40, 80, 3), 10 * index, np.uint8)
        truth = BoxTruth(boxes(ONE), np.array([index % 2], np.int32))
        report.add(image, found((ONE, 0.9, 0)), truth)
    files = {
        name: np.asarray(PIL.Image.open(io.BytesIO(data)))
        for name, data in report.files("a title").items()
    }
    assert set(files) == {"precision_recall.png", "confusion.png", "pictures.png", "worst.png"}
    sheet = files["pictures.png"]
    assert sheet.shape == (4 * TILE, 4 * TILE, 3)
    # Tiles are twice as wide as high, in the middle of their fields; the last shows picture 19.
    assert sheet[TILE // 2 + 3 * TILE, 4 * TILE - 5].tolist() == [190] * 3
    assert sheet[TILE // 2, TILE - 5].tolist() == [0] * 3
    assert (files["precision_recall.png"].reshape(-1, 3) == (255, 0, 0)).all(1).sum() > 100
    assert report.confusion.counts.tolist() == [
        [10, 0, 0, 0], [10, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0],
    ]  # fmt: skip


def test_the_pictures_with_most_mistakes_come_first() -> None:
    """Picture i is of grey i, with so many boxes missed, of another class and invented."""
    kinds = np.random.default_rng(0).integers(0, 4, (20, 3))
    report = DetectionReport(DetectionMetric(THREE), len(kinds))
    places = [(10 * i, 0, 10 * i + 8, 8) for i in range(9)]
    for grey, (missed, other, invented) in enumerate(kinds.tolist()):
        truth = boxes(ONE, *places[1 : 1 + missed + other])
        wrong = [(box, 0.9, 1) for box in places[1 + missed : 1 + missed + other]]
        nothing = [((x1, 60, x2, 68), 0.9, 2) for x1, _, x2, _ in places[:invented]]
        image = np.full((80, 160, 3), grey, np.uint8)
        classes = BoxTruth(truth, np.zeros(len(truth), np.int32))
        report.add(image, found((ONE, 0.9, 0), *wrong, *nothing), classes)
    sheet = np.asarray(PIL.Image.open(io.BytesIO(report.files("a title")["worst.png"])))
    shown = sheet[TILE // 2 :: TILE, TILE // 2 :: TILE, 0].ravel().tolist()
    assert report.confusion.mistakes == kinds.sum()
    assert shown == np.argsort(-kinds.sum(1), kind="stable")[:16].tolist()
