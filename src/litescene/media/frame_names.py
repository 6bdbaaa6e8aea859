"""Names for the files that belong to single frames."""

from __future__ import annotations

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
        self._taken: set[str] = set()

    def __getitem__(self, index: int) -> str:
        """Name of the frame with that `Frame.index`."""
        return self._names.get(index, f"{index:06d}")

    def give(self, frame: Frame) -> str:
        """Name a new frame. A glob over folders may bring the same picture name again."""
        number = f"{frame.index:06d}"
        path = PurePath(frame.name)
        name = path.stem if path.suffix.lower() in PICTURE_SUFFIXES else path.name
        if not name:
            return number
        if name in self._taken:
            name = f"{name}_{number}"
        self._taken.add(name)
        self._names[frame.index] = name
        return name
