"""Classes with their names and colours, and the taxonomies that the project ships."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IGNORE = 255
"""Label of pixels without a class, everywhere inside."""

VOID = "void"
"""Name of the class of everything else, which some published networks predict."""


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """An ordered list of classes; label `i` is `names[i]` drawn in `colors[i]` (RGB, 0..255)."""

    name: str
    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colors):
            raise ValueError(
                f"taxonomy '{self.name}': {len(self.names)} names but {len(self.colors)} colours"
            )
        outside = [v for color in self.colors for v in color if not 0 <= v <= 255]
        if outside:
            raise ValueError(
                f"taxonomy '{self.name}': colours are red, green and blue of 0 to 255, not "
                f"{outside[0]}"
            )
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"taxonomy '{self.name}': class names repeat")
        if not self.names:
            raise ValueError(f"taxonomy '{self.name}' has no class")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def palette(self) -> NDArray[np.uint8]:
        """Colours as a 256×3 uint8 table (n×3 of more classes); others are black."""
        table = np.zeros((max(256, len(self)), 3), np.uint8)
        table[: len(self.names)] = np.asarray(self.colors, np.uint8)
        return table

    def indices(self, names: Iterable[str]) -> tuple[int, ...]:
        """Indices of those of `names` that this taxonomy has, ascending."""
        wanted = set(names)
        return tuple(i for i, name in enumerate(self.names) if name in wanted)

    def labels_in(self, other: Taxonomy) -> NDArray[np.uint8] | None:
        """Table of 256 from labels of this taxonomy to those of `other`; None if they do not fit.

        They fit where both have the same names in the same order; a class `VOID` of this one that
        the other has not becomes `IGNORE`.
        """
        kept = [i for i, name in enumerate(self.names) if name != VOID or name in other.names]
        if tuple(self.names[i] for i in kept) != other.names:
            return None
        table = np.full(256, IGNORE, np.uint8)
        table[kept] = np.arange(len(kept))
        return table

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, read back by `from_dict`."""
        return {
            "name": self.name,
            "names": list(self.names),
            "colors": [list(c) for c in self.colors],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Taxonomy:
        """Inverse of `to_dict`."""
        colors = tuple((int(r), int(g), int(b)) for r, g, b in plain["colors"])
        return cls(str(plain["name"]), tuple(map(str, plain["names"])), colors)


PLANES = Taxonomy("rgb", ("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
"""The planes of a picture: what a network gives that makes pictures instead of classes."""


def distinct_colors(count: int) -> tuple[tuple[int, int, int], ...]:
    """`count` well separated RGB colours: golden-angle hues at two brightnesses."""
    colors = []
    for i in range(count):
        hue = (i * 0.618033988749895) % 1.0 * 6.0
        value = 255 if i % 2 == 0 else 190
        low = int(value * 0.25)
        rising = int(low + (value - low) * (hue % 1.0))
        falling = int(low + (value - low) * (1.0 - hue % 1.0))
        colors.append(
            [
                (value, rising, low),
                (falling, value, low),
                (low, value, rising),
                (low, falling, value),
                (rising, low, value),
                (value, low, falling),
            ][int(hue) % 6]
        )
    return tuple(colors)


CAMVID = Taxonomy(
    "camvid11",
    (
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign_symbol",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    (
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
)
"""CamVid's 11 classes in the order of the usual 480×360 copy; void is ignored."""

CITYSCAPES = Taxonomy(
    "cityscapes19",
    (
        "road",
        "sidewalk",
        "building",
        "wall",
        "fence",
        "pole",
        "traffic light",
        "traffic sign",
        "vegetation",
        "terrain",
        "sky",
        "person",
        "rider",
        "car",
        "truck",
        "bus",
        "train",
        "motorcycle",
        "bicycle",
    ),
    (
        (128, 64, 128),
        (244, 35, 232),
        (70, 70, 70),
        (102, 102, 156),
        (190, 153, 153),
        (153, 153, 153),
        (250, 170, 30),
        (220, 220, 0),
        (107, 142, 35),
        (152, 251, 152),
        (70, 130, 180),
        (220, 20, 60),
        (255, 0, 0),
        (0, 0, 142),
        (0, 0, 70),
        (0, 60, 100),
        (0, 80, 100),
        (0, 0, 230),
        (119, 11, 32),
    ),
)
"""Cityscapes' 19 evaluation classes (trainIds)."""

STREET_OBJECTS = Taxonomy(
    "street8",
    (
        "person",
        "bicycle",
        "car",
        "truck_bus",
        "traffic_light",
        "stop_sign",
        "speed_limit",
        "crosswalk",
    ),
    (
        (220, 20, 60),
        (0, 200, 220),
        (30, 110, 255),
        (120, 60, 230),
        (255, 170, 0),
        (230, 0, 120),
        (255, 230, 0),
        (60, 220, 90),
    ),
)
"""Objects of the street mix that the shipped detectors know."""

MOVERS = frozenset(
    {
        "car",
        "pedestrian",
        "bicyclist",
        "person",
        "rider",
        "truck",
        "bus",
        "train",
        "motorcycle",
        "bicycle",
        "truck_bus",
        "cyclist",
    }
)
"""Names of classes whose pixels may move by themselves."""

SKY = frozenset({"sky"})
"""Names of classes that are infinitely far away."""

_COCO = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire "
    "hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, "
    "bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, "
    "snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, "
    "tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, "
    "sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted "
    "plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, "
    "microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, "
    "hair drier, toothbrush"
)
COCO = Taxonomy("coco80", tuple(_COCO.split(", ")), distinct_colors(80))
"""The 80 classes of COCO's detection data, in the order of their numbers there."""
