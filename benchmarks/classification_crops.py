"""Builds a data set for classification from what is annotated with boxes: crops of single objects.

    python benchmarks/classification_crops.py classification_crops
    litescene doctor --data imagefolder:classification_crops

Sources are the detection sets `road_signs`, `road_cars`, `penn_pedestrians`, `coco128`,
`blood_cells` and `camvid` below LITESCENE_DATA, and drives through the built-in street, rendered
for it. Classes keep the names of the street mix where they have one there; COCO's other classes
are one class, `other_thing`. Around each box the square with a fifth of margin is cut out, repeated
at the picture's border, and resized.

No picture has crops on both sides of the split: road signs, pedestrians and COCO are split by
picture, the blood cells as published, the frames of one drive (road cars, CamVid) by time, the
street by town. Of one class of one source at most so many crops are taken, by a hash of their
names. The folder is for measuring only; the terms of the sources hold for it too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.cli.table import format_table
from litescene.core import STREET_OBJECTS, Image, LitesceneError
from litescene.core.provenance import provenance
from litescene.data.detection import open_detection
from litescene.data.detection_classes import STREET_NAMES
from litescene.data.splitting import named_split
from litescene.media import read_picture, write_atomic
from litescene.media.fitting import resize
from litescene.media.pictures import encode_png

DETECTION = {
    "road_signs": "voc:road_signs",
    "road_cars": "boxcsv:road_cars",
    "penn": "penn:penn_pedestrians",
    "coco": "coco:coco128",
    "blood_cells": "voc:blood_cells",
    "camvid": "camvid-boxes:camvid",
}
OTHER = "other_thing"
STREET_SEEDS = {"train": range(300, 310), "val": range(400, 404)}
"""Towns of the built-in street; no recipe that ships trains on these."""
SPLITS = ("train", "val")
MARGIN = 1.2
SMALLEST_BOX = 16
"""Pixels; objects whose longer side is less are left out."""
MOST = {"train": 250, "val": 80}
"""Crops of one class of one source."""
FEWEST = {"train": 40, "val": 10}
"""A class with less is left out."""
VISIBLE = 0.7
"""Least visible share of an object of the street, and most of it that the border may cut off."""


@dataclass(frozen=True)
class Box:
    """One object: where it is found, its class, its name and its box in pixels x1, y1, x2, y2."""

    source: str
    split: str
    kind: str
    name: str
    picture: Path | Image
    box: tuple[float, float, float, float]

    @property
    def place(self) -> str:
        """Sorts the boxes of a class in an order that has nothing to do with their content."""
        return hashlib.sha256(f"{self.source}/{self.name}".encode()).hexdigest()


def kind_of(source: str, name: str) -> str:
    """The class of an object by its data set and the name it has there."""
    plain = "person" if name == "pedestrian" else STREET_NAMES.get(name, name)
    return OTHER if source == "coco" and plain not in STREET_OBJECTS.names else plain.lower()


def annotated(source: str) -> Iterator[Box]:
    """The objects of a detection set with its own classes, crowds left out."""
    # COCO's copy has one file for all; its pictures are told apart by their names.
    named = source == "coco"
    for split in ("all",) if named else SPLITS:
        data = open_detection(DETECTION[source], split)
        for sample in data.samples:
            own = named_split(source, sample.picture.name) if named else split
            for index in np.flatnonzero(~sample.crowd).tolist():
                x1, y1, x2, y2 = sample.boxes[index].tolist()
                kind = kind_of(source, data.taxonomy.names[int(sample.classes[index])])
                name = f"{sample.picture.stem}_{index}"
                yield Box(source, own, kind, name, sample.picture, (x1, y1, x2, y2))


def rendered(seconds: float) -> Iterator[Box]:
    """The objects of the street's drives, a frame a second, that are hardly hidden or cut off."""
    from litescene.synth import Street

    for split, seeds in STREET_SEEDS.items():
        for seed in seeds:
            for frame in Street(seed, seconds=seconds, rate=1.0).frames():
                found = frame.objects
                clear = (found.visible >= VISIBLE) & (found.truncated <= 1 - VISIBLE)
                for index in np.flatnonzero(clear).tolist():
                    x1, y1, x2, y2 = found.boxes[index].tolist()
                    kind = STREET_OBJECTS.names[int(found.classes[index])]
                    name = f"{seed}_{frame.index:04d}_{index}"
                    yield Box("street", split, kind, name, frame.image, (x1, y1, x2, y2))


def chosen(boxes: Sequence[Box]) -> list[Box]:
    """Those that are large enough, at most `MOST` of each class and source; small classes go."""
    groups: dict[tuple[str, str, str], list[Box]] = defaultdict(list)
    for box in boxes:
        x1, y1, x2, y2 = box.box
        if max(x2 - x1, y2 - y1) >= SMALLEST_BOX:
            groups[box.kind, box.source, box.split].append(box)
    kept = [
        box
        for (_, _, split), group in groups.items()
        for box in sorted(group, key=lambda one: one.place)[: MOST[split]]
    ]
    counts = counted(kept)
    fit = {k for k, by in counts.items() if all(sum(by[s].values()) >= FEWEST[s] for s in SPLITS)}
    return [box for box in kept if box.kind in fit]


def counted(boxes: Sequence[Box]) -> dict[str, dict[str, dict[str, int]]]:
    """Crops by class, split and source."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for box in boxes:
        by_split = found.setdefault(box.kind, {split: {} for split in SPLITS})
        here = by_split[box.split]
        here[box.source] = here.get(box.source, 0) + 1
    return {kind: found[kind] for kind in sorted(found)}


def crop(image: Image, box: tuple[float, float, float, float], side: int) -> NDArray[np.uint8]:
    """The square around a box, side×side; outside of the picture its border is repeated."""
    x1, y1, x2, y2 = box
    half = MARGIN * max(x2 - x1, y2 - y1) / 2
    left, top = round((x1 + x2) / 2 - half), round((y1 + y2) / 2 - half)
    length = max(round(2 * half), 1)
    height, width = image.shape[:2]
    rows = np.clip(np.arange(top, top + length), 0, height - 1)
    columns = np.clip(np.arange(left, left + length), 0, width - 1)
    return resize(np.ascontiguousarray(image[rows[:, None], columns]), (side, side))


def build(out: Path, boxes: Sequence[Box], side: int) -> dict[str, Any]:
    """Write the crops as `out/SPLIT/CLASS/SOURCE_NAME.png`; returns what the set holds."""
    digest = hashlib.sha256()
    for box in sorted(boxes, key=lambda one: (one.split, one.kind, one.source, one.name)):
        image = read_picture(box.picture) if isinstance(box.picture, Path) else box.picture
        part = crop(image, box.box, side)
        path = out / box.split / box.kind / f"{box.source}_{box.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, encode_png(part), sync=False)
        digest.update(str(path.relative_to(out)).encode() + part.tobytes())
    return {
        "side": side,
        "crops": {split: sum(box.split == split for box in boxes) for split in SPLITS},
        "classes": counted(boxes),
        "digest": digest.hexdigest(),
        "machine": provenance(),
    }


def show(contents: dict[str, Any]) -> None:
    """What the set holds, as a table: crops of each class and where they come from."""
    rows = []
    for kind, by_split in contents["classes"].items():
        said = [", ".join(f"{s} {n}" for s, n in sorted(by_split[p].items())) for p in SPLITS]
        counts = [str(sum(by_split[p].values())) for p in SPLITS]
        rows.append([kind, *counts, *said])
    print(format_table(["class", "train", "val", "sources of train", "sources of val"], rows))
    total = ", ".join(f"{count} in {split}" for split, count in contents["crops"].items())
    print(f"{len(rows)} classes, {total}, {contents['side']}×{contents['side']} pixels")
    print(f"SHA-256 of names and pixels {contents['digest']}")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("--side", type=int, default=64, help="pixels of a crop")
    parser.add_argument("--without", action="append", default=[], choices=(*DETECTION, "street"))
    parser.add_argument("--street-seconds", type=float, default=30.0, help="of each drive")
    given = parser.parse_args(words)
    if given.out.exists():
        parser.exit(2, f"{given.out} is there already; remove it or name another folder\n")
    unfinished = given.out.with_name(f"{given.out.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        boxes = [b for s in DETECTION if s not in given.without for b in annotated(s)]
        if "street" not in given.without:
            boxes += rendered(given.street_seconds)
        contents = build(unfinished, chosen(boxes), given.side)
        write_atomic(unfinished / "contents.json", json.dumps(contents, indent=1) + "\n")
    except LitesceneError as error:
        parser.exit(error.exit_code, f"{error}\n")
    unfinished.rename(given.out)
    show(contents)


if __name__ == "__main__":
    main()
