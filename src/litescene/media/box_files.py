"""Boxes of many frames in the file formats of others: COCO and MOT.

COCO: one JSON file with `images`, `categories` and `annotations` (boxes x, y, width, height in
pixels, `score`, and `track_id` where an object has its id); categories count from 1, images are the
frames by their index, `file_name` is `Frame.name` or the index with six digits. MOT
(motchallenge.net): a line per box, `frame, id, left, top, width, height, score, -1, -1, -1`; frames
and ids count from 1. Where nothing is tracked every id is -1, as in MOT's files of detections;
where objects are, boxes without an id are left out, as evaluators take an id once in a frame.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from litescene.core import Detections, Frame
from litescene.media.atomic import write_atomic
from litescene.media.text_lines import TextLines


class BoxFile(Protocol):
    """Takes the boxes of one frame after another."""

    def add(self, frame: Frame, found: Detections) -> None:
        """Keep the boxes of a frame."""
        ...

    def close(self) -> None:
        """Finish the file; safe to call twice."""
        ...


class CocoFile:
    """Boxes as a COCO file, written whole when it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._categories: list[dict[str, Any]] = []
        self._closed = False

    def add(self, frame: Frame, found: Detections) -> None:
        """Keep the boxes of a frame."""
        height, width = frame.image.shape[:2]
        image = {
            "id": frame.index,
            "file_name": frame.name or f"{frame.index:06d}",
            "width": width,
            "height": height,
            "time": round(frame.time, 6),
        }
        self._images.append(image)
        names = found.taxonomy.names
        self._categories = [{"id": i, "name": name} for i, name in enumerate(names, 1)]
        ids = np.full(len(found), -1) if found.ids is None else found.ids
        for box, score, kind, track in zip(
            found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), ids.tolist(),
            strict=True,
        ):  # fmt: skip
            left, top, right, bottom = (round(v, 2) for v in box)
            wide, high = round(right - left, 2), round(bottom - top, 2)
            annotation = {
                "id": len(self._annotations) + 1,
                "image_id": frame.index,
                "category_id": kind + 1,
                "bbox": [left, top, wide, high],
                "area": round(wide * high, 2),
                "iscrowd": 0,
                "score": round(score, 4),
            }
            self._annotations.append(annotation | ({"track_id": track} if track >= 0 else {}))

    def close(self) -> None:
        """Write the file; safe to call twice."""
        if not self._closed:
            whole = {
                "images": self._images,
                "categories": self._categories,
                "annotations": self._annotations,
            }
            write_atomic(self._path, json.dumps(whole) + "\n")
        self._closed = True


class MotFile(TextLines):
    """Boxes as lines of MOT, each at once."""

    def add(self, frame: Frame, found: Detections) -> None:
        """Write the lines of a frame; of tracked objects those that have their id."""
        ids = np.full(len(found), -1) if found.ids is None else found.ids
        for box, score, track in zip(
            found.boxes.tolist(), found.scores.tolist(), ids.tolist(), strict=True
        ):
            if found.ids is not None and track < 0:
                continue
            left, top, right, bottom = box
            identity = track + 1 if track >= 0 else -1
            numbers = f"{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},{score:.4f}"
            self.write(f"{frame.index + 1},{identity},{numbers},-1,-1,-1")
