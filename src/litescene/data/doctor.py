"""Checks a data set through its reader: every file is opened, nothing is changed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError, Image, SourceError, Taxonomy
from litescene.core.errors import AbsentSplitError
from litescene.data import classification, detection, restoration, segmentation
from litescene.data.detection_records import LEFT_OUT, DetectionSample
from litescene.data.doctor_page import Exhibit, Gallery, boxed, labelled
from litescene.data.location import split_spec
from litescene.data.segmentation_records import SPLITS
from litescene.media.pictures import read_picture
from litescene.metrics.box_matching import box_iou

EDGE = 1.0
"""Pixels by which a box may reach out of its picture: some sets count pixels from 1."""
SAME = 0.95
"""Boxes of one class that overlap more than this are one object, annotated twice."""

LISTED = 10
"""As many flaws are named where a split cannot be used at all."""

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
    without a class; `unreadable` names what failed and why, and boxes outside of their picture;
    `notes` say what can be read and is odd: boxes without area, reaching out of their picture, or
    there twice, pictures that are there twice.
    """

    split: str
    pictures: int = 0
    sizes: Counter[str] = field(default_factory=Counter)
    classes: dict[str, int] = field(default_factory=dict)
    void: int = 0
    unreadable: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return {**self.__dict__, "sizes": dict(self.sizes)}


@dataclass
class DataReport:
    """The splits of a data set that could be opened, and why others could not.

    `absent` are splits that the set does not have, `malformed` those that it has but whose files
    are not what the format says; `leaks` name pictures that are in two splits.
    """

    spec: str
    unit: str
    splits: list[SplitReport] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)
    malformed: dict[str, str] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether there is a split, everything there is could be read, and no split leaks."""
        read = bool(self.splits) and not any(s.unreadable for s in self.splits)
        return read and not self.malformed and not self.leaks

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        splits = [s.to_dict() for s in self.splits]
        return {**self.__dict__, "splits": splits}


def check_data(
    spec: str, on_picture: OnPicture | None = None, gallery: Gallery | None = None
) -> DataReport:
    """Read every picture and annotation of `FORMAT:PATH` in all its splits.

    A `gallery` gets some pictures of each with their annotations drawn in.

    Raises `DataError` for an unknown format or a folder that does not exist; everything that is
    wrong inside is in the report.
    """
    name = spec.partition(":")[0]
    whole = False
    if name in restoration.FORMATS:
        restoration.split_view(spec)
    else:
        _, root = split_spec(spec, FORMATS)
        whole = name == "coco" and root.is_file()  # such a file is every split
    kind = next(kind for kind in _KINDS if name in kind.formats)
    report = DataReport(spec, kind.unit)
    watch = _Watch(on_picture, gallery)
    for split in ("all",) if whole else kind.splits:
        _add(report, kind.check, split, watch)
    if kind.unit == "boxes" and not report.splits and not report.malformed:
        _add(report, kind.check, "all", watch)
    report.leaks = watch.leaks
    return report


class _Watch:
    """Sees every picture of every split: for the progress, the gallery, and to tell leaks."""

    def __init__(self, on_picture: OnPicture | None, gallery: Gallery | None) -> None:
        self._on_picture, self._gallery = on_picture, gallery
        self._seen: dict[bytes, tuple[str, str]] = {}
        self.leaks: list[str] = []
        self.notes: set[str] = set()
        """Of all splits so far: some readers see the whole set for each of them."""

    def picture(self, report: SplitReport, name: str, image: Image) -> None:
        """A picture by its pixels: the same in another split is a leak, in its own it is odd."""
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        if digest not in self._seen:
            self._seen[digest] = (report.split, name)
            return
        other, first = self._seen[digest]
        if other == report.split:
            report.notes.append(f"{name} is the same picture as {first}")
        else:
            self.leaks.append(f"{name} of {report.split} is the same picture as {first} of {other}")

    def done(self, count: int, total: int | None) -> None:
        """So many pictures of a split are read."""
        if self._on_picture is not None:
            self._on_picture(count, total)

    def show(self, split: str, count: int, total: int, shown: Callable[[], Exhibit]) -> None:
        """Give the gallery a picture, if it wants it."""
        if self._gallery is not None and self._gallery.wants(count, total):
            self._gallery.add(split, shown())

    def new(self, said: list[str]) -> list[str]:
        """What no split before said."""
        fresh = [one for one in dict.fromkeys(said) if one not in self.notes]
        self.notes.update(fresh)
        return fresh


Check = Callable[[str, str, _Watch], SplitReport]


def _add(report: DataReport, check: Check, split: str, watch: _Watch) -> None:
    try:
        report.splits.append(check(report.spec, split, watch))
    except AbsentSplitError as error:
        report.absent[split] = str(error)
    except (DataError, SourceError) as error:
        report.malformed[split] = str(error)


def _pixels(spec: str, split: str, watch: _Watch) -> SplitReport:
    data = segmentation.open_segmentation(spec, split, incomplete=True)
    report = SplitReport(split, len(data))
    counts = np.zeros(256, np.int64)
    for index in range(len(data)):
        try:
            image, labels = data.load(index)
        except (DataError, SourceError) as error:
            report.unreadable.append(str(error))
            continue
        name = data.pairs[index][0].name
        report.sizes[f"{image.shape[1]}×{image.shape[0]}"] += 1
        counts += np.bincount(labels.ravel(), minlength=256)
        watch.picture(report, name, image)
        watch.show(split, index, len(data), partial(labelled, name, image, labels, data.taxonomy))
        watch.done(index + 1, len(data))
    names = data.taxonomy.names
    report.classes = {name: int(counts[i]) for i, name in enumerate(names)}
    report.void = int(counts[len(names) :].sum())
    return report


def _boxes(spec: str, split: str, watch: _Watch) -> SplitReport:
    flaws: list[str] = []
    try:
        data = detection.open_detection(spec, split, flaws=flaws)
    except AbsentSplitError:
        raise
    except DataError as error:
        more = [f"and {len(flaws) - LISTED} more"] if len(flaws) > LISTED else []
        raise DataError("; ".join([str(error), *flaws[:LISTED], *more])) from error
    report = SplitReport(split, len(data), classes=dict.fromkeys(data.taxonomy.names, 0))
    # What is left out is odd, what a reader cannot make sense of is wrong.
    report.notes = watch.new([flaw for flaw in flaws if flaw.endswith(LEFT_OUT)])
    report.unreadable = watch.new([flaw for flaw in flaws if not flaw.endswith(LEFT_OUT)])
    for index, sample in enumerate(data.samples):
        try:
            image = read_picture(sample.picture)
        except SourceError as error:
            report.unreadable.append(str(error))
            continue
        report.sizes[f"{image.shape[1]}×{image.shape[0]}"] += 1
        for c in sample.classes:
            report.classes[data.taxonomy.names[int(c)]] += 1
        outside = _boxes_outside(sample, image, data.taxonomy)
        odd = _odd_boxes(sample, image, data.taxonomy)
        report.unreadable += outside
        report.notes += odd
        watch.picture(report, sample.picture.name, image)
        shown = partial(boxed, sample.picture.name, image, sample, data.taxonomy, outside + odd)
        watch.show(split, index, len(data), shown)
        watch.done(index + 1, len(data))
    if not any(report.classes.values()):
        report.notes.append(f"none of the {len(data)} pictures has a box; training needs some")
    return report


def _outside(sample: DetectionSample, image: Image) -> NDArray[np.bool_]:
    """Which boxes have not one pixel in common with their picture, n bool."""
    far = sample.boxes[:, :2] >= np.array(image.shape[1::-1])
    return np.asarray((far | (sample.boxes[:, 2:] <= 0)).any(axis=1))


def _boxes_outside(sample: DetectionSample, image: Image, taxonomy: Taxonomy) -> list[str]:
    """Boxes that lie wholly outside: of another picture, or in other units."""
    height, width = image.shape[:2]
    found = []
    for i in np.flatnonzero(_outside(sample, image)).tolist():
        box = ", ".join(f"{v:g}" for v in sample.boxes[i])
        name = taxonomy.names[int(sample.classes[i])]
        found.append(
            f"{sample.picture}: {name} ({box}) lies outside of the picture, which is "
            f"{width}×{height}"
        )
    return found


def _odd_boxes(sample: DetectionSample, image: Image, taxonomy: Taxonomy) -> list[str]:
    """Boxes that reach out of their picture, and those that are there twice."""
    height, width = image.shape[:2]
    slack = np.array([-EDGE, -EDGE, width + EDGE, height + EDGE])
    outside = ((sample.boxes - slack) * [1, 1, -1, -1] < 0).any(axis=1) & ~_outside(sample, image)
    found = []
    for i in np.flatnonzero(outside).tolist():
        box = ", ".join(f"{v:g}" for v in sample.boxes[i])
        name = taxonomy.names[int(sample.classes[i])]
        found.append(
            f"{sample.picture}: {name} ({box}) reaches out of the picture, which is "
            f"{width}×{height}"
        )
    overlap = box_iou(sample.boxes, sample.boxes)
    same = (overlap > SAME) & (sample.classes[:, None] == sample.classes[None])
    for i, j in np.argwhere(np.triu(same, 1)).tolist():
        name = taxonomy.names[int(sample.classes[i])]
        found.append(f"{sample.picture}: {name} is there twice, boxes {i + 1} and {j + 1}")
    return found


def _frames(spec: str, split: str, watch: _Watch) -> SplitReport:
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
            watch.done(report.pictures, None)
    return report


def _files(spec: str, split: str, watch: _Watch) -> SplitReport:
    data = classification.open_classification(spec, split)
    report = SplitReport(split, len(data), classes=data.counts())
    one = classification.Clip(1)
    for index in range(len(data)):
        try:
            image = next(data.clip(index, one)) if data.has_clips else data.picture(index)
        except DataError as error:
            report.unreadable.append(str(error))
            continue
        name = data.files[index].name
        report.sizes[f"{image.shape[1]}×{image.shape[0]}"] += 1
        watch.picture(report, name, image)
        called = data.taxonomy.names[int(data.labels[index])]
        watch.show(split, index, len(data), partial(Exhibit, name, image, called))
        watch.done(index + 1, len(data))
    return report


class _Kind(NamedTuple):
    """Formats that are checked alike: the unit of their counts, their splits, the check."""

    formats: tuple[str, ...]
    unit: str
    splits: tuple[str, ...]
    check: Check


_KINDS = (
    _Kind(segmentation.FORMATS, "pixels", SPLITS, _pixels),
    _Kind(detection.FORMATS, "boxes", ("train", "val", "test"), _boxes),
    _Kind(classification.FORMATS, "files", ("train", "val", "test"), _files),
    _Kind(restoration.FORMATS, "frames", restoration.SPLITS, _frames),
)
