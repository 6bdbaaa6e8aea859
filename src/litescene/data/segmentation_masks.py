"""Pictures with masks of classes of one's own, also as CVAT and LabelMe export them.

A mask is a PNG of the picture's name and size. Its values are the places of the classes in a list
that lies beside the pictures, 255 being no class; or it has their colours.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litescene.core import IGNORE, DataError, Taxonomy
from litescene.core.errors import AbsentSplitError
from litescene.data.location import find_folder
from litescene.data.segmentation_records import (
    SPLITS,
    Color,
    Labels,
    Opened,
    labels_by_color,
    labels_by_value,
    value_table,
)
from litescene.data.splitting import named_split, split_list
from litescene.data.text_files import read_text
from litescene.media.class_files import ClassList, parse_classes, parse_label_map
from litescene.media.pictures import pictures_under, pixels_of

PICTURES, MASKS = ("images", "JPEGImages"), ("masks", "SegmentationClass")
LABEL_MAP = "labelmap.txt"
LISTS: dict[str, Callable[[str], ClassList]] = {
    "classes.txt": parse_classes,
    "class_names.txt": parse_classes,
    LABEL_MAP: parse_label_map,
}
"""Names of lists of classes; the first that is there counts."""
NO_CLASS = "-"
"""What a list calls values and colours that are no class."""


def read_masks(root: Path, split: str) -> Opened:
    """A folder with `images/` and `masks/`, or `JPEGImages/` and `SegmentationClass/`.

    A split is the folder of its name in both; or the list `ImageSets/Segmentation/<split>.txt`
    (see `split_list`); or what the pictures' names say (`named_split`). Folders are read with those
    inside of them.

    The classes are the lines of `classes.txt` or LabelMe's `class_names.txt` (`parse_classes`), or
    of CVAT's `labelmap.txt` (`parse_label_map`), in the order of the values. Lines of one name are
    one class, and `-` for a name says that the value, or the colour, is none. Masks of one channel
    hold values, those of three colours; those with a palette hold values too, but colours beside a
    `labelmap.txt`.

    Raises `DataError` for a list that is missing or wrong, and `AbsentSplitError` for a split that
    the set has not; reading a mask raises `DataError` for a value or colour that is not in the
    list.
    """
    images, masks = find_folder(root, PICTURES), find_folder(root, MASKS)
    taxonomy, read = _classes(_list_of_classes(root))
    pictures = _pictures(root, images, split)
    pairs = [(p, masks / p.relative_to(images).with_suffix(".png")) for p in pictures]
    return Opened(pairs, taxonomy, read)


def _pictures(root: Path, images: Path, split: str) -> list[Path]:
    if (images / split).is_dir():
        return pictures_under(images / split)
    folders = [name for name in SPLITS if (images / name).is_dir()]
    if folders:
        raise AbsentSplitError(f"{images} has no folder '{split}' beside {', '.join(folders)}")
    pictures = pictures_under(images)
    names = split_list(root / "ImageSets" / "Segmentation", split)
    if names is not None:
        pictures = _named(pictures, images, names)
        if names.stem == split:
            return pictures
    if split == "test":
        raise AbsentSplitError(f"{root}: it has neither folders nor lists of splits, and no 'test'")
    chosen = [p for p in pictures if named_split(p.parent.name, p.name) == split]
    if pictures and not chosen:
        raise AbsentSplitError(
            f"{root}: none of its {len(pictures)} pictures is in split '{split}' by its name; add "
            f"pictures, or make folders train and val in {images.name} and beside it"
        )
    return chosen


def _named(pictures: list[Path], images: Path, names: Path) -> list[Path]:
    """The pictures of a list of names without ending."""
    wanted = {line.strip() for line in read_text(names).splitlines() if line.strip()}
    there = {p.relative_to(images).with_suffix("").as_posix(): p for p in pictures}
    if missing := sorted(wanted - there.keys()):
        raise DataError(f"{names}: '{missing[0]}' has no picture in {images}")
    return [there[name] for name in sorted(wanted)]


def _list_of_classes(root: Path) -> Path:
    for name in LISTS:
        if (root / name).is_file():
            return root / name
    raise DataError(
        f"{root}: expected a file classes.txt with a class a line, in the order of the masks' "
        f"values, as 'name' or 'name r g b'; or CVAT's {LABEL_MAP}"
    )


def _classes(path: Path) -> tuple[Taxonomy, Callable[[Path], Labels]]:
    """The classes of a list, and what reads masks by it."""
    try:
        listed = LISTS[path.name](read_text(path))
        labels = _labels(listed)
        first = [labels.index(label) for label in sorted({*labels} - {IGNORE})]
        names = tuple(listed.names[i] for i in first)
        colors = tuple(listed.colors[i] for i in first if listed.colors)
        taxonomy = ClassList(names, colors).taxonomy(path.parent.resolve().name)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    by_color = dict(zip(listed.colors, labels, strict=False))
    by_value = value_table({**dict(enumerate(labels)), 255: IGNORE})
    return taxonomy, partial(_read_mask, classes=path, by_color=by_color, by_value=by_value)


def _labels(listed: ClassList) -> list[int]:
    """The label of each line: the classes are counted, each when it comes first."""
    if len(listed.names) > IGNORE:
        raise ValueError(f"{len(listed.names)} classes; a mask has values for {IGNORE} at most")
    twice = next((c for c in listed.colors if listed.colors.count(c) > 1), None)
    if twice is not None:
        raise ValueError(f"two lines have the colour {twice}; give each its own")
    classes = [name for name in dict.fromkeys(listed.names) if name != NO_CLASS]
    return [IGNORE if name == NO_CLASS else classes.index(name) for name in listed.names]


def _read_mask(
    path: Path, classes: Path, by_color: dict[Color, int], by_value: NDArray[np.int16]
) -> Labels:
    pixels = pixels_of(path)
    if pixels == "colours" or (pixels == "palette" and classes.name == LABEL_MAP):
        if not by_color:
            raise DataError(
                f"{path} is a colour picture, and {classes} says of no class what colour it has; "
                "write every line as 'name r g b'"
            )
        return labels_by_color(path, by_color)
    return labels_by_value(path, by_value)
