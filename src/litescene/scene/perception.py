"""Segmentation and detection of frames, ahead of the odometry in threads of their own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from litescene.core import Detections, Frame, SegmentationMap
from litescene.runtime import Detector, Segmenter, default_threads
from litescene.runtime.detection import stated_score
from litescene.runtime.predictor import open_bundle
from litescene.scene.objects import LOW_SCORE


@dataclass(frozen=True, slots=True)
class Perceived:
    """A frame with its classes and, if asked for, its objects."""

    frame: Frame
    labels: SegmentationMap
    detections: Detections | None


WORKERS = 2
"""Frames segmented at the same time, where there are so many cores."""


def network_threads() -> int:
    """Cores for one run of a network.

    Two frames at a time with half of the cores each keep all cores busy; one frame with all
    cores makes them wait for each other at every layer.
    """
    return max(default_threads() // WORKERS, 1)


def doubting_detector(bundle: str | Path, engine: str, threads: int) -> Detector:
    """A detector that gives doubtful boxes too, for `ObjectTracker` to judge."""
    found = open_bundle(bundle, "detection")
    score = min(LOW_SCORE, stated_score(found.contract))
    return Detector(found, engine, threads, score=score)


class Perception:
    """Runs the networks on several frames side by side; `milliseconds` sums their time."""

    def __init__(self, segmenter: Segmenter, detector: Detector | None) -> None:
        self.segmenter, self.detector = segmenter, detector
        self.milliseconds = {"segmentation": 0.0}
        if detector is not None:
            self.milliseconds["detection"] = 0.0
        self._lock = threading.Lock()

    def over(self, frames: Iterable[Frame]) -> Iterator[Perceived]:
        """Perceive frame after frame, in order."""
        iterator = iter(frames)
        first = next(iterator, None)
        if first is None:
            return
        # The first frame also chooses the engines, which the others then share.
        yield Perceived(first, self._segment(self.segmenter, first), self._detect(first))
        segmenters = [self.segmenter]
        while len(segmenters) < min(WORKERS, default_threads()):
            segmenters.append(self.segmenter.another())
        with ExitStack() as stack:
            pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in segmenters]
            beside = stack.enter_context(ThreadPoolExecutor(1))
            ahead: deque[tuple[Frame, Future[SegmentationMap], Future[Detections | None]]] = deque()
            broken: list[Exception] = []
            for frame, pool, segmenter in zip(
                _until_broken(iterator, broken), cycle(pools), cycle(segmenters)
            ):
                labels = pool.submit(self._segment, segmenter, frame)
                ahead.append((frame, labels, beside.submit(self._detect, frame)))
                if len(ahead) == len(segmenters):
                    yield _perceived(*ahead.popleft())
            while ahead:
                yield _perceived(*ahead.popleft())
            if broken:
                raise broken[0]

    def _segment(self, segmenter: Segmenter, frame: Frame) -> SegmentationMap:
        began = time.perf_counter()
        labels = segmenter(frame.image)
        with self._lock:
            self.milliseconds["segmentation"] += (time.perf_counter() - began) * 1e3
        return labels

    def _detect(self, frame: Frame) -> Detections | None:
        if self.detector is None:
            return None
        began = time.perf_counter()
        detections = self.detector(frame.image)
        with self._lock:
            self.milliseconds["detection"] += (time.perf_counter() - began) * 1e3
        return detections


def _until_broken(frames: Iterator[Frame], broken: list[Exception]) -> Iterator[Frame]:
    """The frames; an error of the source goes to `broken`, for after the frames before it."""
    try:
        yield from frames
    except Exception as error:  # whatever it is, `over` raises it after the frames before it
        broken.append(error)


def _perceived(
    frame: Frame, labels: Future[SegmentationMap], detections: Future[Detections | None]
) -> Perceived:
    return Perceived(frame, labels.result(), detections.result())
