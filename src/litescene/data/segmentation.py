"""Readers of segmentation data sets in their published formats.

| format | layout | labels |
|---|---|---|
| camvid | `train/ val/ test/`, `trainannot/ ...`, equal names | index PNG, 0..10, 11 = void |
| camvid32 | `train/ ...` and `train_labels/ ...` (`NAME_L.png`) | the original 32 RGB colours |
| cityscapes | `leftImg8bit/SPLIT/CITY/*` and `gtFine/SPLIT/CITY/*_labelIds.png` | ids 0..33 |
| masks | classes of one's own, see `segmentation_masks` | index PNG or colours |

Every reader maps its encoding to a `Taxonomy` with 255 as ignore and refuses values it does not
know, naming the file.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litescene.core import CAMVID, CITYSCAPES, IGNORE, DataError, Image, Taxonomy
from litescene.core.errors import AbsentSplitError
from litescene.data.location import split_spec
from litescene.data.memory import available_memory
from litescene.data.segmentation_masks import read_masks
from litescene.data.segmentation_records import (
    SPLITS,
    Color,
    Labels,
    Opened,
    Pair,
    labels_by_color,
    labels_by_value,
    require_labels,
    value_table,
)
from litescene.media.fitting import fit_labelled, network_size
from litescene.media.pictures import read_picture

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm")
FORMATS = ("camvid", "camvid32", "cityscapes", "masks")


@dataclass(frozen=True, slots=True)
class SegmentationData:
    """Pairs of picture and label file of one split, and how labels are read."""

    name: str
    pairs: tuple[tuple[Path, Path], ...]
    taxonomy: Taxonomy
    read: Callable[[Path], Labels]

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the pictures' files."""
        return tuple(picture.name for picture, _ in self.pairs)

    def picture(self, index: int) -> Image:
        """Picture `index`, H×W×3 uint8 RGB."""
        return read_picture(self.pairs[index][0])

    def labels(self, index: int) -> Labels:
        """Labels of picture `index`, H×W uint8, 255 = ignore."""
        require_labels(self.pairs[index])
        return self.read(self.pairs[index][1])

    def load(self, index: int) -> tuple[Image, Labels]:
        """Picture and labels; their sizes must agree."""
        image, labels = self.picture(index), self.labels(index)
        if image.shape[:2] != labels.shape:
            raise DataError(
                f"{self.pairs[index][1]}: labels are {labels.shape[1]}×{labels.shape[0]}, "
                f"the picture is {image.shape[1]}×{image.shape[0]}"
            )
        return image, labels

    def load_all(
        self, size: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """All pictures n×H×W×3 and labels n×H×W.

        With `size` (height, width) they are brought to what `network_size` makes of the first
        picture, by `fit_labelled`; without it all have one size.

        Raises `DataError` where sizes differ within the split, or where it needs more memory than
        is available.
        """
        first = self.load(0)[1].shape
        height, width = first if size is None else network_size((first[0], first[1]), size)
        self._require_memory(height, width)
        images = np.empty((len(self), height, width, 3), np.uint8)
        labels = np.empty((len(self), height, width), np.uint8)

        def fill(index: int) -> None:
            image, marked = self.load(index)
            if size is not None:
                image, marked = fit_labelled(image, marked, (height, width))
            if marked.shape != (height, width):
                raise DataError(
                    f"{self.pairs[index][0]}: {marked.shape[1]}×{marked.shape[0]}, but the split "
                    f"began with {width}×{height}; pictures of one split must have one size, or "
                    "segmentation.size brings them to one"
                )
            images[index], labels[index] = image, marked

        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(fill, range(len(self))):
                pass
        return images, labels

    def _require_memory(self, height: int, width: int) -> None:
        needed, free = len(self) * height * width * 4, available_memory()
        if free is not None and needed > free:
            raise DataError(
                f"{self.name}: {len(self)} pictures of {width}×{height} need {needed:,} bytes of "
                f"memory, {free:,} are available; use fewer pictures, or smaller ones by "
                "segmentation.size"
            )


def open_segmentation(spec: str, split: str, *, incomplete: bool = False) -> SegmentationData:
    """Open `FORMAT:PATH`, e.g. `open_segmentation("camvid:camvid", "val")`.

    A picture without its label file is a `DataError`; of an `incomplete` set only when its labels
    are read.
    """
    name, root = split_spec(spec, FORMATS)
    if split not in SPLITS:
        raise DataError(f"there is no split '{split}'; expected one of {', '.join(SPLITS)}")
    pairs, taxonomy, read = _READERS[name](root, split)
    if not pairs:
        raise DataError(f"{root}: split '{split}' has no pictures in the {name} layout")
    for pair in [] if incomplete else pairs:
        require_labels(pair)
    return SegmentationData(f"{name}:{split}", tuple(pairs), taxonomy, read)


def _pairs(pictures: Path, labels: Path, label_name: Callable[[Path], str]) -> list[Pair]:
    if not pictures.is_dir():
        raise AbsentSplitError(f"{pictures} does not exist; is this split part of your copy?")
    found = sorted(p for p in pictures.iterdir() if p.suffix.lower() in PICTURES)
    return [(p, labels / label_name(p)) for p in found]


def _camvid(root: Path, split: str) -> Opened:
    table = value_table({**{i: i for i in range(len(CAMVID))}, 11: IGNORE, 255: IGNORE})
    pairs = _pairs(root / split, root / f"{split}annot", lambda p: f"{p.stem}.png")
    return Opened(pairs, CAMVID, partial(labels_by_value, table=table))


_CAMVID32: dict[Color, str | None] = {
    (64, 128, 64): None,  # animal
    (192, 0, 128): "building",  # archway
    (0, 128, 192): "bicyclist",
    (0, 128, 64): "building",  # bridge
    (128, 0, 0): "building",
    (64, 0, 128): "car",
    (64, 0, 192): "pedestrian",  # cart, luggage, pram
    (192, 128, 64): "pedestrian",  # child
    (192, 192, 128): "pole",  # column, pole
    (64, 64, 128): "fence",
    (128, 0, 192): "road",  # driving lane marking
    (192, 0, 64): "road",  # non-driving lane marking
    (128, 128, 64): "sign_symbol",  # miscellaneous text
    (192, 0, 192): "bicyclist",  # motorcycle, scooter
    (128, 64, 64): "car",  # other moving
    (64, 192, 128): "pavement",  # parking block
    (64, 64, 0): "pedestrian",
    (128, 64, 128): "road",
    (128, 128, 192): "road",  # road shoulder
    (0, 0, 192): "pavement",  # sidewalk
    (192, 128, 128): "sign_symbol",
    (128, 128, 128): "sky",
    (64, 128, 192): "car",  # van, pickup
    (0, 0, 64): "pole",  # traffic cone
    (0, 64, 64): "sign_symbol",  # traffic light
    (192, 64, 128): "car",  # train
    (128, 128, 0): "tree",
    (192, 128, 192): "car",  # truck, bus
    (64, 0, 64): "building",  # tunnel
    (192, 192, 0): "tree",  # other vegetation
    (0, 0, 0): None,  # void
    (64, 192, 0): "building",  # wall
}


def _camvid32(root: Path, split: str) -> Opened:
    pairs = _pairs(root / split, root / f"{split}_labels", lambda p: f"{p.stem}_L.png")
    labels = {
        color: IGNORE if name is None else CAMVID.names.index(name)
        for color, name in _CAMVID32.items()
    }
    return Opened(pairs, CAMVID, partial(labels_by_color, labels=labels))


_CITYSCAPES_TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9,
    23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


def _cityscapes(root: Path, split: str) -> Opened:
    table = value_table(
        {i: _CITYSCAPES_TRAIN_IDS.get(i, IGNORE) for i in range(34)} | {255: IGNORE}
    )
    pictures, labels = root / "leftImg8bit" / split, root / "gtFine" / split
    if not pictures.is_dir():
        raise AbsentSplitError(f"{pictures} does not exist; is this split part of your copy?")
    pairs: list[Pair] = []
    for city in sorted(p for p in pictures.iterdir() if p.is_dir()):
        pairs += _pairs(
            city,
            labels / city.name,
            lambda p: p.name.replace("_leftImg8bit", "_gtFine_labelIds"),
        )
    return Opened(pairs, CITYSCAPES, partial(labels_by_value, table=table))


_READERS: dict[str, Callable[[Path, str], Opened]] = {
    "camvid": _camvid,
    "camvid32": _camvid32,
    "cityscapes": _cityscapes,
    "masks": read_masks,
}
