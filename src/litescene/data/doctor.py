"""Checks a data set through its reader: every file is opened, nothing is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from litescene.core import DataError, SourceError
from litescene.core.errors import AbsentSplitError
from litescene.data import classification, detection, restoration, segmentation
from litescene.data.location import split_spec
from litescene.media.pictures import read_picture

FORMATS = (
    *segmentation.FORMATS,
    *detection.FORMATS,
    *classification.FORMATS,
    *restoration.FORMATS,
)
OnPicture = Callable[[int, int | None], None]
"""Called after each picture with the pictures done and how many there are."""


@dataclass
class SplitReport:
    """What one split holds.

    `sizes` counts pictures per "width×height"; `classes` counts pixels (segmentation), boxes
    (detection) or files (classification) per class, frames of restoration have none; `void` pixels
    without a class; `unreadable` names what failed and why.
    """

    split: str
    pictures: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    classes: dict[str, int] = field(default_factory=dict)
    void: int = 0
    unreadable: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {**self.__dict__, "sizes": dict(self.sizes)}


@dataclass
class DataReport:
    """The splits of a data set that could be opened, and why others could not.

    `absent` are splits that the set does not have, `malformed` those that it has but whose files
    are not what the format says.
    """

    spec: str
    unit: str
    splits: list[SplitReport] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    malformed: dict[str, str] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether there is a split and everything there is could be read."""
        read = bool(self.splits) and not any(s.unreadable for s in self.splits)
        return read and not self.malformed

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        splits = [s.to_dict() for s in self.splits]
        return {**self.__dict__, "splits": splits}


def check_data(spec: str, on_picture: OnPicture | None = None) -> DataReport:
    """Read every picture and annotation of `FORMAT:PATH` in all its splits.

    Raises `DataError` for an unknown format or a folder that does not exist; everything that is
    wrong inside is in the report.
    """
    name = spec.partition(":")[0]
    if name in restoration.FORMATS:
        restoration.split_view(spec)
    else:
        split_spec(spec, FORMATS)
    kind = next(kind for kind in _KINDS if name in kind.formats)
    report = DataReport(spec, kind.unit)
    for split in kind.splits:
        _add(report, kind.check, split, on_picture)
    if kind.unit == "boxes" and not report.splits and not report.malformed:
        _add(report, kind.check, "all", on_picture)
    return report


Check = Callable[[str, str, OnPicture | None], SplitReport]


def _add(report: DataReport, check: Check, split: str, on_picture: OnPicture | None) -> None:
    try:
        report.splits.append(check(report.spec, split, on_picture))
    except AbsentSplitError as error:
        report.absent[split] = str(error)
    except (DataError, SourceError) as error:
        report.malformed[split] = str(error)


def _pixels(spec: str, split: str, on_picture: OnPicture | None) -> SplitReport:
    data = segmentation.open_segmentation(spec, split)
    report = SplitReport(split, len(data))
    counts = np.zeros(256, np.int64)
    for index in range(len(data)):
        try:
            image, labels = data.load(index)
        except (DataError, SourceError) as error:
            report.unreadable.append(str(error))
            continue
        report.sizes[f"{image.shape[1]}×{image.shape[0]}"] += 1
        counts += np.bincount(labels.ravel(), minlength=256)
        if on_picture is not None:
            on_picture(index + 1, len(data))
    names = data.taxonomy.names
    report.classes = {name: int(counts[i]) for i, name in enumerate(names)}
    report.void = int(counts[len(names) :].sum())
    return report


def _boxes(spec: str, split: str, on_picture: OnPicture | None) -> SplitReport:
    data = detection.open_detection(spec, split)
    report = SplitReport(split, len(data), classes=dict.fromkeys(data.taxonomy.names, 0))
    for index, sample in enumerate(data.samples):
        try:
            image = read_picture(sample.picture)
        except SourceError as error:
            report.unreadable.append(str(error))
            continue
        report.sizes[f"{image.shape[1]}×{image.shape[0]}"] += 1
        for c in sample.classes:
            report.classes[data.taxonomy.names[int(c)]] += 1
        if on_picture is not None:
            on_picture(index + 1, len(data))
    return report


def _frames(spec: str, split: str, on_picture: OnPicture | None) -> SplitReport:
    data = restoration.open_restoration(spec, split)
    report = SplitReport(split)
    for clip in data.clips:
        reads = clip.windows(1, 1)
        while True:
            try:
                read = next(reads, None)
                if read is None:
                    break
                (image,) = read()
            except DataError as error:
                report.unreadable.append(str(error))
                continue
            report.pictures += 1
            report.sizes[f"{image.shape[1]}×{image.shape[0]}"] += 1
            if on_picture is not None:
                on_picture(report.pictures, None)
    return report


def _files(spec: str, split: str, on_picture: OnPicture | None) -> SplitReport:
    data = classification.open_classification(spec, split)
    report = SplitReport(split, len(data), classes=data.counts())
    one = classification.Clip(1)
    for index in range(len(data)):
        try:
            image = next(data.clip(index, one)) if data.has_clips else data.picture(index)
        except DataError as error:
            report.unreadable.append(str(error))
            continue
        report.sizes[f"{image.shape[1]}×{image.shape[0]}"] += 1
        if on_picture is not None:
            on_picture(index + 1, len(data))
    return report


class _Kind(NamedTuple):
    """Formats that are checked alike: the unit of their counts, their splits, the check."""

    formats: tuple[str, ...]
    unit: str
    splits: tuple[str, ...]
    check: Check


_KINDS = (
    _Kind(segmentation.FORMATS, "pixels", segmentation.SPLITS, _pixels),
    _Kind(detection.FORMATS, "boxes", ("train", "val"), _boxes),
    _Kind(classification.FORMATS, "files", ("train", "val", "test"), _files),
    _Kind(restoration.FORMATS, "frames", restoration.SPLITS, _frames),
)
