"""Readers of data sets in their published formats, their check, and augmentation.

The readers need no PyTorch; the names below are loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litescene.data.classification import ClassificationData, open_classification
    from litescene.data.detection import DetectionData, open_detection
    from litescene.data.doctor import DataReport, check_data
    from litescene.data.restoration import RestorationData, open_restoration
    from litescene.data.segmentation import SegmentationData, open_segmentation

_HOMES = {
    "ClassificationData": "classification",
    "DataReport": "doctor",
    "DetectionData": "detection",
    "RestorationData": "restoration",
    "SegmentationData": "segmentation",
    "check_data": "doctor",
    "open_classification": "classification",
    "open_detection": "detection",
    "open_restoration": "restoration",
    "open_segmentation": "segmentation",
}

__all__ = [
    "ClassificationData",
    "DataReport",
    "DetectionData",
    "RestorationData",
    "SegmentationData",
    "check_data",
    "open_classification",
    "open_detection",
    "open_restoration",
    "open_segmentation",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
