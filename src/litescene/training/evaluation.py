"""A checkpoint measured on a labelled data set, in PyTorch float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from litescene.core import CheckpointError, DataError, Taxonomy
from litescene.metrics.report import EvaluationReport
from litescene.training.checkpoint import load_model


@dataclass(frozen=True)
class _Trained:
    """A network on its device, and what its checkpoint says of it."""

    path: Path
    model: nn.Module
    card: Mapping[str, Any]
    taxonomy: Taxonomy
    device: torch.device


Measured = tuple[dict[str, Any], EvaluationReport]


def evaluate_checkpoint(path: Path, spec: str, split: str) -> Measured:
    """Metrics of the checkpoint's task on `FORMAT:PATH`, and the report that has seen all pictures.

    Raises `CheckpointError` for a damaged file and `DataError` for data that do not fit.
    """
    model, card = load_model(path)
    try:
        task, taxonomy = card["task"], Taxonomy.from_dict(card["taxonomy"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the card names no task and classes") from error
    if task not in _EVALUATIONS:
        raise CheckpointError(f"{path}: there is no evaluation for task '{task}'")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trained = _Trained(path, model.to(device), card, taxonomy, device)
    return _EVALUATIONS[task](trained, spec, split)


def _segmentation(trained: _Trained, spec: str, split: str) -> Measured:
    from litescene.data.segmentation import open_segmentation
    from litescene.metrics import ConfusionMatrix
    from litescene.metrics.segmentation_report import SegmentationReport
    from litescene.training.tasks.segmentation import evaluate_segmentation

    data = open_segmentation(spec, split)
    table = trained.taxonomy.labels_in(data.taxonomy)
    if table is None:
        raise DataError(
            f"{trained.path} knows '{trained.taxonomy.name}' "
            f"({', '.join(trained.taxonomy.names)}), {spec} is labelled "
            f"as '{data.taxonomy.name}' ({', '.join(data.taxonomy.names)}); evaluate on data "
            "with its classes"
        )
    report = SegmentationReport(ConfusionMatrix(data.taxonomy), data.names)
    seen_at = _seen_at(trained.card)
    found = evaluate_segmentation(trained.model, data, trained.device, table, seen_at, report)
    return found, report


def _seen_at(card: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width at which a network was trained to see pictures, if its recipe says so."""
    if not card.get("recipe", {}).get("settings", {}).get("size"):
        return None
    height, width = card["size"]
    return int(height), int(width)


def _detection(trained: _Trained, spec: str, split: str) -> Measured:
    from litescene.data.detection import open_detection
    from litescene.metrics.detection import DetectionMetric
    from litescene.metrics.detection_report import DetectionReport
    from litescene.training.tasks.detection import evaluate_detection

    boxes = open_detection(spec, split, trained.taxonomy)
    report = DetectionReport(DetectionMetric(trained.taxonomy), len(boxes))
    size = int(trained.card["size"][0])
    return evaluate_detection(trained.model, boxes, size, trained.device, report), report


def _classification(trained: _Trained, spec: str, split: str) -> Measured:
    from litescene.data.classification import open_classification
    from litescene.metrics.classification import TopAccuracy
    from litescene.metrics.classification_report import ClassificationReport
    from litescene.training.tasks.classification import evaluate_classification
    from litescene.training.tasks.classification_samples import View

    data, view = open_classification(spec, split), View.of_card(trained.card)
    report = ClassificationReport(TopAccuracy(trained.taxonomy), data.names)
    return evaluate_classification(trained.model, data, view, trained.device, report), report


def _restoration(trained: _Trained, spec: str, split: str) -> Measured:
    from litescene.data.restoration import open_restoration
    from litescene.metrics.image_quality import ImageQuality
    from litescene.metrics.restoration_report import RestorationReport
    from litescene.training.tasks.restoration import evaluate_restoration

    network: Any = trained.model
    pictures = open_restoration(spec, split, int(network.pictures))
    report = RestorationReport(ImageQuality())
    return evaluate_restoration(trained.model, pictures, trained.device, report=report), report


_EVALUATIONS: dict[str, Callable[[_Trained, str, str], Measured]] = {
    "segmentation": _segmentation,
    "detection": _detection,
    "classification": _classification,
    "restoration": _restoration,
}
