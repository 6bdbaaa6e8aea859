"""Pairs of picture and label file, and labels of pixels by their value or by their colour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litescene.core import IGNORE, DataError, Taxonomy
from litescene.media.pictures import read_labels, read_picture

SPLITS = ("train", "val", "test")

Labels = NDArray[np.uint8]
Pair = tuple[Path, Path]
Color = tuple[int, int, int]


class Opened(NamedTuple):
    """One split: its pairs, the classes, and how a label file is read."""

    pairs: list[Pair]
    taxonomy: Taxonomy
    read: Callable[[Path], Labels]


def require_labels(pair: Pair) -> None:
    """Raise `DataError` for a picture without its label file."""
    picture, label = pair
    if not label.exists():
        raise DataError(f"{picture} has no labels: expected {label}")


def value_table(mapping: Mapping[int, int]) -> NDArray[np.int16]:
    """256 labels by value; -1 for values that are not in `mapping`."""
    table = np.full(256, -1, np.int16)
    for value, label in mapping.items():
        table[value] = label
    return table


def labels_by_value(path: Path, table: NDArray[np.int16]) -> Labels:
    """Labels H×W of an index picture; a `DataError` names values that `table` does not know."""
    values = read_labels(path)
    mapped = table[values]
    if mapped.min() < 0:
        bad = ", ".join(map(str, np.unique(values[mapped < 0])[:5]))
        raise DataError(f"{path}: unknown label value {bad}; known are {_known(table)}")
    return mapped.astype(np.uint8)


def _known(table: NDArray[np.int16]) -> str:
    """The values that a table knows, runs of them as `0-11`."""
    values = np.flatnonzero(table >= 0)
    runs = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


def labels_by_color(path: Path, labels: Mapping[Color, int]) -> Labels:
    """Labels H×W of a colour picture; a `DataError` names a colour that is not in `labels`."""
    picture = read_picture(path).astype(np.int32)
    codes = (picture[..., 0] << 16) | (picture[..., 1] << 8) | picture[..., 2]
    found = np.full(codes.shape, IGNORE, np.uint8)
    unknown = np.ones(codes.shape, bool)
    for (red, green, blue), label in labels.items():
        here = codes == ((red << 16) | (green << 8) | blue)
        found[here] = label
        unknown &= ~here
    if unknown.any():
        row, column = np.argwhere(unknown)[0]
        color = tuple(picture[row, column].tolist())
        raise DataError(f"{path}: unknown label colour {color}, first at {column}, {row}")
    return found
