"""A restoring network over a whole source: pictures and videos made larger, or smoother.

A single picture becomes a PNG file; everything else becomes a video, MP4. Either has its name when
it is finished.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from litescene.core import Frame, Image
from litescene.core.errors import BundleError, OutputError
from litescene.media.atomic import write_atomic
from litescene.media.pictures import PICTURE_SUFFIXES, encode_png
from litescene.media.sources import DEFAULT_RATE, Skipped, Source, open_source
from litescene.media.video_writer import VideoWriter
from litescene.runtime.bundle import Bundle
from litescene.runtime.restoration import Restorer
from litescene.runtime.stopping import StopSignals
from litescene.runtime.stream import BoundedStream

if TYPE_CHECKING:
    from litescene.runtime.annotate import OnFrame

Shown = tuple[float, Image]
"""A picture and the time at which it is shown."""


@dataclass(frozen=True)
class Restored:
    """What was made: the file, how many pictures and of what size.

    `milliseconds` are those of a picture of the file, from reading to writing.
    """

    file: Path
    frames: int
    width: int
    height: int
    model: str
    engine: str
    milliseconds: float
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True)
class _Job:
    source: str | Path
    out: Path
    restorer: Restorer
    limit: int | None
    on_frame: OnFrame | None

    def report(self, done: int, total: int | None) -> None:
        if self.on_frame is not None:
            self.on_frame(done, total)


def upscale_source(
    source: str | Path,
    out: str | Path,
    model: str | Path | Bundle,
    *,
    engine: str = "auto",
    limit: int | None = None,
    on_frame: OnFrame | None = None,
) -> Restored:
    """Every frame of `source` (see `media.open_source`) made larger by the bundle's factor.

    Args:
        source: a picture, folder, glob, video, stream or camera.
        out: the file to write: .png for a single picture, else .mp4.
        model: the file of a bundle that makes a larger picture of one.
        engine: `auto` or one of `runtime.ENGINES`.
        limit: end after that many frames.
        on_frame: called after every picture that was made.

    Raises `SourceError`, `BundleError`, `UnknownNameError` or `OutputError`. Whatever ends the
    work, Ctrl-C, SIGTERM and SIGHUP too, a video holds the frames so far and is valid.
    """
    job = _job(source, out, Restorer(model, engine), limit, on_frame, pictures=1)
    path = Path(job.source)
    if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file():
        return _one_picture(job)

    def larger(frames: Iterable[Frame]) -> Iterator[Shown]:
        for frame in frames:
            yield frame.time, job.restorer(frame)

    with open_source(source, limit=limit) as opened:
        return _video(job, opened, larger, opened.rate or DEFAULT_RATE, opened.frame_count)


def interpolate_source(
    source: str | Path,
    out: str | Path,
    model: str | Path | Bundle,
    *,
    engine: str = "auto",
    limit: int | None = None,
    on_frame: OnFrame | None = None,
) -> Restored:
    """A frame made between every two of `source`: of n frames 2n - 1, at twice the rate.

    A frame that was made is shown half-way in time; the others are those of the source. Arguments
    and errors are those of `upscale_source`; `limit` counts frames of the source, and the bundle
    is one that makes a picture of two.
    """
    job = _job(source, out, Restorer(model, engine), limit, on_frame, pictures=2)

    def smoother(frames: Iterable[Frame]) -> Iterator[Shown]:
        last: Frame | None = None
        for frame in frames:
            if last is not None:
                yield (last.time + frame.time) / 2, job.restorer(last, frame)
            yield frame.time, frame.image
            last = frame

    with open_source(source, limit=limit) as opened:
        count = None if opened.frame_count is None else 2 * opened.frame_count - 1
        return _video(job, opened, smoother, 2 * (opened.rate or DEFAULT_RATE), count)


def _job(
    source: str | Path,
    out: str | Path,
    restorer: Restorer,
    limit: int | None,
    on_frame: OnFrame | None,
    pictures: int,
) -> _Job:
    """The job, if the bundle is for it and the source is not to be overwritten."""
    takes, out = restorer.contract.pictures, Path(out).expanduser()
    source = os.path.expanduser(source)
    if takes != pictures:
        raise BundleError(
            f"'{restorer.bundle.name}' makes a picture of {takes}, not of {pictures}; upscale "
            "takes bundles of one picture, interpolate those of two"
        )
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise OutputError(f"{out} is the source itself; choose another --out")
    return _Job(source, out, restorer, limit, on_frame)


def _one_picture(job: _Job) -> Restored:
    if job.out.suffix.lower() != ".png":
        raise OutputError(f"a picture is written as .png, not {job.out.name}")
    began = time.perf_counter()
    made = job.restorer(Path(job.source))
    write_atomic(job.out, encode_png(made))
    job.report(1, 1)
    return _restored(job, 1, (made.shape[1], made.shape[0]), began)


def _video(
    job: _Job,
    source: Source,
    make: Callable[[Iterable[Frame]], Iterator[Shown]],
    rate: float,
    count: int | None,
) -> Restored:
    factor, done, began = job.restorer.contract.factor, 0, time.perf_counter()
    size = source.width * factor, source.height * factor
    with ExitStack() as stack:
        signals = stack.enter_context(StopSignals())
        video = stack.enter_context(VideoWriter(job.out, *size, rate))
        frames = stack.enter_context(BoundedStream(source, live=source.live))
        for at, image in make(signals.until_stopped(frames)):
            video.write(image, at)
            done += 1
            job.report(done, count)
        if signals.stopped:
            raise KeyboardInterrupt
    return _restored(job, done, size, began, tuple(source.skipped))


def _restored(
    job: _Job, frames: int, size: tuple[int, int], began: float, skipped: tuple[Skipped, ...] = ()
) -> Restored:
    spent = 1e3 * (time.perf_counter() - began) / max(frames, 1)
    model, engine = job.restorer.bundle.name, job.restorer.engine
    return Restored(job.out, frames, *size, model, engine, spent, skipped)
