"""Data sets whose class is the folder that a file lies in, opened by `FORMAT:PATH`.

| format | layout |
|---|---|
| imagefolder | `SPLIT/CLASS/` with pictures, or `CLASS/` alone |
| clipfolder | the same with video files |

Classes are the folders' names in alphabetical order, and the same in every split. Files may lie in
folders inside of a class's. Without the folders `train` and `val` the file's name decides
(`named_split`); `all` is both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError, Image, SourceError, Taxonomy, distinct_colors
from litescene.core.errors import AbsentSplitError
from litescene.data.location import split_spec
from litescene.data.splitting import named_split
from litescene.media.pictures import PICTURE_SUFFIXES, read_picture
from litescene.media.sources import open_source

CLIP_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mpeg", ".webm"})
"""Endings of files that count as clips in folders."""
_SUFFIXES = {"imagefolder": PICTURE_SUFFIXES, "clipfolder": CLIP_SUFFIXES}
FORMATS = tuple(_SUFFIXES)
SPLITS = ("all", "train", "val", "test")


@dataclass(frozen=True, slots=True)
class Clip:
    """Which frames of a video make a sample: `frames` of them, every `stride`-th."""

    frames: int
    stride: int = 1


@dataclass(frozen=True, slots=True)
class ClassificationData:
    """The files of one split; `labels` n int32 are their classes in `taxonomy`."""

    name: str
    files: tuple[Path, ...]
    labels: NDArray[np.int32]
    taxonomy: Taxonomy

    def __len__(self) -> int:
        return len(self.files)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the files, with the folders of their classes."""
        return tuple(f"{file.parent.name}/{file.name}" for file in self.files)

    @property
    def has_clips(self) -> bool:
        """Whether the files are videos."""
        return self.name.startswith("clipfolder")

    def picture(self, index: int) -> Image:
        """Picture `index`, H×W×3 uint8 RGB; a `DataError` names one that cannot be read."""
        try:
            return read_picture(self.files[index])
        except SourceError as error:
            raise DataError(str(error)) from error

    def clip(self, index: int, clip: Clip, place: float = 0.5) -> Iterator[Image]:
        """The frames of clip `index`, H×W×3 uint8 RGB of one size.

        `place` says where the first one is: 0 at the earliest, 1 at the latest from which all are
        inside. A video that is too short goes on with its last frame. A `DataError` names one that
        cannot be read.
        """
        try:
            yield from _frames(self.files[index], clip, place)
        except SourceError as error:
            raise DataError(str(error)) from error

    def counts(self) -> dict[str, int]:
        """Files of each class."""
        found = np.bincount(self.labels, minlength=len(self.taxonomy))
        return dict(zip(self.taxonomy.names, found.tolist(), strict=True))


def open_classification(spec: str, split: str) -> ClassificationData:
    """Open `FORMAT:PATH`, e.g. `open_classification("imagefolder:flowers", "val")`.

    Raises `DataError` for unknown formats and splits, a class without files, and splits whose
    classes differ.
    """
    name, root = split_spec(spec, FORMATS)
    if split not in SPLITS:
        raise DataError(f"there is no split '{split}'; expected one of {', '.join(SPLITS)}")
    whole = not (root / "train").is_dir()
    folder = root if whole else root / split
    _require_split(root, split, whole)
    classes = _classes(folder)
    if not whole:
        _require_same(root, classes, split)
    found = _Found(name, split if whole else "all")
    for label, place in enumerate(classes):
        found.add(place, label)
    names = tuple(place.name for place in classes)
    taxonomy = Taxonomy(root.resolve().name, names, distinct_colors(len(names)))
    labels = np.array(found.labels, np.int32)
    return ClassificationData(f"{name}:{split}", tuple(found.files), labels, taxonomy)


def _require_split(root: Path, split: str, whole: bool) -> None:
    if whole and (root / "val").is_dir():
        raise DataError(f"{root} has a folder 'val' and no folder 'train' beside it")
    if whole and split == "test":
        raise AbsentSplitError(f"{root} has no folders of splits; its splits are all, train, val")
    if not whole and not (root / split).is_dir():
        raise AbsentSplitError(f"{root} has no folder '{split}' beside 'train'")


class _Found:
    """Collects the files of one split, class by class."""

    def __init__(self, name: str, split: str) -> None:
        self.split, self.suffixes = split, _SUFFIXES[name]
        self.files: list[Path] = []
        self.labels: list[int] = []

    def add(self, folder: Path, label: int) -> None:
        files = sorted(p for p in folder.rglob("*") if self._counts(p))
        if not files:
            raise DataError(
                f"the class folder {folder} is empty; expected files that end in "
                f"{', '.join(sorted(self.suffixes))}"
            )
        chosen = [p for p in files if self.split in ("all", named_split(folder.name, p.name))]
        if not chosen:
            raise DataError(
                f"{folder}: none of its {len(files)} files belongs to split '{self.split}' by its "
                "name; add files, or make folders train and val"
            )
        self.files += chosen
        self.labels += [label] * len(chosen)

    def _counts(self, path: Path) -> bool:
        visible = not path.name.startswith(".")
        return visible and path.suffix.lower() in self.suffixes and path.is_file()


def _classes(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not found:
        hint = "; a folder called train is a split" if folder.name == "train" else ""
        raise DataError(f"{folder} has no folders; expected one for each class{hint}")
    return found


def _require_same(root: Path, classes: list[Path], split: str) -> None:
    here, there = {p.name for p in classes}, {p.name for p in _classes(root / "train")}
    if here == there:
        return
    lists = ((f"only in {split}", here - there), ("only in train", there - here))
    said = "; ".join(f"{where}: {', '.join(sorted(names))}" for where, names in lists if names)
    raise DataError(f"{root}: the classes of train and {split} differ ({said}); they must agree")


def _frames(path: Path, clip: Clip, place: float) -> Iterator[Image]:
    span = (clip.frames - 1) * clip.stride + 1
    last, given = None, 0
    with open_source(path) as source:
        first = round(place * max((source.frame_count or span) - span, 0))
        for frame in source:
            last = frame.image
            if frame.index < first or (frame.index - first) % clip.stride:
                continue
            yield last
            given += 1
            if given == clip.frames:
                return
    if last is None:
        raise SourceError(f"{path}: not one frame of it can be read")
    for _ in range(clip.frames - given):
        yield last
