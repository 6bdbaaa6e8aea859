"""Numba's `njit` for the whole package, with a folder for its machine code on every machine."""

from __future__ import annotations

import os
from pathlib import Path

import numba
from numba import njit

from litescene.core.cache import cache_folder

__all__ = ["njit"]


def _choose_folder() -> None:
    """Keep machine code in our cache folder where it cannot be beside the source.

    Numba would look for a place in the home folder then, and refuses to work where none is.
    """
    package = Path(__file__).parents[1]
    if not numba.config.CACHE_DIR and not os.access(package, os.W_OK):
        numba.config.CACHE_DIR = str(cache_folder() / "kernels")


_choose_folder()
