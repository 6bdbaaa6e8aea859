"""The `FORMAT:PATH` specifications inside a recipe: absolute in a run folder, bare in a bundle.

A run is resumed from any folder, so it keeps where its data are; a bundle is given to others, whom
the folders of one machine do not concern.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litescene.core.contract import TaskName
from litescene.data.doctor import FORMATS
from litescene.data.location import split_spec
from litescene.data.restoration import FORMATS as WITH_VIEWS
from litescene.data.restoration import split_view
from litescene.training.recipe import Recipe


def with_absolute_data(recipe: Recipe) -> Recipe:
    """The recipe with the folders in which its data are found from here and now.

    Raises `DataError` for data that are not there.
    """
    return recipe.model_copy(update={"settings": _specs_changed(recipe.settings, _absolute)})


def trained_on(task: TaskName, spec: str) -> list[str]:
    """Overrides of a recipe that train and validate on one data set."""
    quoted = json.dumps(spec, ensure_ascii=False)
    if task == "detection":
        return [f"detection.train=[{{data={quoted}}}]", f"detection.val=[{quoted}]"]
    return [f"{task}.data={quoted}"]


def without_data_folders(plain: Any) -> Any:
    """Plain JSON in which every data specification is left with its format and last name."""
    return _specs_changed(plain, _bare)


def data_specs(plain: Any) -> list[str]:
    """All data specifications inside plain JSON, with their format and last name, sorted."""
    found: set[str] = set()

    def note(spec: str) -> str:
        found.add(_bare(spec))
        return spec

    _specs_changed(plain, note)
    return sorted(found)


def _absolute(spec: str) -> str:
    if spec.partition(":")[0] in WITH_VIEWS:
        name, root, _ = split_view(spec)
        _, at, view = spec.rpartition("/")[2].partition("@")
        return f"{name}:{root.resolve()}{at}{view}"
    name, root = split_spec(spec, FORMATS)
    return f"{name}:{root.resolve()}"


def _bare(spec: str) -> str:
    name, _, path = spec.partition(":")
    return f"{name}:{Path(path).name}"


def _specs_changed(plain: Any, change: Callable[[str], str]) -> Any:
    """A copy in which each string that begins with a known format and a colon is changed."""
    if isinstance(plain, dict):
        return {key: _specs_changed(value, change) for key, value in plain.items()}
    if isinstance(plain, list):
        return [_specs_changed(value, change) for value in plain]
    if isinstance(plain, str) and plain.startswith(tuple(f"{name}:" for name in FORMATS)):
        return change(plain)
    return plain
