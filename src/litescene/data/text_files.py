"""Text that data sets consist of: annotations, lists of pictures, names of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from litescene.core import DataError


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark; a `DataError` if it is missing or no text."""
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"there is no file {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text: {error}") from error


def number(text: str, where: str, what: str) -> float:
    """A finite number; a `DataError` that says where and what was expected otherwise."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise DataError(f"{where}: expected {what}, not '{text.strip()}'")
    return value
