"""Segmentation and detection of frames, ahead of the odometry in a thread of their own."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from litescene.core import Detections, Frame, SegmentationMap
from litescene.runtime import Detector, Segmenter


@dataclass(frozen=True, slots=True)
class Perceived:
    """A frame with its classes and, if asked for, its objects."""

    frame: Frame
    labels: SegmentationMap
    detections: Detections | None


class Perception:
    """Runs the networks; `milliseconds` sums their time."""

    def __init__(self, segmenter: Segmenter, detector: Detector | None) -> None:
        self.segmenter, self.detector = segmenter, detector
        self.milliseconds = {"segmentation": 0.0, "detection": 0.0}

    def over(self, frames: Iterable[Frame]) -> Iterator[Perceived]:
        """Perceive frame after frame."""
        for frame in frames:
            began = time.perf_counter()
            labels = self.segmenter(frame.image)
            middle = time.perf_counter()
            detections = self.detector(frame.image) if self.detector is not None else None
            self.milliseconds["segmentation"] += (middle - began) * 1e3
            self.milliseconds["detection"] += (time.perf_counter() - middle) * 1e3
            yield Perceived(frame, labels, detections)
