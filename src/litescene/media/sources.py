"""Where frames come from: one way to open them all, one shape to read them in.

specification                      source
─────────────────────────────────  ─────────────────────────────────────────────
drive.mp4, any video PyAV reads    `VideoSource`, real presentation times
rtsp://…, http://… and the like    `StreamSource`, live but for files of a web server
0, camera:0                        `CameraSource`, live
folder/, "folder/*.png", one.png   `PictureSource`, times from files beside them
an iterable of frames or pictures  `IterableSource`
"""

from __future__ import annotations

import glob
import itertools
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit, urlunsplit

from litescene.core import Frame, SourceError
from litescene.media.pictures import PICTURE_SUFFIXES, Picture, read_picture

SourceSpec = str | Path | int | Iterable[Frame | Picture]
"""What `open_source` takes."""

DEFAULT_RATE = 25.0
"""Pictures a second where nothing says when they were taken."""

_STREAM = re.compile(r"(rtsps?|rtmps?|https?|udp|srt)://", re.IGNORECASE)
_CAMERA = re.compile(r"(?:camera:|/dev/video)?(\d{1,9})")
_EXPECTED = (
    "a video, a folder or glob of pictures, a stream such as rtsp://…, or a camera such as "
    "'camera:0'"
)


class Skipped(NamedTuple):
    """A part of a source that gave no frame, and why."""

    name: str
    reason: str


class Source(ABC):
    """Frames in order of time, of one size unless their reader takes any; a context manager.

    - `name`: what was opened, for messages and reports;
    - `width`, `height`: size of the first frame in pixels, after turning it upright;
    - `any_size`: whether later frames may have another size;
    - `frame_count`: how many frames to expect (`None`: unknown); skipped ones are among them;
    - `rate`: nominal frames a second (`None`: unknown); the times are in the frames;
    - `live`: whether frames are lost when nobody takes them;
    - `skipped`: what could not be read, filled while iterating; the frames before it count;
    - `notes`: what was odd but could be handled, for instance missing time stamps.

    `index` counts the frames given from 0. `time` never stands still or goes back.
    Iterating again starts again, except for live sources and one-shot iterators, which go on.
    """

    live: bool = False

    def __init__(self, name: str, limit: int | None, any_size: bool = False) -> None:
        if limit is not None and limit < 1:
            raise SourceError(f"the limit of frames must be at least 1, not {limit}")
        self.name = name
        self.width = 0
        self.height = 0
        self.any_size = any_size
        self.frame_count: int | None = None
        self.rate: float | None = None
        self.skipped: list[Skipped] = []
        self.notes: list[str] = []
        self._limit = limit

    def __iter__(self) -> Iterator[Frame]:
        self.skipped.clear()
        self.notes.clear()
        return self._checked(itertools.islice(self._frames(), self._limit))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - most sources hold nothing between frames
        """Let go of the device or connection; safe to call twice."""

    @abstractmethod
    def _frames(self) -> Iterator[Frame]:
        """Frames from the start (a live source: from now), not limited, sizes not checked."""

    def _describe(self, first: Frame, count: int | None, rate: float | None) -> None:
        """Set the public facts from the first frame and what the container says."""
        self.width, self.height = first.width, first.height
        if count is not None:
            self.frame_count = count if self._limit is None else min(count, self._limit)
        self.rate = rate if rate is not None and 0 < rate < math.inf else None

    def _checked(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        last = -math.inf
        for index, frame in enumerate(frames):
            where = f"'{frame.name}'" if frame.name else f"frame {index}"
            same_size = (frame.width, frame.height) == (self.width, self.height)
            if not (same_size or self.any_size):
                raise SourceError(
                    f"{self.name}: {where} is {frame.width}×{frame.height}, the frames before it "
                    f"are {self.width}×{self.height}; this job wants frames of one size"
                )
            if not frame.time > last:
                raise SourceError(
                    f"{self.name}: {where} has time {frame.time:.6f} s, the frame before it "
                    f"{last:.6f} s; times must increase"
                )
            last = frame.time
            yield Frame(index, frame.time, frame.image, frame.name)


class IterableSource(Source):
    """Frames, or pictures at a fixed rate, from any iterable."""

    def __init__(
        self, items: Iterable[Frame | Picture], limit: int | None, rate: float, any_size: bool
    ) -> None:
        super().__init__("the given frames", limit, any_size)
        self._items, self._fixed_rate = items, rate
        iterator = iter(items)
        first = next(iterator, None)
        if first is None:
            raise SourceError("the given frames are empty; expected at least one")
        if iterator is items:  # one-shot: what was taken must come first
            self._items = itertools.chain([first], iterator)
        count = len(items) if isinstance(items, (list, tuple)) else None
        self._describe(self._frame(0, first), count, None if isinstance(first, Frame) else rate)

    def _frames(self) -> Iterator[Frame]:
        return (self._frame(index, item) for index, item in enumerate(self._items))

    def _frame(self, index: int, item: Frame | Picture) -> Frame:
        if isinstance(item, Frame):
            return item
        name = Path(item).name if isinstance(item, (str, Path)) else ""
        return Frame(index, index / self._fixed_rate, read_picture(item), name)


def open_source(
    spec: SourceSpec,
    *,
    limit: int | None = None,
    rate: float = DEFAULT_RATE,
    any_size: bool = False,
) -> Source:
    """Open a video file, stream, camera, picture folder, glob or iterable of frames.

    `limit` ends the source after that many frames. `rate` (pictures a second) gives times to
    pictures that have none of their own: no times file, no list, no time stamps as names.
    `any_size` is for readers that take every picture by itself: those of a folder, glob or
    iterable may then differ in size. A video's and a camera's never may.

    Raises `SourceError` if there is nothing to open or not one frame in it.

    >>> import numpy as np
    >>> with open_source([np.zeros((48, 64, 3), np.uint8)] * 3, rate=10) as source:
    ...     [(frame.index, frame.time) for frame in source]
    [(0, 0.0), (1, 0.1), (2, 0.2)]
    """
    if not (math.isfinite(rate) and rate > 0):
        raise SourceError(f"the rate must be a positive number of pictures a second, not {rate:g}")
    if isinstance(spec, int):
        spec = f"camera:{spec}"
    if isinstance(spec, (str, Path)):
        return _open_named(str(spec), limit, rate, any_size)
    return IterableSource(spec, limit, rate, any_size)


def without_password(url: str) -> str:
    """For messages and records."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _open_named(spec: str, limit: int | None, rate: float, any_size: bool) -> Source:
    # The kinds are imported when they are needed: a folder of pictures needs no video library.
    from litescene.media.picture_source import PictureSource
    from litescene.media.video_source import VideoSource

    if not spec:  # its path would be the current folder's
        raise SourceError(f"the source is an empty word; expected {_EXPECTED}")
    if _STREAM.match(spec):
        from litescene.media.live_sources import StreamSource

        return StreamSource(spec, limit)
    path = Path(spec).expanduser()
    if path.is_dir():
        return PictureSource.of_folder(path, limit, rate, any_size)
    if path.is_file():
        if path.suffix.lower() in PICTURE_SUFFIXES:
            return PictureSource([path], path.parent, str(path), limit, rate, any_size)
        return VideoSource(path, limit)
    if camera := _CAMERA.fullmatch(spec):
        from litescene.media.live_sources import CameraSource

        return CameraSource(int(camera[1]), limit)
    if glob.has_magic(spec):
        return PictureSource.of_glob(str(path), limit, rate, any_size)
    raise SourceError(f"there is no file or folder {spec}; expected {_EXPECTED}")
