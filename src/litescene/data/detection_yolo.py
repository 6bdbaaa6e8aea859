"""YOLO text: a line per box in a text file per picture, and the `data.yaml` beside them."""

from __future__ import annotations

import glob
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
    Row,
    annotated,
    read_each,
)
from litescene.data.text_files import number, read_text
from litescene.data.yolo_config import SPLITS, YoloConfig
from litescene.media.pictures import is_picture, pictures_under

_ORIENTATION = PIL.ExifTags.Base.Orientation
_QUARTER_TURNS = (5, 6, 7, 8)
"""EXIF orientations whose pictures lie on their side in the file."""

_LISTS_OF_CLASSES = ("classes.txt", "labels.txt")
"""Names of texts that annotation tools write beside the labels."""

POLYGON_COLUMNS = 8
"""Lines with more columns than this are polygons."""


def read_yolo(root: Path, split: str, flaws: Flaws = None) -> Annotations:
    """A folder with `images/` and `labels/`, or a `data.yaml`.

    A line is `class cx cy w h`, or a class and a polygon, as shares of the picture. A picture
    without a text file has no objects.

    The pictures of a split are those in `images/<split>`, else those of the entry of its name in
    `data.yaml`; `all` is what lies in `images/`, but all entries where no picture lies in `images/`
    itself. An entry is a folder, a list of pictures (`.txt`) or a pattern (`images/*`), or several
    of them, relative to the file or to its `path`. Folders are read with those inside of them. The
    text of a picture lies where its path has `labels` for the last `images`. Class names are the
    `names` of `data.yaml`, else they are the numbers, those of all splits.
    """
    file = root if root.suffix in (".yaml", ".yml") else root / "data.yaml"
    config = YoloConfig(file)
    pictures = _pictures(file.parent, config, split)
    read = partial(_picture, names=config.names, flaws=flaws)
    found = [one for _, one in read_each(pictures, read, flaws)]
    if flaws is not None:
        flaws += _strays(pictures)
    classes = config.names or _numbers(file.parent / "labels", found)
    return Annotations(tuple(found), tuple(classes))


def _numbers(labels: Path, found: list[Annotated]) -> list[str]:
    """The numbers of classes in all texts of a set, so that every split has the same classes."""
    numbers = {name for one in found for name in one.names}
    for text in labels.rglob("*.txt"):
        if text.name not in _LISTS_OF_CLASSES:
            words = (line.split(maxsplit=1) for line in read_text(text).splitlines())
            numbers |= {str(int(word[0])) for word in words if word and word[0].isdecimal()}
    return sorted(numbers, key=int)


def has_yolo_split(root: Path, split: str) -> bool:
    """Whether the set itself says which pictures belong to a split."""
    file = root if root.suffix in (".yaml", ".yml") else root / "data.yaml"
    return (file.parent / "images" / split).is_dir() or bool(YoloConfig(file).entries(split))


def _pictures(root: Path, config: YoloConfig, split: str) -> list[Path]:
    """The pictures of a split, in order of their paths."""
    images = root / "images"
    if split != "all" and (images / split).is_dir():
        return pictures_under(images / split)
    entries = config.entries(split)
    if entries and not (split == "all" and images.is_dir() and _holds_pictures(images)):
        return sorted({p for where, value in entries for p in _of_entry(config, where, value)})
    said = f" (nor has {config.path.name} an entry '{split}')" if config.path.exists() else ""
    if split != "all" and (config.entries("all") or _split_folders(images)):
        raise AbsentSplitError(
            f"{root}: it has no split '{split}': there is no folder {images / split}{said}"
        )
    if not images.is_dir() or not (root / "labels").is_dir():
        raise DataError(f"{root}: expected folders images and labels{said}")
    return pictures_under(images)


def _split_folders(images: Path) -> bool:
    """Whether there are folders such as `train`, `val2017` or `valid`: then the set is split."""
    found = [p.name for p in images.iterdir() if p.is_dir()] if images.is_dir() else []
    return any(name.startswith(SPLITS) for name in found)


def _holds_pictures(folder: Path) -> bool:
    return any(is_picture(p) for p in folder.iterdir())


def _of_entry(config: YoloConfig, where: str, value: str) -> Iterator[Path]:
    """The pictures of a folder, a list or a pattern that `data.yaml` names."""
    # Copies of sets that were exported elsewhere begin with ../, and lie beside the file.
    tried = [(config.folder, value), (config.path.parent, value.removeprefix("../"))]
    source = next((base / name for base, name in tried if (base / name).exists()), None)
    if source is None:
        matching = next((found for one in tried if (found := _matching(*one))), [])
        if not matching:
            raise DataError(
                f"{where}: there is no {config.folder / value}; expected a folder, a list or a "
                "pattern of pictures"
            )
        yield from matching
    elif source.is_dir():
        inner = source / "images"
        yield from pictures_under(
            inner if inner.is_dir() and not _holds_pictures(source) else source
        )
    else:
        yield from _of_list(config, source)


def _matching(base: Path, pattern: str) -> list[Path]:
    """The pictures that a pattern such as `images/*` stands for, and those in such folders."""
    found = [base / name for name in glob.glob(pattern, root_dir=base, recursive=True)]
    return [
        p
        for one in found
        for p in (pictures_under(one) if one.is_dir() else [one])
        if is_picture(p)
    ]


def _of_list(config: YoloConfig, source: Path) -> Iterator[Path]:
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


def _strays(pictures: list[Path]) -> Iterator[str]:
    """Texts without a picture, and where the texts were looked for if there is not one."""
    texts = [_labels_of(picture) for picture in pictures]
    if texts and not any(text.exists() for text in texts):
        yield (
            f"{texts[0].parent}: none of the {len(texts)} pictures has a text file; looked for "
            f"{texts[0]} and its like"
        )
    # Among pictures that lie beside their texts other texts, a list of a split, are no labels.
    folders = {(a.parent, b.parent) for a, b in zip(pictures, texts, strict=True)}
    folders = {(images, labels) for images, labels in folders if images != labels}
    known = {path.with_suffix("") for images, _ in folders for path in pictures_under(images)}
    without = {
        text: images / text.relative_to(labels).with_suffix("")
        for images, labels in folders
        for text in labels.rglob("*.txt")
        if text.name not in _LISTS_OF_CLASSES
    }
    for text, picture in sorted(without.items()):
        if picture not in known:
            yield f"{text}: there is no picture {picture}.*; add it, or remove the text"


def _picture(picture: Path, names: list[str], flaws: Flaws) -> Annotated:
    labels = _labels_of(picture)
    if not labels.exists():
        return annotated(picture, [])
    lines = enumerate(read_text(labels).splitlines(), start=1)
    filled = ((f"{labels}, line {index}", line) for index, line in lines if line.strip())
    read = partial(_row, names=names, size=_upright_size(picture))
    rows = [row for _, row in read_each(filled, read, flaws)]
    return annotated(picture, rows, flaws)


def _row(located: tuple[str, str], names: list[str], size: tuple[int, int]) -> Row:
    """A line, with where it is, of the text of a picture of `size` (width, height)."""
    where, line = located
    fields = [number(v, where, "'class cx cy w h' as shares of 1") for v in line.split()]
    name = _class(fields[0], names, where)
    return Row(where, name, *_box(fields[1:], *size, where))


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
