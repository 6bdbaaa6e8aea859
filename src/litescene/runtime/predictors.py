"""One door to every predictor."""

from __future__ import annotations

from pathlib import Path

from litescene.runtime.bundle import Bundle
from litescene.runtime.catalog import find
from litescene.runtime.detection import Detector
from litescene.runtime.restoration import Restorer
from litescene.runtime.segmentation import Segmenter


def load(
    name_or_file: str | Path | Bundle, engine: str = "auto", threads: int | None = None
) -> Segmenter | Detector | Restorer:
    """A predictor from the name of a shipped bundle or from a bundle's file.

    Args:
        name_or_file: e.g. `pp_liteseg_t` or `runs/a/best.onnx`.
        engine: `auto` (measured once per machine and bundle) or one of `runtime.ENGINES`.
        threads: cores to use; all that the process may use by default.

    Raises:
        UnknownNameError: no such shipped bundle or engine; the message offers near names.
        BundleError: the file is missing, damaged or no bundle.
        MissingExtraError: the engine is not installed.

    """
    bundle = name_or_file if isinstance(name_or_file, Bundle) else find(name_or_file)
    if bundle.contract.task == "detection":
        return Detector(bundle, engine, threads)
    if bundle.contract.task == "restoration":
        return Restorer(bundle, engine, threads)
    return Segmenter(bundle, engine, threads)
