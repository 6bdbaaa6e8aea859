"""Data sets of boxes, opened by `FORMAT:PATH`.

| format | layout |
|---|---|
| coco | COCO JSON in `annotations/`, pictures in `images/` |
| yolo | `images/` and `labels/`, optional `data.yaml`, or the paths in that |
| voc | Pascal VOC XML |
| boxcsv | `boxes.csv` and `images/` |
| penn | Penn-Fudan: `Annotation/` and `PNGImages/` |
| camvid-boxes | boxes made from CamVid's index labels |

Splits are `all`, `train`, `val` and `test`. Where a set has no splits of its own, the list
`splits/<folder>_val.txt` of this package fixes them: by time for frames of one drive, by a seeded
hash of the file name otherwise. Where there is no such list either, the names of the pictures say
what is train and what is val, as those of pictures in folders of classes do (`named_split`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from litescene.core import DataError, Taxonomy
from litescene.core.errors import AbsentSplitError
from litescene.data.detection_camvid import read_camvid_boxes
from litescene.data.detection_classes import map_to_taxonomy, own_taxonomy
from litescene.data.detection_coco import read_coco
from litescene.data.detection_records import Annotations, DetectionSample, Flaws
from litescene.data.detection_text import read_box_csv, read_penn
from litescene.data.detection_voc import read_voc
from litescene.data.detection_yolo import has_yolo_split, read_yolo
from litescene.data.location import split_spec
from litescene.data.splitting import named_split

_READERS: dict[str, Callable[[Path, str, Flaws], Annotations]] = {
    "coco": read_coco,
    "yolo": read_yolo,
    "voc": read_voc,
    "boxcsv": read_box_csv,
    "penn": read_penn,
    "camvid-boxes": read_camvid_boxes,
}
FORMATS = tuple(_READERS)
SPLITS = ("all", "train", "val", "test")
FIRST = 3
"""As many flaws are named where a whole set cannot be used."""


@dataclass(frozen=True, slots=True)
class DetectionData:
    """The pictures of one split of one source, in the words of `taxonomy`."""

    name: str
    samples: tuple[DetectionSample, ...]
    taxonomy: Taxonomy

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def known(self) -> frozenset[int]:
        """Classes that this source annotates."""
        return self.samples[0].known


def open_detection(
    spec: str, split: str, taxonomy: Taxonomy | None = None, flaws: Flaws = None
) -> DetectionData:
    """Open `FORMAT:PATH`, e.g. `open_detection("voc:road_signs", "val", STREET_OBJECTS)`.

    Without a taxonomy the set's own classes are used. What is wrong with single pictures and boxes
    is noted in `flaws`, if there are any, and left out; else it is a `DataError`, as are unknown
    formats and splits, and empty splits.
    """
    name, root = split_spec(spec, FORMATS)
    if split not in SPLITS:
        raise DataError(f"there is no split '{split}'; expected one of {', '.join(SPLITS)}")
    annotations = _fixed_split(_READERS[name](root, split, flaws), name, root, split)
    if not annotations.pictures:
        raise DataError(f"{root}: split '{split}' has no pictures in the {name} layout")
    if not annotations.classes:
        found: list[str] = []
        if flaws is None:  # what was left out without a word is why
            _READERS[name](root, split, found)
        count = len(annotations.pictures)
        said = f"{root}: no usable box of any class in the {count} pictures of split '{split}'"
        raise DataError("; ".join([said, *found[:FIRST]]))
    source = _source_of(root.resolve())
    target = taxonomy or own_taxonomy(annotations, source)
    samples = map_to_taxonomy(annotations, target, source)
    return DetectionData(f"{name}:{source}:{split}", tuple(samples), target)


def _source_of(root: Path) -> str:
    """The name of a data set: that of its folder, or of the file that it is in."""
    if root.name == "data.yaml":
        return root.parent.name
    return root.stem if root.is_file() else root.name


def validation_stems(folder: str) -> frozenset[str] | None:
    """File stems of the fixed validation list of a data set, None if there is no list."""
    listed = resources.files("litescene.data").joinpath("splits", f"{folder}_val.txt")
    if not listed.is_file():
        return None
    return frozenset(listed.read_text("utf-8").split())


def _fixed_split(annotations: Annotations, name: str, root: Path, split: str) -> Annotations:
    if split == "all" or _has_own_splits(name, root, split):
        return annotations
    if split == "test":
        raise AbsentSplitError(
            f"{root}: this {name} data has no split 'test'; its splits are all, train, val"
        )
    stems = validation_stems((root.parent if root.is_file() else root.resolve()).name)
    wanted = [p for p in annotations.pictures if _split_of(p.picture, stems) == split]
    if annotations.pictures and not wanted:
        raise AbsentSplitError(
            f"{root}: none of its {len(annotations.pictures)} pictures is in split '{split}' by "
            "its name; add pictures, or say yourself which are train and which are val"
        )
    return replace(annotations, pictures=tuple(wanted))


def _split_of(picture: Path, validation: frozenset[str] | None) -> str:
    """By the list of a known set, else by the hash of the picture's folder and name."""
    if validation is None:
        return named_split(picture.parent.name, picture.name)
    return "val" if picture.stem in validation else "train"


def _has_own_splits(name: str, root: Path, split: str) -> bool:
    if name == "voc":
        return (root / "ImageSets" / "Main" / f"{split}.txt").exists()
    if name == "yolo":
        return has_yolo_split(root, split)
    return name in ("coco", "camvid-boxes")
