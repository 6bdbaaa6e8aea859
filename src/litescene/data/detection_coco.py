"""COCO JSON: `annotations/*.json` beside `images/` (or `<split>/`, or the pictures themselves)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from litescene.core import DataError
from litescene.data.detection_records import (
    Annotated,
    Annotations,
    annotated,
    find_picture,
    read_text,
)


def read_coco(root: Path, split: str) -> Annotations:
    """Boxes of a COCO detection file.

    `root` is the JSON file itself or the folder of the data set, in which the file whose name
    holds the split (`instances_train2017.json`) is taken; split `all` needs a single file.
    """
    path = root if root.suffix == ".json" else _file_of_split(root, split)
    try:
        plain = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}, line {error.lineno}: not JSON: {error.msg}") from error
    try:
        return _parse(path, plain)
    except KeyError as error:
        raise DataError(f"{path}: not a COCO detection file: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: not a COCO detection file: {error}") from error


def _file_of_split(root: Path, split: str) -> Path:
    folder = root / "annotations" if (root / "annotations").is_dir() else root
    files = sorted(folder.glob("*.json"))
    if split != "all":
        files = [f for f in files if split in f.stem]
    if len(files) != 1:
        found = ", ".join(f.name for f in files) or "none"
        raise DataError(
            f"{folder}: expected one JSON file for split '{split}' "
            f"(e.g. instances_{split}2017.json), found {found}"
        )
    return files[0]


def _parse(path: Path, plain: dict[str, Any]) -> Annotations:
    names = {c["id"]: str(c["name"]) for c in plain["categories"]}
    by_picture: dict[Any, list[dict[str, Any]]] = {p["id"]: [] for p in plain["images"]}
    for entry in plain["annotations"]:
        if entry["image_id"] not in by_picture or entry["category_id"] not in names:
            raise DataError(
                f"{path}: annotation {entry.get('id')} names picture {entry['image_id']} and "
                f"category {entry['category_id']}; one of them is not in the file"
            )
        by_picture[entry["image_id"]].append(entry)
    folder = _picture_folder(path)
    pictures = [_picture(path, folder, p, by_picture[p["id"]], names) for p in plain["images"]]
    return Annotations(tuple(pictures), tuple(names.values()))


def _picture_folder(path: Path) -> Path:
    root = path.parent.parent if path.parent.name == "annotations" else path.parent
    for name in ("images", path.stem.removeprefix("instances_")):
        if (root / name).is_dir():
            return root / name
    return root


def _picture(
    path: Path,
    folder: Path,
    picture: dict[str, Any],
    entries: list[dict[str, Any]],
    names: dict[Any, str],
) -> Annotated:
    where = f"{path}, picture {picture['file_name']}"
    rows = []
    for entry in entries:
        x, y, w, h = (float(v) for v in entry["bbox"])
        crowd = bool(entry.get("iscrowd", 0))
        rows.append((names[entry["category_id"]], x, y, x + w, y + h, crowd))
    return annotated(find_picture(folder, picture["file_name"], where), rows, where)
