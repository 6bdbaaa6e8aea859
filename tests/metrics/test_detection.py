"""The oracle is faster-coco-eval, fed with the same boxes as COCO JSON."""

import contextlib
import io

import numpy as np
import pytest
from faster_coco_eval import COCO, COCOeval_faster

from litescene.core import DataError, Detections, Taxonomy
from litescene.metrics import BoxTruth, DetectionMetric, box_iou

CLASSES = Taxonomy("three", ("a", "b", "c"), ((0, 0, 0),) * 3)


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    size = np.exp(rng.uniform(np.log(8), np.log(200), (count, 2)))
    low = rng.uniform(0, 400, (count, 2))
    return np.hstack([low, low + size]).round(1).astype(np.float32)


def _truth(rng: np.random.Generator, crowds: bool) -> BoxTruth:
    n = int(rng.integers(0, 9))
    return BoxTruth(
        _boxes(rng, n),
        rng.integers(0, 3, n).astype(np.int32),
        crowd=(rng.random(n) < 0.3) if crowds else None,
    )


def _detections(rng: np.random.Generator, truth: BoxTruth, extra: int) -> Detections:
    """Noisy copies of the truth (some twice), other classes, and false boxes; tied scores."""
    source = rng.integers(0, max(len(truth.boxes), 1), 2 * len(truth.boxes))
    copies = truth.boxes[source] + rng.normal(0, 4, (len(source), 4)).astype(np.float32)
    copies[:, 2:] = np.maximum(copies[:, 2:], copies[:, :2] + 1)
    boxes = np.vstack([copies, _boxes(rng, extra)]).round(1).astype(np.float32)
    classes = np.concatenate([truth.classes[source], rng.integers(0, 3, extra)])
    flipped = rng.random(len(classes)) < 0.1
    classes = np.where(flipped, rng.integers(0, 3, len(classes)), classes).astype(np.int32)
    scores = rng.random(len(classes)).round(2).astype(np.float32)
    return Detections(boxes, scores, classes, CLASSES)


def _oracle(pictures: list[tuple[Detections, BoxTruth]]) -> np.ndarray:
    annotations, results = [], []
    for i, (found, truth) in enumerate(pictures, start=1):
        for j, (box, c) in enumerate(zip(truth.boxes, truth.classes, strict=True)):
            x1, y1, x2, y2 = (float(v) for v in box)
            areas, crowd = truth.areas, truth.crowd
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": int(c) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(areas[j]) if areas is not None else (x2 - x1) * (y2 - y1),
                    "iscrowd": int(crowd is not None and crowd[j]),
                }
            )
        for box, score, c in zip(found.boxes, found.scores, found.classes, strict=True):
            x1, y1, x2, y2 = (float(v) for v in box)
            results.append(
                {
                    "image_id": i,
                    "category_id": int(c) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": float(score),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        images = [{"id": i + 1, "width": 640, "height": 640} for i in range(len(pictures))]
        categories = [{"id": i + 1, "name": n} for i, n in enumerate(CLASSES.names)]
        coco = COCO({"images": images, "annotations": annotations, "categories": categories})
        run = COCOeval_faster(coco, coco.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return np.array(run.stats[:12], float)


def _ours(pictures: list[tuple[Detections, BoxTruth]]) -> np.ndarray:
    metric = DetectionMetric(CLASSES)
    for found, truth in pictures:
        metric.add(found, truth)
    s = metric.scores()
    values = [s.ap, s.ap50, s.ap75, *s.ap_by_area.values(), *s.ar.values(), *s.ar_by_area.values()]
    return np.array([-1.0 if v is None else v for v in values])


@pytest.mark.parametrize("crowds", [False, True], ids=["plain", "crowds"])
@pytest.mark.parametrize("seed", range(6))
def test_all_twelve_figures_equal_the_oracle(seed: int, crowds: bool) -> None:
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(25):
        truth = _truth(rng, crowds)
        pictures.append((_detections(rng, truth, int(rng.integers(0, 20))), truth))
    np.testing.assert_allclose(_ours(pictures), _oracle(pictures), atol=1e-9)


def test_more_than_a_hundred_detections_of_a_class_are_cut_like_the_oracle() -> None:
    rng = np.random.default_rng(10)
    pictures = []
    for _ in range(3):
        truth = _truth(rng, True)
        pictures.append((_detections(rng, truth, 500), truth))
    np.testing.assert_allclose(_ours(pictures), _oracle(pictures), atol=1e-9)


def test_object_areas_rather_than_box_areas_sort_the_truth_by_size() -> None:
    rng = np.random.default_rng(11)
    pictures = []
    for _ in range(20):
        truth = _truth(rng, False)
        n = len(truth.boxes)
        truth = BoxTruth(truth.boxes, truth.classes, areas=rng.uniform(10, 20000, n))
        pictures.append((_detections(rng, truth, 5), truth))
    np.testing.assert_allclose(_ours(pictures), _oracle(pictures), atol=1e-9)


def _single(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Detections:
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.array(classes, np.int32),
        CLASSES,
    )


def _true(boxes: list[list[float]], classes: list[int], **more: object) -> BoxTruth:
    return BoxTruth(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes, np.int32),
        **more,  # type: ignore[arg-type]
    )


def test_one_box_at_a_known_overlap_counts_at_the_thresholds_below_it() -> None:
    metric = DetectionMetric(CLASSES)
    # 10×10 against 10×7: IoU 0.7 reached at 0.50 to 0.70.
    metric.add(_single([[0, 0, 10, 7]], [0.9], [0]), _true([[0, 0, 10, 10]], [0]))
    scores = metric.scores()
    assert scores.ap50 == 1.0
    assert scores.ap75 == 0.0
    assert scores.ap == pytest.approx(0.5)
    assert scores.ap_per_class == {"a": pytest.approx(0.5), "b": None, "c": None}
    assert scores.ap_by_area == {"small": pytest.approx(0.5), "medium": None, "large": None}


def test_detections_of_classes_unknown_in_a_picture_are_neither_right_nor_wrong() -> None:
    found = _single([[0, 0, 10, 10], [50, 50, 90, 90]], [0.5, 0.9], [0, 1])
    truth = _true([[0, 0, 10, 10]], [0], known={0})
    metric = DetectionMetric(CLASSES)
    metric.add(found, truth)
    metric.add(_single([[0, 0, 9, 9]], [0.3], [1]), _true([[0, 0, 9, 9]], [1], known={1}))
    assert metric.scores().ap50_per_class == {"a": 1.0, "b": 1.0, "c": None}
    metric.add(found, _true([], []))
    assert metric.scores().ap50_per_class["b"] < 1.0


def test_boxes_marked_ignored_neither_need_nor_punish_a_detection() -> None:
    metric = DetectionMetric(CLASSES)
    truth = _true([[0, 0, 10, 10], [50, 50, 90, 90]], [0, 0], ignored=np.array([True, False]))
    metric.add(_single([[0, 0, 10, 10], [50, 50, 90, 90]], [0.9, 0.5], [0, 0]), truth)
    assert metric.scores().ap == pytest.approx(1.0)
    assert metric.scores().boxes == 1
    metric.add(_single([[0, 0, 10, 10]] * 2, [0.8, 0.7], [0, 0]), truth)
    assert metric.curve(0).precision.min() < 1.0  # the ignored box swallows one, not two


def test_the_curve_holds_every_counted_detection_by_falling_score() -> None:
    metric = DetectionMetric(CLASSES)
    truth = _true([[0, 0, 10, 10], [50, 50, 90, 90]], [0, 0])
    boxes = [[0, 0, 10, 10], [200, 200, 220, 220], [50, 50, 90, 90]]
    metric.add(_single(boxes, [0.9, 0.6, 0.4], [0, 0, 0]), truth)
    curve = metric.curve(0)
    np.testing.assert_allclose(curve.recall, [0.5, 0.5, 1.0])
    np.testing.assert_allclose(curve.precision, [1.0, 0.5, 2 / 3])
    np.testing.assert_allclose(curve.scores, [0.9, 0.6, 0.4], rtol=1e-6)
    with pytest.raises(ValueError, match="iou"):
        metric.curve(0, 0.52)
    assert metric.curve(2).recall.size == 0


def test_parts_merged_equal_the_whole() -> None:
    rng = np.random.default_rng(12)
    whole, first, second = (DetectionMetric(CLASSES) for _ in range(3))
    for part in (first, second):
        for _ in range(5):
            truth = _truth(rng, True)
            found = _detections(rng, truth, 6)
            part.add(found, truth)
            whole.add(found, truth)
    first.merge(second)
    assert first.scores().to_dict() == whole.scores().to_dict()


def test_truth_without_boxes_is_an_error() -> None:
    metric = DetectionMetric(CLASSES)
    metric.add(_single([[0, 0, 10, 10]], [0.9], [0]), _true([], []))
    with pytest.raises(DataError, match="no true boxes"):
        metric.scores()


def test_wrong_input_is_refused() -> None:
    metric = DetectionMetric(CLASSES)
    with pytest.raises(ValueError, match="outside taxonomy"):
        metric.add(_single([[0, 0, 1, 1]], [0.5], [3]), _true([], []))
    with pytest.raises(ValueError, match="not among the known"):
        _true([[0, 0, 1, 1]], [2], known={0})
    with pytest.raises(ValueError, match="crowd must have 1"):
        _true([[0, 0, 1, 1]], [0], crowd=np.zeros(2, bool))
    with pytest.raises(ValueError, match="merge"):
        metric.merge(DetectionMetric(Taxonomy("one", ("a",), ((0, 0, 0),))))


def test_iou_of_degenerate_boxes_is_zero() -> None:
    assert box_iou([[5, 5, 5, 5]], [[5, 5, 5, 5], [0, 0, 10, 10]]).tolist() == [[0.0, 0.0]]
