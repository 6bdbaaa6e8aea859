"""The files of a run that grow with every frame: valid whenever the run ends.

labels/*.png        index pictures, one per frame
overlay.mp4         classes and objects painted over the frames (overlay.mp4.part until the end)
frames.jsonl.part   one line per frame, provisional (see `scene.frame_lines`)
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litescene.core import Detections, Frame, Image, SegmentationMap
from litescene.media import (
    VideoWriter,
    blend_labels,
    draw_detections,
    draw_status,
    write_png_labels,
)
from litescene.media.json_lines import JsonLines
from litescene.media.result_folder import LABELS, OVERLAY
from litescene.scene.moments import Moments
from litescene.scene.odometry import TrackResult
from litescene.scene.out_folder import FRAMES_PART

_ALPHA = 0.45


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn and written of one frame."""

    frame: Frame
    name: str
    labels: SegmentationMap
    detections: Detections | None
    tracked: TrackResult


class FrameFiles:
    """Writes labels, overlay and provisional lines of frame after frame, and keeps moments.

    `frames` counts those that are written whole; `milliseconds` sums the time of all.
    """

    def __init__(self, out: Path, width: int, height: int) -> None:
        self.out = out
        self.moments = Moments()
        self.frames = 0
        self.milliseconds = 0.0
        self._lines = JsonLines(out / FRAMES_PART)
        try:
            self._video = VideoWriter(out / OVERLAY, width, height)
        except BaseException:
            self._lines.close()
            raise

    def write(self, shown: Shown) -> None:
        """Write one frame; frames come in order."""
        began = time.perf_counter()
        frame = shown.frame
        # The line comes first: it is how a later run knows the label picture for a run's.
        self._lines.add(_record(shown))
        write_png_labels(self.out / LABELS / f"{shown.name}.png", shown.labels.labels)
        picture = paint(shown)
        self._video.write(picture, frame.time)
        self.moments.show(frame.time, picture)
        self.frames += 1
        self.milliseconds += (time.perf_counter() - began) * 1e3

    def close(self) -> None:
        """Finish the video and the lines; the first error is raised when both are done."""
        with ExitStack() as stack:
            stack.callback(self._lines.close)
            stack.callback(self._video.close)


def paint(shown: Shown) -> Image:
    """The overlay of one frame."""
    labels = shown.labels
    picture = blend_labels(shown.frame.image, labels.labels, labels.taxonomy.palette, _ALPHA)
    if shown.detections is not None and len(shown.detections):
        picture = draw_detections(picture, shown.detections)
    return draw_status(picture, f"{shown.frame.time:.2f} s  {shown.tracked.state}")


def _record(shown: Shown) -> dict[str, Any]:
    tracked = shown.tracked
    pose = tracked.pose
    return {
        "frame": shown.frame.index,
        "time": round(shown.frame.time, 6),
        "name": shown.name,
        "state": tracked.state,
        "segment": None if pose is None else tracked.segment,
        "T_world_camera": None if pose is None else pose.round(9).tolist(),
        "objects": None if shown.detections is None else shown.detections.to_dict(),
    }
