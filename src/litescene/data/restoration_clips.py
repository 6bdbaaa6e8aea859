"""Sequences of pictures: parts of videos, as they are or at a derived size and rate, and files."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from litescene.core import DataError, Frame, Image, SourceError
from litescene.media.pictures import read_picture
from litescene.media.sources import Source, open_source

SIZES = {
    "UHD": (2160, 3840),
    "QHD": (1440, 2560),
    "FHD": (1080, 1920),
    "HD": (720, 1280),
    "qHD": (540, 960),
    "nHD": (360, 640),
}
"""Height and width by name: those of Inter4K."""

_TICK = 1e-4
"""Seconds by which a frame may come before its tick, since time stamps are rounded."""

Window = tuple[Image, ...]
"""Consecutive pictures of one size."""
Read = Callable[[], Window]


@dataclass(frozen=True, slots=True)
class View:
    """Size (height, width) and frames a second to which a video is brought; None: its own.

    Frames are averaged over areas to the size. Of a faster video each tick of the rate, counted
    from the first frame, takes the first frame that is not before it; frames are never invented.
    """

    size: tuple[int, int] | None = None
    rate: float | None = None

    @classmethod
    def parse(cls, text: str) -> View:
        """`nHD`, `640x360` (width first), `30fps`, or a size and a rate: `nHD@15fps`.

        Raises `DataError` for anything else.

        >>> View.parse("nHD@15fps")
        View(size=(360, 640), rate=15.0)
        """
        size: tuple[int, int] | None = None
        rate: float | None = None
        for part in text.split("@"):
            sides, frames = (re.fullmatch(p, part) for p in (r"(\d+)x(\d+)", r"(\d+(?:\.\d+)?)fps"))
            if frames and rate is None and float(frames[1]) > 0:
                rate = float(frames[1])
            elif size is None and part in SIZES:
                size = SIZES[part]
            elif size is None and sides and min(int(sides[1]), int(sides[2])) > 0:
                size = int(sides[2]), int(sides[1])
            else:
                raise DataError(
                    f"'@{text}' is no view of a video; expected a size ({', '.join(SIZES)} or "
                    "WIDTHxHEIGHT), a rate such as 30fps, or both: @nHD@15fps"
                )
        return cls(size, rate)

    def resized(self, image: Image, name: str) -> Image:
        """The picture at the size; a `DataError` for a smaller one."""
        if self.size is None or image.shape[:2] == self.size:
            return image
        height, width = self.size
        if image.shape[0] < height or image.shape[1] < width:
            raise DataError(
                f"{name} is {image.shape[1]}×{image.shape[0]}, smaller than the {width}×{height} "
                "that it is to be brought to"
            )
        return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))


class Clip(Protocol):
    """Pictures in order of time."""

    def windows(self, length: int, step: int) -> Iterator[Read]:
        """Readers of so many consecutive pictures, one window every `step` pictures."""
        ...


@dataclass(frozen=True, slots=True)
class VideoClip:
    """The frames of a video from one share of them to another, in a view."""

    path: Path
    part: tuple[float, float] = (0.0, 1.0)
    view: View = View()

    def windows(self, length: int, step: int) -> Iterator[Read]:
        """See `Clip`; the frames are read as the windows are asked for."""
        held: deque[Image] = deque(maxlen=length)
        for index, image in enumerate(self.frames()):
            held.append(image)
            if len(held) == length and (index + 1 - length) % step == 0:
                yield partial(tuple, list(held))

    def frames(self) -> Generator[Image, None, None]:
        """The frames one by one.

        A video that cannot be read, or not whole, is a `DataError`: where a frame is missing, the
        ones around it are no longer neighbours.
        """
        try:
            with open_source(self.path) as source:
                for frame in self._in_view(source, self._in_part(source)):
                    yield self.view.resized(frame.image, str(self.path))
                if source.skipped:
                    reason = source.skipped[0].reason
                    raise DataError(
                        f"{self.path} is damaged: {reason}; get it again or leave it out"
                    )
        except SourceError as error:
            raise DataError(str(error)) from error

    def _in_part(self, source: Source) -> Iterator[Frame]:
        if self.part == (0.0, 1.0):
            yield from source
            return
        count = source.frame_count or sum(1 for _ in source)
        first, end = (round(share * count) for share in self.part)
        whole = self.part[1] == 1.0
        for frame in source:
            if not whole and frame.index >= end:
                return
            if frame.index >= first:
                yield frame

    def _in_view(self, source: Source, frames: Iterable[Frame]) -> Iterator[Frame]:
        rate, own = self.view.rate, source.rate
        if rate is None:
            yield from frames
            return
        if own is not None and rate > own * 1.001:
            raise DataError(
                f"{self.path} has {own:g} frames a second, not {rate:g} or more; ask for a lower "
                "rate"
            )
        begin, ticks = 0.0, 0
        for frame in frames:
            if ticks == 0:
                begin = frame.time
            if frame.time - begin >= ticks / rate - _TICK:
                yield frame
                ticks = int((frame.time - begin + _TICK) * rate) + 1


@dataclass(frozen=True, slots=True)
class PictureClip:
    """Pictures in files, in order of time; one alone has no neighbours."""

    paths: tuple[Path, ...]
    view: View = View()

    def windows(self, length: int, step: int) -> Iterator[Read]:
        """See `Clip`; nothing is read before a window is."""
        for first in range(0, len(self.paths) - length + 1, step):
            yield partial(self._window, self.paths[first : first + length])

    def _window(self, paths: tuple[Path, ...]) -> Window:
        return tuple(self._picture(path) for path in paths)

    def _picture(self, path: Path) -> Image:
        try:
            return self.view.resized(read_picture(path), str(path))
        except SourceError as error:
            raise DataError(str(error)) from error
