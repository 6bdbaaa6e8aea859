"""Boxes of single cars, pedestrians and cyclists from CamVid's index labels.

CamVid labels pixels, not objects. A connected component counts as one object when it is large
enough, has the shape of one (aspect, share of its box that it fills), and no other component of
its class lies within a few pixels. All other components, rows of parked cars for instance, become
crowd regions: neither objects nor background.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import CAMVID
from litescene.core.errors import AbsentSplitError
from litescene.data.detection_records import (
    Annotated,
    Annotations,
    Flaws,
    Row,
    annotated,
    find_picture,
    read_each,
)
from litescene.media.pictures import read_labels


@dataclass(frozen=True, slots=True)
class _Shape:
    """Limits for one object at 480×360: pixels, height, width/height, filled share of the box."""

    area: int
    height: int
    aspect: tuple[float, float]
    fill: float


# Chosen by eye on pictures of the train split, once; not tuned to any score.
_SHAPES = {
    "car": _Shape(80, 8, (0.6, 2.1), 0.6),
    "pedestrian": _Shape(60, 14, (0.18, 0.65), 0.4),
    "bicyclist": _Shape(80, 14, (0.2, 1.3), 0.4),
}
_GAP = 7
"""Components closer than this many pixels may belong together."""
_SPECK = 20
"""Smaller components are noise of the labelling: no object, no neighbour, no crowd."""


def read_camvid_boxes(root: Path, split: str, flaws: Flaws = None) -> Annotations:
    """Boxes of split `train` or `val` in the CamVid layout (`train/`, `trainannot/`)."""
    folder = root / f"{split}annot"
    if not folder.is_dir():
        raise AbsentSplitError(
            f"{root}: expected a folder {folder.name}; CamVid's splits are train, val"
        )
    read = partial(_picture, pictures=root / split)
    found = [one for _, one in read_each(sorted(folder.glob("*.png")), read, flaws)]
    return Annotations(tuple(found), tuple(_SHAPES))


def _picture(path: Path, pictures: Path) -> Annotated:
    labels = read_labels(path)
    rows = []
    for name, shape in _SHAPES.items():
        boxes, single = single_objects(labels == CAMVID.names.index(name), shape)
        for (x, y, w, h), one in zip(boxes.tolist(), single.tolist(), strict=True):
            rows.append(Row(str(path), name, x, y, x + w, y + h, not one))
    return annotated(find_picture(pictures, path.name, str(path)), rows)


def single_objects(
    mask: NDArray[np.bool_], shape: _Shape
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Components of a mask H×W: boxes n×4 (x, y, w, h), and which of them are single objects."""
    pixels = mask.astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(pixels, connectivity=8)
    _, merged = cv2.connectedComponents(cv2.dilate(pixels, np.ones((_GAP, _GAP), np.uint8)))
    group = np.zeros(len(stats), np.int64)
    group[labels[mask]] = merged[mask]
    real = stats[:, cv2.CC_STAT_AREA] >= _SPECK
    real[0] = False
    stats, group = stats[real], group[real]
    height, area = stats[:, cv2.CC_STAT_HEIGHT], stats[:, cv2.CC_STAT_AREA]
    aspect = stats[:, 2] / np.maximum(height, 1)
    alone = np.bincount(group, minlength=1)[group] == 1
    single = (
        (area >= shape.area)
        & (height >= shape.height)
        & (aspect >= shape.aspect[0])
        & (aspect <= shape.aspect[1])
        & (area >= shape.fill * stats[:, 2] * height)
        & alone
    )
    return stats[:, :4].astype(np.int32), single
