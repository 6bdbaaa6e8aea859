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
        self.milliseconds = {"segmentation": 0.0}
        if detector is not None:
            self.milliseconds["detection"] = 0.0

    def over(self, frames: Iterable[Frame]) -> Iterator[Perceived]:
        """Perceive frame after frame."""
        for frame in frames:
            began = time.perf_counter()
            labels = self.segmenter(frame.image)
            middle = time.perf_counter()
            self.milliseconds["segmentation"] += (middle - began) * 1e3
            detections = None
            if self.detector is not None:
                detections = self.detector(frame.image)
                self.milliseconds["detection"] += (time.perf_counter() - middle) * 1e3
            yield Perceived(frame, labels, detections)
