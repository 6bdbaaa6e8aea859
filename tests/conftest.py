"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real data sets; tests that need them are skipped where they are absent."""
    root = Path(os.environ.get("LITESCENE_DATA") or CHECKOUT / "../shared/data").resolve()
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set LITESCENE_DATA to the folder of the data sets")
    return root


@pytest.fixture(scope="session")
def parity_folder(data_folder: Path) -> Path:
    """Inputs and outputs of reference implementations, beside the data sets."""
    root = data_folder.parent / "parity"
    if not root.is_dir():
        pytest.skip(f"no reference outputs at {root}")
    return root
