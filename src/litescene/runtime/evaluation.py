"""How good a predictor is on labelled pictures, whoever reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from litescene.core import DataError, Image, Taxonomy
from litescene.core.results import SegmentationMap
from litescene.metrics.detection import BoxTruth, DetectionMetric
from litescene.metrics.segmentation import ConfusionMatrix
from litescene.runtime.detection import Detector
from litescene.runtime.segmentation import Segmenter

EVALUATION_SCORE, EVALUATION_IOU = 0.001, 0.6
"""Thresholds for precision-recall curves: low enough that the curves reach their end."""


def evaluate_segmenter(
    segmenter: Segmenter, samples: Iterable[tuple[Image, SegmentationMap]]
) -> dict[str, Any]:
    """Mean IoU, accuracy and IoU per class at the pictures' own sizes; see `ConfusionMatrix`.

    The truth's taxonomy must have the classes of the segmenter's, in its order (`DataError`).
    """
    matrix = ConfusionMatrix(segmenter.taxonomy)
    for image, truth in samples:
        require_same_classes(segmenter.taxonomy, truth.taxonomy)
        matrix.add(segmenter(image).labels, truth.labels)
    return matrix.to_dict()


def evaluate_detector(
    detector: Detector, samples: Iterable[tuple[Image, BoxTruth]]
) -> dict[str, Any]:
    """COCO's average precision; classes are those of the detector's taxonomy.

    Build the detector with `score=EVALUATION_SCORE`, `iou=EVALUATION_IOU` and `multi_label`.
    """
    metric = DetectionMetric(detector.taxonomy)
    for image, truth in samples:
        metric.add(detector(image), truth)
    return metric.scores().to_dict()


def require_same_classes(model: Taxonomy, data: Taxonomy) -> None:
    """Raise a `DataError` unless both have the same class names in the same order."""
    if model.names != data.names:
        raise DataError(
            f"the model knows '{model.name}' ({', '.join(model.names)}), the data are labelled as "
            f"'{data.name}' ({', '.join(data.names)}); evaluate on data with the model's classes"
        )
