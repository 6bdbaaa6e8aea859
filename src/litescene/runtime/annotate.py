"""A predictor over a whole source: labels or objects of every frame, and pictures of them.

A single picture gives `NAME_overlay.png` with `NAME_labels.png` or `NAME_detections.jsonl`;
everything else gives `overlay.mp4`, `labels/` with `labels.jsonl` or `detections.jsonl`, and
`summary.json`, in a folder without results of an earlier job of the kind. Pictures may differ in
size where nothing is tracked: each has its results at its own, and is fitted into the overlay.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import litescene
from litescene.core import Detections, Frame
from litescene.media.atomic import write_atomic
from litescene.media.pictures import PICTURE_SUFFIXES
from litescene.media.result_folder import default_folder, require_no_other_files
from litescene.media.sources import DEFAULT_RATE, Source, open_source
from litescene.runtime.catalog import DEFAULT_DETECTOR, DEFAULT_SEGMENTER
from litescene.runtime.detection import Detector, stated_score
from litescene.runtime.nms import Suppression
from litescene.runtime.predictor import open_bundle
from litescene.runtime.records import BoxRecords, LabelRecords, Overlay, Records
from litescene.runtime.segmentation import Segmenter
from litescene.runtime.stopping import StopSignals
from litescene.runtime.stream import BoundedStream


class Tracker(Protocol):
    """Joins the objects of frames; `scene.ObjectTracker` is one."""

    low: float
    """Score from which detections are of use to it."""

    def update(self, detections: Detections, time: float) -> Detections:
        """Detections of a frame at `time` seconds, with ids."""
        ...


OnFrame = Callable[[int, int | None], None]
"""Called after each frame with the frames done and how many to expect (None: unknown)."""


@dataclass(frozen=True)
class Annotation:
    """What was done: the folder, the names of the files in it, and the summary's content."""

    folder: Path
    files: list[str]
    summary: dict[str, Any]


def segment_source(
    source: str | Path,
    out: str | Path | None = None,
    *,
    model: str | Path = DEFAULT_SEGMENTER,
    engine: str = "auto",
    limit: int | None = None,
    on_frame: OnFrame | None = None,
) -> Annotation:
    """Label every pixel of every frame of `source` (see `media.open_source`).

    Args:
        source: a picture, folder, glob, video, stream or camera.
        out: folder of the results; by default the current one for a single picture, else
            `NAME_segment`.
        model: a shipped name or the file of a bundle.
        engine: `auto` or one of `runtime.ENGINES`.
        limit: end after that many frames.
        on_frame: called after every frame.

    Raises `SourceError`, `BundleError`, `UnknownNameError` or `OutputError`. Whatever ends the
    work, Ctrl-C, SIGTERM and SIGHUP too, the files written so far are whole.
    """
    job = _job("segment", source, out, limit, on_frame)
    segmenter = Segmenter(model, engine)
    return _annotate(job, segmenter, segmenter, LabelRecords, any_size=True)


def detect_source(
    source: str | Path,
    out: str | Path | None = None,
    *,
    model: str | Path = DEFAULT_DETECTOR,
    engine: str = "auto",
    limit: int | None = None,
    on_frame: OnFrame | None = None,
    score: float | None = None,
    iou: float | None = None,
    suppression: Suppression = "class",
    formats: Sequence[str] = (),
    tracking: Callable[[float], Tracker] | None = None,
) -> Annotation:
    """Find the objects of every frame of `source`; everything else as `segment_source`.

    Args:
        source: see `segment_source`; so are `out`, `model`, `engine`, `limit` and `on_frame`.
        out: see there.
        model: see there.
        engine: see there.
        limit: see there.
        on_frame: see there.
        score: least score, 0 to 1, instead of the bundle's.
        iou: overlap from which a box suppresses another, instead of the bundle's.
        suppression: see `Detector`.
        formats: files to write beside `detections.jsonl`: `coco`, `mot`.
        tracking: makes a tracker for objects from a score on, e.g.
            `lambda score: scene.ObjectTracker(high=score)`; without it objects have no ids.
    """
    job = _job("detect", source, out, limit, on_frame)
    bundle = open_bundle(model, "detection")
    least = stated_score(bundle.contract) if score is None else score
    tracker = None if tracking is None else tracking(least)
    detector = Detector(
        bundle, engine, score=least if tracker is None else tracker.low, iou=iou,
        suppression=suppression,
    )  # fmt: skip

    def detect(frame: Frame) -> Detections:
        found = detector(frame)
        return found if tracker is None else tracker.update(found, frame.time)

    tracked = tracker is not None  # by one camera: places of other sizes cannot be compared
    return _annotate(
        job, detector, detect, BoxRecords, any_size=not tracked, formats=formats, tracked=tracked
    )


@dataclass(frozen=True)
class _Job:
    verb: str
    source: str | Path
    out: str | Path | None
    limit: int | None
    on_frame: OnFrame | None

    @property
    def single(self) -> str:
        """Stem of a single picture; empty for everything else."""
        path = Path(self.source)
        return path.stem if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() else ""

    @property
    def folder(self) -> Path:
        if self.out is not None:
            return Path(self.out)
        return Path() if self.single else default_folder(self.source, self.verb)


def _job(
    verb: str,
    source: str | Path,
    out: str | Path | None,
    limit: int | None,
    on_frame: OnFrame | None,
) -> _Job:
    """With `~` as the home folder, which no shell writes out behind `--out=`."""
    place = None if out is None else os.path.expanduser(out)
    return _Job(verb, os.path.expanduser(source), place, limit, on_frame)


@dataclass
class _Clock:
    """Milliseconds per stage, summed over the frames."""

    spent: dict[str, float] = field(default_factory=dict)
    frames: int = 0
    _since: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.spent[stage] = self.spent.get(stage, 0.0) + 1e3 * (now - self._since)
        self._since = now

    def means(self) -> dict[str, float]:
        return {stage: round(ms / max(self.frames, 1), 3) for stage, ms in self.spent.items()}


def _annotate(
    job: _Job,
    predictor: Segmenter | Detector,
    predict: Callable[[Frame], Any],
    kind: type[Records],
    *,
    any_size: bool,
    **options: Any,
) -> Annotation:
    folder, single, clock, complete = job.folder, job.single, _Clock(), False
    with ExitStack() as stack:
        # Opened before, so that Ctrl-C ends the wait for a stream.
        source = stack.enter_context(open_source(job.source, limit=job.limit, any_size=any_size))
        signals = stack.enter_context(StopSignals())
        size, rate = (source.width, source.height), source.rate or DEFAULT_RATE
        if single:
            require_no_other_files(folder, single, kind.kept)
        else:
            stack.enter_context(kind.prepared(folder, Path(job.source)))
        records = stack.enter_context(kind(folder, single, **options))
        overlay = stack.enter_context(Overlay(folder, single, size, rate))
        ahead = 1 if source.live else 3
        frames = stack.enter_context(BoundedStream(source, ahead, live=source.live))
        try:
            for frame in signals.until_stopped(frames):
                clock.lap("read")
                result = predict(frame)
                clock.lap("predict")
                picture = records.add(frame, result)
                clock.lap("results")
                overlay.add(picture, frame.time)
                clock.lap("overlay")
                clock.frames += 1
                if job.on_frame is not None:
                    job.on_frame(clock.frames, source.frame_count)
            if signals.stopped:
                raise KeyboardInterrupt
            complete = True
        finally:
            summary = _summary(job, predictor, source, clock) | records.facts()
            summary |= {"dropped": frames.dropped, "complete": complete}
            if not single:
                write_atomic(folder / "summary.json", json.dumps(summary, indent=2) + "\n")
    files = [*records.files, overlay.name, *([] if single else ["summary.json"])]
    return Annotation(folder, files, summary)


def _summary(
    job: _Job, predictor: Segmenter | Detector, source: Source, clock: _Clock
) -> dict[str, Any]:
    return {
        "litescene": litescene.__version__,
        "verb": job.verb,
        "source": source.name,
        "model": predictor.bundle.name,
        "digest": predictor.bundle.digest,
        "engine": predictor.engine,
        "frames": clock.frames,
        "size": [source.width, source.height],
        "milliseconds_per_frame": clock.means(),
        "skipped": [{"name": s.name, "reason": s.reason} for s in source.skipped],
        "notes": list(source.notes),
    }
