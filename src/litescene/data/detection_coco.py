"""COCO JSON: `annotations/*.json` beside the pictures.

These lie in `images/`, `images/<split>/` or `<split>/`, as `val2017/`, or next to the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from litescene.core import DataError
from litescene.core.errors import AbsentSplitError
from litescene.data.detection_records import (
    Annotated,
    Annotations,
    Flaws,
    annotated,
    find_picture,
    read_each,
    read_text,
)

_OBJECTS = "instances_"
"""How the names of the official files with boxes begin."""


def read_coco(root: Path, split: str, flaws: Flaws = None) -> Annotations:
    """Boxes of a COCO detection file.

    `root` is the JSON file itself or the folder of the data set, in which the file whose name
    holds the split (`instances_train2017.json`) is taken; split `all` needs a single file. The
    captions and key points that lie beside it in the official folder are passed over.
    """
    path = root if root.suffix == ".json" else _file_of_split(root, split)
    try:
        plain = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    try:
        return _parse(path, plain, flaws)
    except KeyError as error:
        raise DataError(f"{path}: not a COCO detection file: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: not a COCO detection file: {error}") from error


def _file_of_split(root: Path, split: str) -> Path:
    folder = root / "annotations" if (root / "annotations").is_dir() else root
    files = sorted(folder.glob("*.json"))
    if split != "all":
        files = [f for f in files if split in f.stem]
    files = [f for f in files if f.stem.startswith(_OBJECTS)] or files
    if len(files) != 1:
        found = ", ".join(f.name for f in files) or "none"
        kind = DataError if files else AbsentSplitError
        raise kind(
            f"{folder}: expected one JSON file for split '{split}' "
            f"(e.g. instances_{split}2017.json), found {found}"
        )
    return files[0]


def _parse(path: Path, plain: dict[str, Any], flaws: Flaws) -> Annotations:
    names = {c["id"]: str(c["name"]) for c in plain["categories"]}
    by_picture: dict[Any, list[dict[str, Any]]] = {p["id"]: [] for p in plain["images"]}
    for entry in plain["annotations"]:
        if entry["image_id"] not in by_picture or entry["category_id"] not in names:
            said = (
                f"{path}: annotation {entry.get('id')} names picture {entry['image_id']} and "
                f"category {entry['category_id']}; one of them is not in the file"
            )
            if flaws is None:
                raise DataError(said)
            flaws.append(said)
            continue
        by_picture[entry["image_id"]].append(entry)
    folder = _picture_folder(path, [p["file_name"] for p in plain["images"]])

    def read(picture: dict[str, Any]) -> Annotated:
        return _picture(path, folder, picture, by_picture[picture["id"]], names, flaws)

    pictures = [one for _, one in read_each(plain["images"], read, flaws)]
    return Annotations(tuple(pictures), tuple(names.values()))


def _picture_folder(path: Path, names: list[str]) -> Path:
    """The known folder that holds the first picture; the first known one if none does."""
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    split = path.stem.removeprefix(_OBJECTS)
    known = (root / "images", root / "images" / split, root / split, root)
    folders = [folder for folder in known if folder.is_dir()]
    return next((f for f in folders for name in names[:1] if (f / name).exists()), folders[0])


def _picture(
    path: Path,
    folder: Path,
    picture: dict[str, Any],
    entries: list[dict[str, Any]],
    names: dict[Any, str],
    flaws: Flaws,
) -> Annotated:
    where = f"{path}, picture {picture['file_name']}"
    rows = []
    for entry in entries:
        x, y, w, h = (float(v) for v in entry["bbox"])
        crowd = bool(entry.get("iscrowd", 0))
        rows.append((names[entry["category_id"]], x, y, x + w, y + h, crowd))
    return annotated(find_picture(folder, picture["file_name"], where), rows, where, flaws)
