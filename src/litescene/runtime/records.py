"""Where the results of single frames go: label pictures, lines of objects, overlays."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from litescene.core import Detections, Frame, Image, SegmentationMap
from litescene.media.atomic import output_error, write_atomic
from litescene.media.overlay import blend_labels, draw_detections, draw_legend
from litescene.media.pictures import write_png_labels
from litescene.media.video_writer import VideoWriter


class Records(ABC):
    """Keeps the results of each frame and draws them; a context manager.

    `single` is the stem of a single picture, or empty for a sequence. Whatever ends the work,
    the files written so far are whole.
    """

    files: list[str]

    def __init__(self, folder: Path, single: str) -> None:
        self._folder, self._single = folder, single

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - not every kind holds a file open
        """Finish the files; safe to call twice."""

    @abstractmethod
    def add(self, frame: Frame, result: Any) -> Image:
        """Keep the result of a frame; returns the picture with the result drawn over it."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a summary says about the results so far."""


class LabelRecords(Records):
    """One index PNG per frame, named after the frame's file or its index."""

    def __init__(self, folder: Path, single: str) -> None:
        super().__init__(folder, single)
        self.files = [f"{single}_labels.png" if single else "labels/"]
        self._sums: dict[str, float] = {}
        self._frames = 0

    def add(self, frame: Frame, result: SegmentationMap) -> Image:
        """Write the labels; the overlay mixes class colours in and has a legend."""
        name = frame.name or f"{frame.index:06d}"
        path = self.files[0] if self._single else f"labels/{name}.png"
        write_png_labels(self._folder / path, result.labels)
        for class_name, share in result.shares().items():
            self._sums[class_name] = self._sums.get(class_name, 0.0) + share
        self._frames += 1
        overlay = blend_labels(frame.image, result.labels, result.taxonomy.palette)
        return draw_legend(overlay, result.taxonomy)

    def facts(self) -> dict[str, Any]:
        """Mean share of the picture per class."""
        return {"shares": {n: round(s / self._frames, 6) for n, s in self._sums.items()}}


class BoxRecords(Records):
    """One line of JSON per frame: index, time, name, and the objects."""

    def __init__(self, folder: Path, single: str) -> None:
        super().__init__(folder, single)
        self.files = [f"{single}_detections.jsonl" if single else "detections.jsonl"]
        self._path = folder / self.files[0]
        self._counts: dict[str, int] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Buffered by lines, so that whatever ends the work leaves whole records.
            self._file = open(self._path, "w", buffering=1, encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise output_error(self._path, error) from error

    def add(self, frame: Frame, result: Detections) -> Image:
        """Write a line; the overlay has the boxes."""
        objects = result.to_dict()
        for record in objects:
            del record["id"]  # nothing is tracked here
            self._counts[record["class"]] = self._counts.get(record["class"], 0) + 1
        line = {"frame": frame.index, "time": round(frame.time, 6), "name": frame.name}
        try:
            self._file.write(json.dumps({**line, "objects": objects}) + "\n")
        except OSError as error:
            raise output_error(self._path, error) from error
        return draw_detections(frame.image.copy(), result)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def facts(self) -> dict[str, Any]:
        """Objects found per class, summed over the frames."""
        return {"objects": dict(sorted(self._counts.items()))}


class Overlay:
    """Drawn frames: a PNG for a single picture, else a video; a context manager."""

    def __init__(self, folder: Path, single: str, size: tuple[int, int], rate: float) -> None:
        self.name = f"{single}_overlay.png" if single else "overlay.mp4"
        self._path = folder / self.name
        self._video = None if single else VideoWriter(self._path, *size, rate)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._video is not None:
            self._video.close()

    def add(self, picture: Image, time: float) -> None:
        """Add a picture shown at `time` seconds."""
        if self._video is not None:
            self._video.write(picture, time)
            return
        _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
        write_atomic(self._path, data.tobytes())
