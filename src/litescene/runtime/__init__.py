"""Bundles to predictors: engines, pre- and post-processing, the bounded stream. No PyTorch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "Bundle": "bundle",
    "write_metadata": "bundle",
    "Classifier": "classification",
    "Detector": "detection",
    "ENGINES": "engines",
    "Engine": "engines",
    "create_engine": "engines",
    "default_threads": "engines",
    "Letterbox": "letterbox",
    "load": "predictors",
    "Segmenter": "segmentation",
    "network_size": "segmentation",
    "ShippedBundle": "catalog",
    "find": "catalog",
    "detect_source": "annotate",
    "segment_source": "annotate",
    "shipped": "catalog",
    "BoundedStream": "stream",
}

if TYPE_CHECKING:
    from litescene.runtime.annotate import detect_source, segment_source
    from litescene.runtime.bundle import Bundle, write_metadata
    from litescene.runtime.catalog import ShippedBundle, find, shipped
    from litescene.runtime.classification import Classifier
    from litescene.runtime.detection import Detector
    from litescene.runtime.engines import ENGINES, Engine, create_engine, default_threads
    from litescene.runtime.letterbox import Letterbox
    from litescene.runtime.predictors import load
    from litescene.runtime.segmentation import Segmenter, network_size
    from litescene.runtime.stream import BoundedStream

__all__ = [
    "ENGINES",
    "BoundedStream",
    "Bundle",
    "Classifier",
    "Detector",
    "Engine",
    "Letterbox",
    "Segmenter",
    "ShippedBundle",
    "create_engine",
    "default_threads",
    "detect_source",
    "find",
    "load",
    "network_size",
    "segment_source",
    "shipped",
    "write_metadata",
]


def __getattr__(name: str) -> Any:
    # Lazy: listing bundles must not cost the import of numba and OpenCV.
    if name not in _HOME:
        raise AttributeError(f"module 'litescene.runtime' has no attribute '{name}'")
    return getattr(importlib.import_module(f"litescene.runtime.{_HOME[name]}"), name)
