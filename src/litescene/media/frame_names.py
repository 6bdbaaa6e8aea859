"""Names for the files that belong to single frames."""

from __future__ import annotations

from itertools import chain, count
from pathlib import PurePath

from litescene.core import Frame
from litescene.media.pictures import PICTURE_SUFFIXES


class FrameNames:
    """A name for the files of every frame: its picture's, else its number; none comes twice.

    >>> import numpy as np
    >>> names, image = FrameNames(), np.zeros((1, 1, 3), np.uint8)
    >>> [names.give(Frame(i, i / 10, image, name)) for i, name in enumerate(["a.png", "a", ""])]
    ['a', 'a_000001', '000002']
    """

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._endings: dict[int, str] = {}
        self._taken: set[str] = set()
        self._last_number = -1

    def __getitem__(self, index: int) -> str:
        """Name of the frame with that `Frame.index`."""
        return self._names.get(index, f"{index:06d}")

    def picture(self, index: int) -> str:
        """The same with the ending of the frame's picture, if it was a file."""
        return self[index] + self._endings.get(index, "")

    def give(self, frame: Frame) -> str:
        """Name a new frame. A glob over folders may bring the same picture name again."""
        number = f"{frame.index:06d}"
        path = PurePath(frame.name)
        is_file = path.suffix.lower() in PICTURE_SUFFIXES
        stem = path.stem if is_file else path.name
        if not stem and number not in self._taken:
            # Not kept one by one: a video has no names and no end.
            self._last_number = frame.index
            return number
        name = self._free(stem, number)
        self._taken.add(name)
        self._names[frame.index] = name
        if is_file:
            self._endings[frame.index] = path.suffix
        return name

    def _free(self, stem: str, number: str) -> str:
        """`stem`, or it with the frame's number and so many further ones as it takes."""
        again = f"{stem}_{number}" if stem else number
        names = chain([stem or number, again], (f"{again}_{copy}" for copy in count(1)))
        return next(n for n in names if n not in self._taken and not self._is_past_number(n))

    def _is_past_number(self, name: str) -> bool:
        """Whether a frame without a name may already be called so."""
        number = int(name) if name.isascii() and name.isdecimal() else -1
        return 0 <= number <= self._last_number and name == f"{number:06d}"
