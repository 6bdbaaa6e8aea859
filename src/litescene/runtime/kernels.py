"""Telling the user why the very first picture takes seconds: numba compiles, then caches."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

_log = logging.getLogger("litescene")


def is_cached(kernel: Any) -> bool:
    """Whether an `@njit(cache=True)` function has machine code on disk already.

    Code of an older version of the source counts too; then the message is missing, no more.
    """
    folder = Path(kernel.stats.cache_path)
    return any(folder.glob(f"*{kernel.py_func.__qualname__}-*.nbi"))


def announce(what: str, *kernels: Any) -> None:
    """Say that `what` will be compiled, if any of its kernels is not on disk."""
    if not all(is_cached(kernel) for kernel in kernels):
        _log.info("compiling %s for this processor, once (some seconds)", what)
