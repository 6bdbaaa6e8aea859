"""Pictures and videos to restore, opened by `FORMAT:PATH`, whose truth is the data themselves.

| format | layout |
|---|---|
| inter4k | `60fps/UHD/N.mp4` and lists of the splits |
| vimeo | Vimeo-90K's triplets `sequences/00001/0001/im1.png` and lists |
| video | a video, a folder of videos, or one of numbered frames |
| pictures | a folder of pictures, for super-resolution |

`FORMAT:PATH@SIZE@RATE` brings videos to a size and a rate, e.g. `inter4k:Inter4K@nHD@15fps`; see
`restoration_clips.View`. For super-resolution a picture is the truth, and averaged over areas of
factor×factor pixels the input. For interpolation three neighbouring frames are a sample: the one
in the middle is the truth, which in val and test every second frame is once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from litescene.core import DataError, Image
from litescene.data.location import split_spec
from litescene.data.memory import require_reserve
from litescene.data.restoration_clips import Clip, Read, VideoClip, View, Window
from litescene.data.restoration_layouts import READERS

FORMATS = tuple(READERS)
SPLITS = ("train", "val", "test")
SMALLEST_SIDE = 64

Sample = tuple[tuple[Image, ...], Image]
"""The pictures that a network gets, and the true one."""


@dataclass(frozen=True, slots=True)
class RestorationData:
    """The clips of one split; a window is `length` pictures, one begins every `step` pictures."""

    name: str
    clips: tuple[Clip, ...]
    length: int
    step: int

    def windows(self, every: int = 1) -> Iterator[Window]:
        """One of `every` windows, in order; videos are read as they are asked for.

        Raises `DataError` where there is none, or pictures of one differ in size.
        """
        index = 0
        for clip in self.clips:
            for read in clip.windows(self.length, self.step):
                if index % every == 0:
                    yield _checked(read())
                index += 1
        if not index:
            raise DataError(f"{self.name} has not {self.length} pictures one after another")

    def samples(self, factor: int, every: int = 1) -> Iterator[Sample]:
        """One of `every` samples, with inputs made smaller by `factor`; whole pictures."""
        for window in self.windows(every):
            yield as_sample(window, factor, self.name)

    def held(self, frames: int | None = None) -> HeldWindows:
        """All windows for random access: of each video at most so many frames, in memory.

        Pictures in files stay there. Raises `DataError` where the frames need more memory than is
        available.
        """
        return HeldWindows(self, frames)


class HeldWindows:
    """Windows by number: of videos out of memory, of pictures out of their files."""

    def __init__(self, data: RestorationData, frames: int | None) -> None:
        self._reads: list[Read] = []
        for clip in data.clips:
            held = _Held(clip, frames) if isinstance(clip, VideoClip) else clip
            self._reads += held.windows(data.length, data.step)
        if not self._reads:
            raise DataError(f"{data.name} has not {data.length} pictures one after another")

    def __len__(self) -> int:
        return len(self._reads)

    def __getitem__(self, index: int) -> Window:
        return _checked(self._reads[index]())


class _Held:
    """The frames of a video in memory."""

    def __init__(self, clip: VideoClip, limit: int | None) -> None:
        self._frames = _in_memory(clip, limit)

    def windows(self, length: int, step: int) -> Iterator[Read]:
        for first in range(0, len(self._frames) - length + 1, step):
            yield partial(self._window, first, first + length)

    def _window(self, first: int, end: int) -> Window:
        return tuple(self._frames[first:end])


def _in_memory(clip: VideoClip, limit: int | None) -> list[Image]:
    kept: list[Image] = []
    with closing(clip.frames()) as frames:
        for image in islice(frames, limit):
            require_reserve(
                f"{clip.path}: after {len(kept)} frames",
                "take a smaller view (@nHD, @15fps) or fewer frames of each video",
            )
            kept.append(image)
    return kept


def open_restoration(spec: str, split: str, pictures: int = 1) -> RestorationData:
    """Open `FORMAT:PATH[@VIEW]`, e.g. `open_restoration("video:drive.mp4@640x360", "val", 2)`.

    `pictures` is how many the network gets: with one a sample is a picture, with two it is the two
    frames around it. Raises `DataError` for unknown formats, splits and views, and for layouts
    that are not what they should be.
    """
    name, root, view = split_view(spec)
    if split not in SPLITS:
        raise DataError(f"there is no split '{split}'; expected one of {', '.join(SPLITS)}")
    length = 3 if pictures == 2 else 1
    clips = READERS[name](root, split, view, length)
    if not clips:
        raise DataError(f"{root}: split '{split}' has no pictures in the {name} layout")
    step = 2 if length == 3 and split != "train" else 1
    return RestorationData(f"{name}:{root.name}:{split}", tuple(clips), length, step)


def split_view(spec: str) -> tuple[str, Path, View]:
    """Format, place and view of a specification; see `location.split_spec` for the errors."""
    folder, slash, last = spec.rpartition("/")
    last, at, view = last.partition("@")
    name, root = split_spec(folder + slash + last, FORMATS)
    return name, root, View.parse(view) if at else View()


def as_sample(window: Window, factor: int, name: str) -> Sample:
    """The pictures of a window that a network gets, made smaller, and the true one.

    The true one is cut to multiples of the factor. A `DataError` is raised for pictures whose
    smaller forms have a side below 64.
    """
    height, width = (side // factor * factor for side in window[0].shape[:2])
    if min(height, width) < SMALLEST_SIDE * factor:
        raise DataError(
            f"{name} has pictures of {window[0].shape[1]}×{window[0].shape[0]}; at factor {factor} "
            f"networks take them from {SMALLEST_SIDE * factor}×{SMALLEST_SIDE * factor} on"
        )
    return cut_sample(tuple(image[:height, :width] for image in window), factor)


def cut_sample(window: Window, factor: int) -> Sample:
    """`as_sample` for a window whose sides are multiples of the factor, however small."""
    middle = len(window) // 2
    around = window if len(window) == 1 else (*window[:middle], *window[middle + 1 :])
    return tuple(shrunk(image, factor) for image in around), window[middle]


def shrunk(image: Image, factor: int) -> Image:
    """The means of factor×factor pixels, rounded; sides are multiples of the factor."""
    if factor == 1:
        return image
    size = image.shape[1] // factor, image.shape[0] // factor
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _checked(window: Window) -> Window:
    sizes = {image.shape for image in window}
    if len(sizes) > 1:
        raise DataError(f"pictures of one sample have one size, not {sorted(sizes)}")
    return window
