"""OpenVINO without the reports that it makes of its use."""

from __future__ import annotations

import functools
import importlib
import sys
from types import ModuleType

_REPORTER = "openvino_telemetry"


@functools.cache
def openvino() -> ModuleType:
    """The module `openvino`.

    Imported as it comes, it tells its maker over the network of every start and conversion, and
    keeps an identifier in the user's home folder, unless the user opted out. It does neither where
    the package that would is absent, as it is for this import; a program of the user's that
    imported OpenVINO before has decided for itself.
    """
    before = sys.modules.get(_REPORTER)
    sys.modules[_REPORTER] = None  # type: ignore[assignment]  # so that its import fails
    try:
        return importlib.import_module("openvino")
    finally:
        sys.modules.pop(_REPORTER, None)  # another thread may have done so
        if before is not None:
            sys.modules[_REPORTER] = before
