"""COCO JSON: `annotations/*.json` beside the pictures, or one JSON file in a folder per split.

The pictures lie in `images/`, `images/<split>/` or `<split>/`, as `val2017/`, or next to the file.
"""

from __future__ import annotations

import json
import math
import os.path
from collections.abc import Container
from functools import partial
from pathlib import Path
from typing import Any

from litescene.core import DataError
from litescene.core.errors import AbsentSplitError
from litescene.data.detection_records import (
    Annotated,
    Annotations,
    Flaws,
    Row,
    annotated,
    find_picture,
    read_each,
)
from litescene.data.text_files import read_text

_OBJECTS = "instances_"
"""How the names of the official files with boxes begin."""
_TRIED = 50
"""About as many pictures are looked for in every folder that might hold them."""


def read_coco(root: Path, split: str, flaws: Flaws = None) -> Annotations:
    """Boxes of a COCO detection file.

    `root` is the JSON file itself or the folder of the data set, in which the file whose name
    holds the split (`instances_train2017.json`) is taken, or else the one in a folder whose name
    begins with it (`valid/_annotations.coco.json`); split `all` needs a single file. The captions
    and key points that lie beside it in the official folder are passed over.
    """
    path = root if root.suffix == ".json" else _file_of_split(root, split)
    try:
        plain = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # a number or a nesting beyond all use
        raise DataError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(plain, dict):
        raise DataError(
            f"{path}: not a COCO detection file: its root is a {type(plain).__name__}; expected an "
            "object with 'images', 'categories' and 'annotations'"
        )
    try:
        return _parse(path, plain, flaws)
    except KeyError as error:
        raise DataError(f"{path}: not a COCO detection file: {error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: not a COCO detection file: {error}") from error


def _file_of_split(root: Path, split: str) -> Path:
    folder = root / "annotations" if (root / "annotations").is_dir() else root
    files = sorted(folder.glob("*.json"))
    if split != "all":
        files = [f for f in files if split in f.stem] or sorted(root.glob(f"{split}*/*.json"))
    files = [f for f in files if f.stem.startswith(_OBJECTS)] or files
    if len(files) != 1:
        found = ", ".join(f.relative_to(root).as_posix() for f in files) or "none"
        kind = DataError if files else AbsentSplitError
        raise kind(
            f"{root}: expected one JSON file for split '{split}' (e.g. annotations/"
            f"instances_{split}2017.json, or one in a folder {split}), found {found}"
        )
    return files[0]


def _parse(path: Path, plain: dict[str, Any], flaws: Flaws) -> Annotations:
    names = _names(path, plain["categories"])
    by_picture: dict[Any, list[Row]] = {}
    for picture in plain["images"]:
        if picture["id"] in by_picture:
            raise DataError(f"{path}: two pictures have the id {picture['id']}; give each its own")
        by_picture[picture["id"]] = []
    read_row = partial(_row, path=path, names=names, pictures=by_picture)
    for entry, row in read_each(plain["annotations"], read_row, flaws):
        by_picture[entry["image_id"]].append(row)
    folder = _picture_folder(path, [p["file_name"] for p in plain["images"]])

    def read(picture: dict[str, Any]) -> Annotated:
        where = f"{path}, picture {picture['file_name']}"
        file = find_picture(folder, picture["file_name"], where)
        return annotated(file, by_picture[picture["id"]], flaws)

    pictures = [one for _, one in read_each(plain["images"], read, flaws)]
    return Annotations(tuple(pictures), tuple(names.values()))


def _names(path: Path, categories: list[dict[str, Any]]) -> dict[Any, str]:
    """The class names by their ids; a `DataError` where an id or a name is not the only one."""
    names: dict[Any, str] = {}
    for category in categories:
        key, name = category["id"], str(category["name"])
        if key in names:
            raise DataError(f"{path}: two categories have the id {key}; give each its own")
        other = next((k for k, known in names.items() if known == name), None)
        if other is not None:
            raise DataError(
                f"{path}: categories {other} and {key} are both called '{name}'; give each a name "
                "of its own"
            )
        names[key] = name
    return names


def _row(entry: dict[str, Any], path: Path, names: dict[Any, str], pictures: Container[Any]) -> Row:
    """One annotation as name, corners and crowd; a `DataError` names the annotation."""
    where = f"{path}, annotation {entry.get('id')}"
    picture, category, box = (entry.get(key) for key in ("image_id", "category_id", "bbox"))
    if picture not in pictures or category not in names:
        raise DataError(
            f"{path}: annotation {entry.get('id')} names picture {picture} and category "
            f"{category}; one of them is not in the file"
        )
    try:
        x, y, w, h = (float(v) for v in (box if isinstance(box, list) else ()))
    except (TypeError, ValueError, OverflowError):
        x = y = w = h = math.nan
    if not math.isfinite(x + y + w + h):
        raise DataError(
            f"{where}: bbox is {json.dumps(box)}; expected a bbox of "
            "four finite numbers (x, y, width, height)"
        )
    return Row(where, names[category], x, y, x + w, y + h, bool(entry.get("iscrowd", 0)))


def _picture_folder(path: Path, names: list[str]) -> Path:
    """The known folder that holds most of some pictures; the first known one if none does."""
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    split = path.stem.removeprefix(_OBJECTS)
    known = (root / "images", root / "images" / split, root / split, root)
    folders = [folder for folder in known if folder.is_dir()]
    some = names[:: max(len(names) // _TRIED, 1)]
    return max(folders, key=lambda folder: sum(os.path.exists(folder / name) for name in some))
