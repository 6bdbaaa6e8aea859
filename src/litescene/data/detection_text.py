"""Box annotations in plain text: a box table, and Penn-Fudan's PASCAL v1.00 text."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from litescene.core import DataError
from litescene.data.detection_records import (
    Annotated,
    Annotations,
    Flaws,
    Row,
    annotated,
    find_picture,
    read_each,
)
from litescene.data.text_files import number, read_text
from litescene.media.pictures import is_picture

BOX_COLUMNS = ("image", "xmin", "ymin", "xmax", "ymax")


def read_box_csv(root: Path, split: str, flaws: Flaws = None) -> Annotations:
    """A table `image,xmin,ymin,xmax,ymax[,class]` (`boxes.csv`) beside `images/`.

    Without the column `class` every box is a car, as in the road-car frames this layout is known
    from. Pictures without a line have no objects; a line may name its picture by another ending
    than it has.
    """
    path = root if root.suffix == ".csv" else root / "boxes.csv"
    folder = path.parent / "images"
    table = _table(path)
    where, first = next(table, (f"{path}, line 1", []))
    header = [cell.strip() for cell in first]
    if header not in ([*BOX_COLUMNS], [*BOX_COLUMNS, "class"]):
        raise DataError(f"{where}: expected '{','.join(BOX_COLUMNS)}' (and ',class')")
    if not folder.is_dir():
        raise DataError(f"{path}: expected the pictures in a folder {folder}")
    rows: dict[Path, list[Row]] = {}
    read_row = partial(_table_row, columns=len(header), folder=folder)
    for _, (picture, row) in read_each(table, read_row, flaws):
        rows.setdefault(picture, []).append(row)
    files = sorted(rows | {p: [] for p in folder.iterdir() if is_picture(p)})

    def read(picture: Path) -> Annotated:
        return annotated(picture, rows.get(picture, []), flaws)

    pictures = [one for _, one in read_each(files, read, flaws)]
    classes = sorted({row.name for of_one in rows.values() for row in of_one})
    return Annotations(tuple(pictures), tuple(classes))


def _table(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The lines that are not empty, each with where it is."""
    reader = csv.reader(read_text(path).splitlines())
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield f"{path}, line {reader.line_num}", cells
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}") from error


def _table_row(located: tuple[str, list[str]], columns: int, folder: Path) -> tuple[Path, Row]:
    where, cells = located
    if len(cells) != columns:
        raise DataError(f"{where}: expected {columns} columns, found {len(cells)}")
    x1, y1, x2, y2 = (number(cell, where, "a number of pixels") for cell in cells[1:5])
    name = cells[5].strip() if len(cells) > 5 else "car"
    if not name:
        raise DataError(f"{where}: the class is empty; expected a name")
    picture = find_picture(folder, os.path.normpath(cells[0].strip()), where)
    return picture, Row(where, name, x1, y1, x2, y2)


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
            where = f"{path}, line {index}"
            found = _PENN_BOX.match(line)
            if found is None:
                raise DataError(f"{where}: not a PASCAL v1.00 bounding box: {line}")
            x1, y1, x2, y2 = (float(found[k]) - 1 for k in ("x1", "y1", "x2", "y2"))
            rows.append(Row(where, found["name"], x1, y1, x2, y2))
    if promised != len(rows):
        raise DataError(f"{path}: promises {promised} objects but has {len(rows)} boxes")
    picture = find_picture(images, f"{path.stem}.png", str(path))
    return annotated(picture, rows, flaws)
