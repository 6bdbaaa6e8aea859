"""A checkpoint measured on a labelled data set, in PyTorch float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from litescene.core import CheckpointError, DataError, Taxonomy
from litescene.metrics.report import OnReport, require_report
from litescene.training.checkpoint import load_model


@dataclass(frozen=True)
class _Trained:
    """A network on its device, and what its checkpoint says of it."""

    path: Path
    model: nn.Module
    card: Mapping[str, Any]
    taxonomy: Taxonomy
    device: torch.device
    report_to: OnReport | None


def evaluate_checkpoint(
    path: Path, spec: str, split: str, report_to: OnReport | None = None
) -> dict[str, Any]:
    """Metrics of the checkpoint's task on `FORMAT:PATH`.

    `report_to` gets the report of a segmenter or detector when it has seen all pictures; other
    tasks have none, and it is an `InputError` to ask for one.

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
    require_report(task, report_to)
    trained = _Trained(path, model.to(device), card, taxonomy, device, report_to)
    return _EVALUATIONS[task](trained, spec, split)


def _segmentation(trained: _Trained, spec: str, split: str) -> dict[str, Any]:
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
    found = evaluate_segmentation(
        trained.model, data, trained.device, table, _seen_at(trained.card), report
    )
    if trained.report_to is not None:
        trained.report_to(report)
    return found


def _seen_at(card: Mapping[str, Any]) -> tuple[int, int] | None:
    """Height and width at which a network was trained to see pictures, if its recipe says so."""
    if not card.get("recipe", {}).get("settings", {}).get("size"):
        return None
    height, width = card["size"]
    return int(height), int(width)


def _detection(trained: _Trained, spec: str, split: str) -> dict[str, Any]:
    from litescene.data.detection import open_detection
    from litescene.metrics.detection import DetectionMetric
    from litescene.metrics.detection_report import DetectionReport
    from litescene.training.tasks.detection import evaluate_detection

    boxes = open_detection(spec, split, trained.taxonomy)
    report = DetectionReport(DetectionMetric(trained.taxonomy), len(boxes))
    size = int(trained.card["size"][0])
    found = evaluate_detection(trained.model, boxes, size, trained.device, report)
    if trained.report_to is not None:
        trained.report_to(report)
    return found


def _classification(trained: _Trained, spec: str, split: str) -> dict[str, Any]:
    from litescene.data.classification import open_classification
    from litescene.training.tasks.classification import evaluate_classification
    from litescene.training.tasks.classification_samples import View

    data, view = open_classification(spec, split), View.of_card(trained.card)
    return evaluate_classification(trained.model, data, view, trained.device, trained.taxonomy)


def _restoration(trained: _Trained, spec: str, split: str) -> dict[str, Any]:
    from litescene.data.restoration import open_restoration
    from litescene.training.tasks.restoration import evaluate_restoration

    network: Any = trained.model
    pictures = open_restoration(spec, split, int(network.pictures))
    return evaluate_restoration(trained.model, pictures, trained.device)


_EVALUATIONS: dict[str, Callable[[_Trained, str, str], dict[str, Any]]] = {
    "segmentation": _segmentation,
    "detection": _detection,
    "classification": _classification,
    "restoration": _restoration,
}
