"""Box annotations in plain text: a box table, and Penn-Fudan's PASCAL v1.00 text."""

from __future__ import annotations

import csv
import os
import re
from functools import partial
from pathlib import Path

from litescene.core import DataError
from litescene.data.detection_records import (
    Annotated,
    Annotations,
    Flaws,
    annotated,
    find_picture,
    number,
    read_each,
    read_text,
)
from litescene.media.pictures import PICTURE_SUFFIXES

BOX_COLUMNS = ("image", "xmin", "ymin", "xmax", "ymax")


def read_box_csv(root: Path, split: str, flaws: Flaws = None) -> Annotations:
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
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path}, line {reader.line_num}"
        try:
            picture, row = _table_row(cells, len(header), folder, where)
        except DataError as error:
            if flaws is None:
                raise
            flaws.append(str(error))
        else:
            rows.setdefault(picture, []).append(row)
    files = sorted(rows | {p: [] for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES})

    def read(picture: Path) -> Annotated:
        return annotated(picture, rows.get(picture, []), f"{path}, {picture.name}", flaws)

    pictures = [one for _, one in read_each(files, read, flaws)]
    classes = sorted({row[0] for of_one in rows.values() for row in of_one})
    return Annotations(tuple(pictures), tuple(classes))


def _table_row(
    cells: list[str], columns: int, folder: Path, where: str
) -> tuple[Path, tuple[str, float, float, float, float, bool]]:
    if len(cells) != columns:
        raise DataError(f"{where}: expected {columns} columns, found {len(cells)}")
    x1, y1, x2, y2 = (number(cell, where, "a number of pixels") for cell in cells[1:5])
    name = cells[5].strip() if len(cells) > 5 else "car"
    if not name:
        raise DataError(f"{where}: the class is empty; expected a name")
    picture = find_picture(folder, os.path.normpath(cells[0].strip()), where)
    return picture, (name, x1, y1, x2, y2, False)


_PENN_BOX = re.compile(
    r'^Bounding box for object \d+ "(?P<name>[^"]+)" \(Xmin, Ymin\) - \(Xmax, Ymax\) : '
    r"\((?P<x1>\d+), (?P<y1>\d+)\) - \((?P<x2>\d+), (?P<y2>\d+)\)"
)
_PENN_COUNT = re.compile(r"^Objects with ground truth : (\d+)")


def read_penn(root: Path, split: str, flaws: Flaws = None) -> Annotations:
    """Penn-Fudan pedestrians: `Annotation/*.txt` (PASCAL v1.00 text) beside `PNGImages/`.

    The text counts pixels from 1; one is subtracted from every coordinate.
    """
    folder, images = root / "Annotation", root / "PNGImages"
    if not folder.is_dir() or not images.is_dir():
        raise DataError(f"{root}: expected folders Annotation and PNGImages")
    files = sorted(folder.glob("*.txt"))
    read = partial(_penn_picture, images=images, flaws=flaws)
    pictures = [one for _, one in read_each(files, read, flaws)]
    classes = sorted({name for one in pictures for name in one.names})
    return Annotations(tuple(pictures), tuple(classes))


def _penn_picture(path: Path, images: Path, flaws: Flaws) -> Annotated:
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
    picture = find_picture(images, f"{path.stem}.png", str(path))
    return annotated(picture, rows, str(path), flaws)
