"""The real data sets, which are no part of the project: where one of them is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

DataSet = Callable[[str], Path]
"""The fixture `data_set`: a folder or file below LITESCENE_DATA by its name there."""
