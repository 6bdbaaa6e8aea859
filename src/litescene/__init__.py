"""litescene: real-time scene understanding for a moving camera, on small computers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litescene.runtime import load
    from litescene.scene import run

__version__ = "0.1.0"
__all__ = ["__version__", "load", "run"]

# Looked up when first used, so that `import litescene` costs milliseconds.
_HOMES = {"load": "litescene.runtime", "run": "litescene.scene"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'litescene' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
