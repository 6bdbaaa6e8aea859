"""YOLO text: a line per box in a text file per picture, and the `data.yaml` beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import PIL.ExifTags
import PIL.Image

from litescene.core import DataError
from litescene.core.errors import AbsentSplitError
from litescene.data.detection_records import (
    Annotated,
    Annotations,
    Flaws,
    annotated,
    number,
    read_each,
    read_text,
)
from litescene.media.pictures import PICTURE_SUFFIXES

_ORIENTATION = PIL.ExifTags.Base.Orientation
_QUARTER_TURNS = (5, 6, 7, 8)
"""EXIF orientations whose pictures lie on their side in the file."""

POLYGON_COLUMNS = 8
"""Lines with more columns than this are polygons."""

_SPLITS = ("train", "val", "test")


def read_yolo(root: Path, split: str, flaws: Flaws = None) -> Annotations:
    """A folder with `images/` and `labels/`, or a `data.yaml`.

    A line is `class cx cy w h`, or a class and a polygon, as shares of the picture. A picture
    without a text file has no objects.

    The pictures of a split are those in `images/<split>`, else those of the entry of its name in
    `data.yaml`; `all` is what lies in `images/` itself, else all entries. An entry is a folder or a
    list of pictures (`.txt`), relative to the file or to its `path`. The text of a picture lies
    where its path has `labels` for the last `images`. Class names are the `names` of `data.yaml`,
    else they are the numbers.
    """
    file = root if root.suffix in (".yaml", ".yml") else root / "data.yaml"
    config = _Config(file)
    pictures = _pictures(file.parent, config, split)
    read = partial(_picture, names=config.names, flaws=flaws)
    found = [one for _, one in read_each(pictures, read, flaws)]
    classes = config.names or sorted({name for one in found for name in one.names}, key=int)
    return Annotations(tuple(found), tuple(classes))


def has_yolo_split(root: Path, split: str) -> bool:
    """Whether the set itself says which pictures belong to a split."""
    file = root if root.suffix in (".yaml", ".yml") else root / "data.yaml"
    return (file.parent / "images" / split).is_dir() or bool(_Config(file).entries(split))


class _Config:
    """What is read of a `data.yaml`, which need not be there: class names and paths.

    Of other keys, such as a script that downloads the pictures, nothing is read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = read_text(path) if path.exists() else ""
        self.names = self._names() if self._text else []
        count = self._value("nc")
        if count and self.names and count[1] != str(len(self.names)):
            raise DataError(
                f"{path}, line {count[0]}: nc is {count[1]}, and there are {len(self.names)} names"
            )

    def entries(self, split: str) -> list[tuple[str, str]]:
        """Paths of a split, each with the place that names it."""
        if split == "all":
            return [entry for one in _SPLITS for entry in self.entries(one)]
        found = self._value(split)
        if found is None:
            return []
        line, value = found
        values = value.strip("[]").split(",") if value.startswith("[") else [value]
        return [(f"{self.path}, line {line}", v.strip().strip("'\"")) for v in values if v.strip()]

    @property
    def folder(self) -> Path:
        """What the paths are relative to."""
        found = self._value("path")
        return self.path.parent / (found[1].strip("'\"") if found else "")

    def _value(self, key: str) -> tuple[int, str] | None:
        """Line and value of `key: value` at the top level, if it has one."""
        for index, line in enumerate(self._text.splitlines(), start=1):
            found = re.match(rf"{key}:\s+([^#]*)", line)
            if found and found[1].strip():
                return index, found[1].strip()
        return None

    def _names(self) -> list[str]:
        """A list in brackets, or one line per name (`- car` or `2: car`)."""
        inline = re.search(r"^names:\s*\[(.*?)\]", self._text, re.MULTILINE | re.DOTALL)
        if inline:
            return [part.strip().strip("'\"") for part in inline[1].split(",") if part.strip()]
        pattern = r"^names:[^\S\n]*(?:#.*)?\n((?:\s*(?:-|\d+:).*\n?)+)"
        block = re.search(pattern, self._text, re.MULTILINE)
        if block is None:
            raise DataError(f"{self.path}: expected 'names:' with a list of class names")
        lines = [re.sub(r"\s+#.*", "", line) for line in block[1].splitlines() if line.strip()]
        return [re.sub(r"^\s*(?:-|\d+:)\s*", "", line).strip().strip("'\"") for line in lines]


def _pictures(root: Path, config: _Config, split: str) -> list[Path]:
    """The pictures of a split, in order of their paths."""
    images = root / "images"
    if split != "all" and (images / split).is_dir():
        return _listed(images / split)
    entries = config.entries(split)
    if entries and not (split == "all" and images.is_dir() and _listed(images)):
        return sorted({p for where, value in entries for p in _of_entry(config, where, value)})
    if not images.is_dir() or not (root / "labels").is_dir():
        said = f" (nor has {config.path.name} an entry '{split}')" if config.path.exists() else ""
        kind = AbsentSplitError if config.path.exists() and config.entries("all") else DataError
        raise kind(f"{root}: expected folders images and labels{said}")
    return _listed(images)


def _listed(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)


def _of_entry(config: _Config, where: str, value: str) -> Iterator[Path]:
    """The pictures of a folder or a list that `data.yaml` names."""
    # Copies of sets that were exported elsewhere begin with ../, and lie beside the file.
    tried = [config.folder / value, config.path.parent / value.removeprefix("../")]
    source = next((path for path in tried if path.exists()), None)
    if source is None:
        raise DataError(f"{where}: there is no {tried[0]}; expected a folder or list of pictures")
    if source.is_dir():
        inner = source / "images"
        yield from _listed(inner if inner.is_dir() and not _listed(source) else source)
        return
    for index, line in enumerate(read_text(source).splitlines(), start=1):
        if not line.strip():
            continue
        named = [base / line.strip() for base in (source.parent, config.folder)]
        picture = next((path for path in named if path.is_file()), None)
        if picture is None:
            raise DataError(f"{source}, line {index}: there is no picture {named[0]}")
        yield picture


def _labels_of(picture: Path) -> Path:
    """The text file of a picture."""
    parts = list(picture.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i] == "images":
            parts[i] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _picture(picture: Path, names: list[str], flaws: Flaws) -> Annotated:
    labels = _labels_of(picture)
    if not labels.exists():
        return annotated(picture, [], str(picture))
    width, height = _upright_size(picture)
    rows = []
    for index, line in enumerate(read_text(labels).splitlines(), start=1):
        if not line.strip():
            continue
        where = f"{labels}, line {index}"
        fields = [number(v, where, "'class cx cy w h' as shares of 1") for v in line.split()]
        name = _class(fields[0], names, where)
        rows.append((name, *_box(fields[1:], width, height, where), False))
    return annotated(picture, rows, str(labels), flaws)


def _upright_size(picture: Path) -> tuple[int, int]:
    """Width and height of a picture as it is shown: boxes are shares of what people see."""
    try:
        with PIL.Image.open(picture) as opened:
            (width, height), turned = opened.size, opened.getexif().get(_ORIENTATION, 1)
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"{picture}: cannot be read as a picture: {error}") from error
    return (height, width) if turned in _QUARTER_TURNS else (width, height)


def _class(value: float, names: list[str], where: str) -> str:
    index = int(value)
    if index != value or index < 0 or (names and index >= len(names)):
        known = f"0 to {len(names) - 1}" if names else "a whole number from 0"
        raise DataError(f"{where}: expected a class ({known}), not {value:g}")
    return names[index] if names else str(index)


def _box(
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
