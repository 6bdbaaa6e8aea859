"""The files of a run: written while it goes on, valid whenever it ends.

labels/*.png      index pictures, one per frame
overlay.mp4       classes and objects painted over the frames
frames.jsonl      one line per frame: time, pose, tracking state, objects
trajectory.txt    TUM; further segments of a run that lost its way in trajectory_1.txt, ...
map.ply, map/     the labelled map, and the COLMAP text model
summary.json      versions, settings, milliseconds per stage, counts
report.html       a page for people
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from litescene.core import Detections, Frame, Image, OutputError, SegmentationMap
from litescene.media import (
    VideoWriter,
    blend_labels,
    draw_detections,
    draw_status,
    write_atomic,
    write_png_labels,
)
from litescene.scene.report import Moment

MOMENTS = 6
_ALPHA = 0.45


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn and written of one frame."""

    frame: Frame
    name: str
    labels: SegmentationMap
    detections: Detections | None
    state: str


def frame_name(frame: Frame) -> str:
    """Name of a frame's files without suffix: its own, else its number."""
    return Path(frame.name).stem if frame.name else f"{frame.index:06d}"


class InOrder:
    """Runs functions one after another in a thread; a bounded number waits.

    An error of one of them is raised by the next `submit` or by `close`.
    """

    def __init__(self, name: str, capacity: int = 4) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"litescene-{name}")
        self._waiting: deque[Future[Any]] = deque()
        self._capacity = capacity

    def submit(self, work: Callable[[], Any]) -> None:
        """Queue `work`; waits while `capacity` others are queued."""
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= self._capacity):
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(work))

    def close(self) -> None:
        """Finish what is queued and raise its first error."""
        self._pool.shutdown(wait=True)
        waiting, self._waiting = list(self._waiting), deque()
        for future in waiting:
            future.result()


class FrameFiles:
    """Writes labels, overlay and the provisional frame lines, and keeps a few moments."""

    def __init__(self, out: Path, width: int, height: int, expected: int | None) -> None:
        self.out = out
        try:
            (out / "labels").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {out}: {error.strerror}") from error
        self._size = (width, height)
        self._video: VideoWriter | None = None
        self._stride = max((expected or 600) // MOMENTS, 1)
        self.moments: list[Moment] = []
        self._lock = threading.Lock()
        self.milliseconds = 0.0

    def write(self, shown: Shown) -> None:
        """Write one frame; frames come in order."""
        began = cv2.getTickCount()
        frame = shown.frame
        write_png_labels(self.out / "labels" / f"{shown.name}.png", shown.labels.labels)
        picture = paint(shown)
        if self._video is None:
            self._video = VideoWriter(self.out / "overlay.mp4", *self._size)
        self._video.write(picture, frame.time)
        if frame.index % self._stride == self._stride // 2:
            self._keep(Moment(frame.time, picture))
        self.milliseconds += (cv2.getTickCount() - began) / cv2.getTickFrequency() * 1e3

    def _keep(self, moment: Moment) -> None:
        # A live source has no known length: thin out, so that memory stays flat.
        self.moments.append(moment)
        if len(self.moments) >= 2 * MOMENTS:
            self.moments = self.moments[::2]
            self._stride *= 2

    def close(self) -> None:
        """Finish the video."""
        if self._video is not None:
            self._video.close()
            self._video = None


def paint(shown: Shown) -> Image:
    """The overlay of one frame."""
    labels = shown.labels
    picture = blend_labels(shown.frame.image, labels.labels, labels.taxonomy.palette, _ALPHA)
    if shown.detections is not None and len(shown.detections):
        picture = draw_detections(picture, shown.detections)
    return draw_status(picture, f"{shown.frame.time:.2f} s  {shown.state}")


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """JSON lines, atomically."""
    write_atomic(path, "".join(json.dumps(record) + "\n" for record in records))


def write_json(path: Path, plain: Mapping[str, Any]) -> None:
    """Indented JSON, atomically."""
    write_atomic(path, json.dumps(plain, indent=2, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON")
