"""Box annotations in plain text: YOLO labels, a box table, and Penn-Fudan's PASCAL v1.00 text."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path

import PIL.ExifTags
import PIL.Image

from litescene.core import DataError
from litescene.data.detection_records import (
    Annotated,
    Annotations,
    annotated,
    find_picture,
    number,
    read_text,
)
from litescene.media.pictures import PICTURE_SUFFIXES

_ORIENTATION = PIL.ExifTags.Base.Orientation
_QUARTER_TURNS = (5, 6, 7, 8)
"""EXIF orientations whose pictures lie on their side in the file."""

POLYGON_COLUMNS = 8
"""YOLO lines with more columns than this are polygons."""


def read_yolo(root: Path, split: str) -> Annotations:
    """YOLO text: `labels/` beside `images/`, or `labels/<split>` beside `images/<split>`.

    A line is `class cx cy w h`, or a class and a polygon, as shares of the picture. Class names
    come from `data.yaml` (its `names`), else they are the numbers. A picture without a file has
    no objects.
    """
    images, labels = root / "images", root / "labels"
    if split != "all" and (images / split).is_dir():
        images, labels = images / split, labels / split
    if not images.is_dir() or not labels.is_dir():
        raise DataError(f"{root}: expected folders images and labels")
    names = _yolo_names(root / "data.yaml")
    files = sorted(p for p in images.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    pictures = tuple(_yolo_picture(p, labels / f"{p.stem}.txt", names) for p in files)
    classes = names or sorted({name for one in pictures for name in one.names}, key=int)
    return Annotations(pictures, tuple(classes))


def _yolo_names(path: Path) -> list[str]:
    """`names` of a data.yaml: a list in brackets, or one line per name (`- car` or `2: car`)."""
    if not path.exists():
        return []
    text = read_text(path)
    inline = re.search(r"^names:\s*\[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    if inline:
        return [part.strip().strip("'\"") for part in inline[1].split(",") if part.strip()]
    block = re.search(r"^names:\s*\n((?:\s*(?:-|\d+:).*\n?)+)", text, re.MULTILINE)
    if block is None:
        raise DataError(f"{path}: expected 'names:' with a list of class names")
    lines = [line for line in block[1].splitlines() if line.strip()]
    return [re.sub(r"^\s*(?:-|\d+:)\s*", "", line).strip().strip("'\"") for line in lines]


def _yolo_picture(picture: Path, labels: Path, names: list[str]) -> Annotated:
    if not labels.exists():
        return annotated(picture, [], str(picture))
    width, height = _upright_size(picture)
    rows = []
    for index, line in enumerate(read_text(labels).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{labels}, line {index}"
        fields = [number(v, where, "'class cx cy w h' as shares of 1") for v in line.split()]
        name = _yolo_class(fields[0], names, where)
        rows.append((name, *_yolo_box(fields[1:], width, height, where), False))
    return annotated(picture, rows, str(labels))


def _upright_size(picture: Path) -> tuple[int, int]:
    """Width and height of a picture as it is shown: boxes are shares of what people see."""
    try:
        with PIL.Image.open(picture) as opened:
            (width, height), turned = opened.size, opened.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"{picture}: cannot be read as a picture: {error}") from error
    return (height, width) if turned in _QUARTER_TURNS else (width, height)


def _yolo_class(value: float, names: list[str], where: str) -> str:
    index = int(value)
    if index != value or index < 0 or (names and index >= len(names)):
        known = f"0 to {len(names) - 1}" if names else "a whole number from 0"
        raise DataError(f"{where}: expected a class ({known}), not {value:g}")
    return names[index] if names else str(index)


def _yolo_box(
    values: list[float], width: int, height: int, where: str
) -> tuple[float, float, float, float]:
    if any(not -0.01 <= v <= 1.01 for v in values):
        raise DataError(f"{where}: coordinates are shares of the picture, 0 to 1")
    if len(values) + 1 > POLYGON_COLUMNS and len(values) % 2 == 0:
        xs, ys = values[0::2], values[1::2]
        return min(xs) * width, min(ys) * height, max(xs) * width, max(ys) * height
    if len(values) != 4:
        raise DataError(f"{where}: expected 5 columns 'class cx cy w h', found {len(values) + 1}")
    cx, cy, w, h = values
    return (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height


BOX_COLUMNS = ("image", "xmin", "ymin", "xmax", "ymax")


def read_box_csv(root: Path, split: str) -> Annotations:
    """A table `image,xmin,ymin,xmax,ymax[,class]` (`boxes.csv`) beside `images/`.

    Without the column `class` every box is a car, as in the road-car frames this layout is known
    from. Pictures without a line have no objects; a line may name its picture by another ending
    than it has.
    """
    path = root if root.suffix == ".csv" else root / "boxes.csv"
    folder = path.parent / "images"
    reader = csv.reader(read_text(path).splitlines())
    header = [cell.strip() for cell in next(reader, [])]
    if header not in ([*BOX_COLUMNS], [*BOX_COLUMNS, "class"]):
        raise DataError(f"{path}, line 1: expected '{','.join(BOX_COLUMNS)}' (and ',class')")
    if not folder.is_dir():
        raise DataError(f"{path}: expected the pictures in a folder {folder}")
    rows: dict[Path, list[tuple[str, float, float, float, float, bool]]] = {}
    for index, cells in enumerate(reader, start=2):
        where = f"{path}, line {index}"
        if len(cells) != len(header):
            raise DataError(f"{where}: expected {len(header)} columns, found {len(cells)}")
        x1, y1, x2, y2 = (number(cell, where, "a number of pixels") for cell in cells[1:5])
        name = cells[5].strip() if len(cells) > 5 else "car"
        picture = find_picture(folder, os.path.normpath(cells[0].strip()), where)
        rows.setdefault(picture, []).append((name, x1, y1, x2, y2, False))
    files = sorted(rows | {p: [] for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES})
    pictures = [annotated(p, rows.get(p, []), f"{path}, {p.name}") for p in files]
    classes = sorted({row[0] for of_one in rows.values() for row in of_one})
    return Annotations(tuple(pictures), tuple(classes))


_PENN_BOX = re.compile(
    r'^Bounding box for object \d+ "(?P<name>[^"]+)" \(Xmin, Ymin\) - \(Xmax, Ymax\) : '
    r"\((?P<x1>\d+), (?P<y1>\d+)\) - \((?P<x2>\d+), (?P<y2>\d+)\)"
)
_PENN_COUNT = re.compile(r"^Objects with ground truth : (\d+)")


def read_penn(root: Path, split: str) -> Annotations:
    """Penn-Fudan pedestrians: `Annotation/*.txt` (PASCAL v1.00 text) beside `PNGImages/`.

    The text counts pixels from 1; one is subtracted from every coordinate.
    """
    folder, images = root / "Annotation", root / "PNGImages"
    if not folder.is_dir() or not images.is_dir():
        raise DataError(f"{root}: expected folders Annotation and PNGImages")
    pictures = [_penn_picture(path, images) for path in sorted(folder.glob("*.txt"))]
    classes = sorted({name for one in pictures for name in one.names})
    return Annotations(tuple(pictures), tuple(classes))


def _penn_picture(path: Path, images: Path) -> Annotated:
    rows = []
    promised = None
    for index, line in enumerate(read_text(path).splitlines(), start=1):
        if counted := _PENN_COUNT.match(line):
            promised = int(counted[1])
        elif line.startswith("Bounding box"):
            found = _PENN_BOX.match(line)
            if found is None:
                raise DataError(f"{path}, line {index}: not a PASCAL v1.00 bounding box: {line}")
            x1, y1, x2, y2 = (float(found[k]) - 1 for k in ("x1", "y1", "x2", "y2"))
            rows.append((found["name"], x1, y1, x2, y2, False))
    if promised != len(rows):
        raise DataError(f"{path}: promises {promised} objects but has {len(rows)} boxes")
    return annotated(find_picture(images, f"{path.stem}.png", str(path)), rows, str(path))
