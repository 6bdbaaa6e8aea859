"""Bundles to predictors: engines, pre- and post-processing, the bounded stream. No PyTorch."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "Bundle": "runtime.bundle",
    "write_metadata": "runtime.bundle",
    "Classifier": "runtime.classification",
    "Detector": "runtime.detection",
    "ENGINES": "runtime.engines",
    "Engine": "runtime.engines",
    "create_engine": "runtime.engines",
    "default_threads": "runtime.engines",
    "Letterbox": "media.letterbox",
    "load": "runtime.predictors",
    "Restorer": "runtime.restoration",
    "Segmenter": "runtime.segmentation",
    "network_size": "media.fitting",
    "ShippedBundle": "runtime.catalog",
    "find": "runtime.catalog",
    "detect_source": "runtime.annotate",
    "interpolate_source": "runtime.restore",
    "segment_source": "runtime.annotate",
    "upscale_source": "runtime.restore",
    "shipped": "runtime.catalog",
    "BoundedStream": "runtime.stream",
}

if TYPE_CHECKING:
    from litescene.media.fitting import network_size
    from litescene.media.letterbox import Letterbox
    from litescene.runtime.annotate import detect_source, segment_source
    from litescene.runtime.bundle import Bundle, write_metadata
    from litescene.runtime.catalog import ShippedBundle, find, shipped
    from litescene.runtime.classification import Classifier
    from litescene.runtime.detection import Detector
    from litescene.runtime.engines import ENGINES, Engine, create_engine, default_threads
    from litescene.runtime.predictors import load
    from litescene.runtime.restoration import Restorer
    from litescene.runtime.restore import interpolate_source, upscale_source
    from litescene.runtime.segmentation import Segmenter
    from litescene.runtime.stream import BoundedStream

__all__ = [
    "ENGINES",
    "BoundedStream",
    "Bundle",
    "Classifier",
    "Detector",
    "Engine",
    "Letterbox",
    "Restorer",
    "Segmenter",
    "ShippedBundle",
    "create_engine",
    "default_threads",
    "detect_source",
    "find",
    "interpolate_source",
    "load",
    "network_size",
    "segment_source",
    "shipped",
    "upscale_source",
    "write_metadata",
]


def __getattr__(name: str) -> Any:
    # Lazy: listing bundles must not cost the import of numba and OpenCV.
    if name not in _HOME:
        raise AttributeError(f"module 'litescene.runtime' has no attribute '{name}'")
    return getattr(importlib.import_module(f"litescene.{_HOME[name]}"), name)
