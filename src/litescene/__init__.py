"""litescene: real-time scene understanding for a moving camera, on small computers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load", "run"]

if TYPE_CHECKING:
    from litescene.runtime import load
    from litescene.scene import run


def __getattr__(name: str) -> Any:
    # Lazy, so that `import litescene` costs milliseconds.
    if name == "load":
        from litescene.runtime import load

        return load
    if name == "run":
        from litescene.scene import run

        return run
    raise AttributeError(f"module 'litescene' has no attribute '{name}'")
