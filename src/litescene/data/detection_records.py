"""Records of annotated boxes, before and after the mapping to a taxonomy."""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError


@dataclass(frozen=True, slots=True)
class Annotated:
    """One picture as its data set describes it.

    `boxes` n×4 float32 (x1, y1, x2, y2 in pixels of the picture, edges: a box around the whole
    picture is 0, 0, width, height); `names` the class of each box in the set's own words;
    `crowd` n bool marks regions in which single objects are not told apart.
    """

    picture: Path
    boxes: NDArray[np.float32]
    names: tuple[str, ...]
    crowd: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Annotations:
    """A data set in its own words; `classes` are all classes that it annotates."""

    pictures: tuple[Annotated, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DetectionSample:
    """One picture in the words of a taxonomy.

    `boxes` n×4 float32 (x1, y1, x2, y2 in pixels); `classes` n int32; `crowd` n bool (regions
    that are neither an object to find nor background); `known` the classes that are annotated in
    this picture's source: others may be visible without a box.
    """

    picture: Path
    boxes: NDArray[np.float32]
    classes: NDArray[np.int32]
    crowd: NDArray[np.bool_]
    known: frozenset[int]
    source: str


Flaws = list[str] | None
"""Where a reader notes what is wrong with a data set and goes on; without it the first thing that
is wrong is a `DataError`."""


class Row(NamedTuple):
    """A box as it is written: the place (file and line), the class, the corners in pixels."""

    where: str
    name: str
    x1: float
    y1: float
    x2: float
    y2: float
    crowd: bool = False


LEFT_OUT = "has no area and is left out"
"""How a flaw ends that costs nothing: the reader went on without the box."""

Item = TypeVar("Item")
Read = TypeVar("Read")


def read_each(
    items: Iterable[Item], read: Callable[[Item], Read], flaws: Flaws
) -> Iterator[tuple[Item, Read]]:
    """The items (files, lines) with what is read of them, but for those noted among the flaws."""
    for item in items:
        try:
            yield item, read(item)
        except DataError as error:
            if flaws is None:
                raise
            flaws.append(str(error))


def annotated(picture: Path, rows: Sequence[Row], flaws: Flaws = None) -> Annotated:
    """Build a record of a picture and its boxes.

    Boxes without area, which published sets do contain, hold no object and are left out, and noted
    among the flaws. So are those with corners in the wrong order or coordinates that are not
    finite numbers, which without flaws are a `DataError`.
    """
    boxes = np.array([(r.x1, r.y1, r.x2, r.y2) for r in rows], np.float64).reshape(-1, 4)
    # Written so that NaN, which is neither smaller nor larger than anything, is not finite.
    finite = np.all(np.abs(boxes) <= np.finfo(np.float32).max, axis=1)
    wrong = ~finite | (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    flat = ~wrong & ((boxes[:, 2] == boxes[:, 0]) | (boxes[:, 3] == boxes[:, 1]))
    for i in np.flatnonzero(wrong | flat).tolist():
        box = ", ".join(f"{v:g}" for v in boxes[i])
        if flat[i]:
            said = f"{rows[i].where}: the box ({box}) {LEFT_OUT}"
        else:
            expected = "x1 < x2 and y1 < y2 in pixels" if finite[i] else "four finite numbers"
            said = f"{rows[i].where}: the box is ({box}); expected {expected}"
            if flaws is None:
                raise DataError(said)
        if flaws is not None:
            flaws.append(said)
    kept = np.flatnonzero(~wrong & ~flat).tolist()
    crowd = np.array([rows[i].crowd for i in kept], bool)
    names = tuple(rows[i].name for i in kept)
    return Annotated(picture, boxes[kept].astype(np.float32), names, crowd)


_ENDINGS = (".jpg", ".png", ".jpeg", ".bmp", ".JPG", ".PNG")


def find_picture(folder: Path, name: str, where: str) -> Path:
    """The picture `folder/name`, also under another common ending; a `DataError` if absent."""
    exact = folder / name
    added = (Path(f"{exact}{ending}") for ending in _ENDINGS)
    other = (exact.with_suffix(ending) for ending in _ENDINGS)
    for path in (exact, *added, *other):
        # Unlike those of `Path` this takes names that no file can have.
        if os.path.isfile(path):
            return path
    raise DataError(f"{where}: there is no picture {exact}")
