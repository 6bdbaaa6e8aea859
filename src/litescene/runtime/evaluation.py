"""How good a predictor is on labelled pictures, whoever reads them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError, Image, Taxonomy
from litescene.core.results import SegmentationMap
from litescene.metrics.classification import TopAccuracy, known_classes
from litescene.metrics.classification_report import ClassificationReport
from litescene.metrics.detection import BoxTruth, DetectionMetric
from litescene.metrics.detection_report import DetectionReport
from litescene.metrics.image_quality import ImageQuality
from litescene.metrics.restoration_report import RestorationReport
from litescene.metrics.segmentation import ConfusionMatrix
from litescene.metrics.segmentation_report import SegmentationReport
from litescene.runtime.classification import Classifier
from litescene.runtime.detection import Detector
from litescene.runtime.restoration import Restorer
from litescene.runtime.segmentation import Segmenter

EVALUATION_SCORE, EVALUATION_IOU = 0.001, 0.6
"""Thresholds for precision-recall curves: low enough that the curves reach their end."""


def evaluate_segmenter(
    segmenter: Segmenter,
    samples: Iterable[tuple[Image, SegmentationMap]],
    report: SegmentationReport | None = None,
) -> dict[str, Any]:
    """Mean IoU, accuracy and IoU per class at the pictures' own sizes; see `ConfusionMatrix`.

    All samples have one taxonomy, with the classes of the segmenter's in its order (`DataError`).
    Where the segmenter has a class `void` more, pixels that it takes for that count as missed. A
    `report`, made for these samples, sees every picture.
    """
    for image, truth in samples:
        table = common_labels(segmenter.taxonomy, truth.taxonomy)
        report = report or SegmentationReport(ConfusionMatrix(truth.taxonomy))
        report.add(image, table[segmenter(image).labels], truth.labels)
    return (report.matrix if report else ConfusionMatrix(segmenter.taxonomy)).figures()


def evaluate_detector(
    detector: Detector,
    samples: Iterable[tuple[Image, BoxTruth]],
    report: DetectionReport | None = None,
) -> dict[str, Any]:
    """COCO's average precision; classes are those of the detector's taxonomy.

    Build the detector with `score=EVALUATION_SCORE`, `iou=EVALUATION_IOU` and `multi_label`. A
    `report`, made for these samples, sees every picture.
    """
    report = report or DetectionReport(DetectionMetric(detector.taxonomy), 0)
    for image, truth in samples:
        report.add(image, detector(image), truth)
    return report.metric.scores().to_dict()


def evaluate_classifier(
    classifier: Classifier,
    samples: Iterable[tuple[Image, int]],
    data: Taxonomy,
    report: ClassificationReport | None = None,
) -> dict[str, Any]:
    """Top-1 and top-5 accuracy, in all and per class; see `TopAccuracy`.

    The samples' classes are those of `data`, all of which the classifier must know by name
    (`DataError`); classes that it knows besides count as mistakes. A `report`, made for these
    samples, sees every picture.
    """
    report = report or ClassificationReport(TopAccuracy(classifier.taxonomy))
    table = known_classes(classifier.taxonomy, data)
    for image, label in samples:
        report.add([image], classifier.probabilities(image)[None], table[[label]])
    return report.metric.to_dict()


def evaluate_restorer(
    restorer: Restorer,
    samples: Iterable[tuple[tuple[Image, ...], Image]],
    report: RestorationReport | None = None,
) -> dict[str, Any]:
    """Mean PSNR and SSIM over samples: the pictures that the restorer gets, and the true one.

    A `report` sees every picture.
    """
    report = report or RestorationReport(ImageQuality(), 0)
    for pictures, truth in samples:
        report.add(pictures, restorer(*pictures), truth)
    return report.quality.to_dict()


def common_labels(model: Taxonomy, data: Taxonomy) -> NDArray[np.uint8]:
    """Table of 256 from the model's labels to the data's; a `DataError` unless they fit.

    See `Taxonomy.labels_in`.
    """
    table = model.labels_in(data)
    if table is None:
        raise DataError(
            f"the model knows '{model.name}' ({', '.join(model.names)}), the data are labelled as "
            f"'{data.name}' ({', '.join(data.names)}); evaluate on data with the model's classes"
        )
    return table
