"""One door to every predictor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from litescene.core.contract import TaskName
from litescene.runtime.bundle import Bundle
from litescene.runtime.catalog import find
from litescene.runtime.classification import Classifier
from litescene.runtime.detection import Detector
from litescene.runtime.restoration import Restorer
from litescene.runtime.segmentation import Segmenter

Predictor = Segmenter | Detector | Classifier | Restorer
_PREDICTORS: dict[TaskName, Callable[..., Predictor]] = {
    "segmentation": Segmenter,
    "detection": Detector,
    "classification": Classifier,
    "restoration": Restorer,
}


def load(
    name_or_file: str | Path | Bundle, engine: str = "auto", threads: int | None = None
) -> Predictor:
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
    return _PREDICTORS[bundle.contract.task](bundle, engine, threads)
