"""Numbered pictures in a folder, or matching a glob, as a source of frames."""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from litescene.core import Frame, SourceError
from litescene.media.picture_times import find_times
from litescene.media.pictures import is_picture, read_picture
from litescene.media.sources import Skipped, Source


class PictureSource(Source):
    """Pictures in the given order; one that cannot be read is named in `skipped` and left out.

    Frames carry the file's path from `base` on as `name`, with `/` and the ending. `rate` is the
    mean rate of the times found by `picture_times.find_times`, or the fixed `rate` where there are
    none.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        base: Path,
        name: str,
        limit: int | None,
        rate: float,
        any_size: bool,
    ) -> None:
        super().__init__(name, limit, any_size)
        self._paths, self._base = list(paths), base
        times = find_times(self._paths, self.notes)
        self._time_notes = list(self.notes)
        self._times = times or [index / rate for index in range(len(self._paths))]
        first = next(self._frames(), None)
        if first is None:
            reasons = "; ".join(skipped.reason for skipped in self.skipped[:3])
            raise SourceError(f"{name}: not one of {len(self._paths)} pictures is fit: {reasons}")
        span = self._times[-1] - self._times[0]
        mean_rate = (len(self._times) - 1) / span if span > 0 else rate
        self._describe(first, len(self._paths), mean_rate)

    @classmethod
    def of_folder(
        cls, folder: Path, limit: int | None, rate: float, any_size: bool
    ) -> PictureSource:
        """All pictures directly in `folder`, in natural order of their names."""
        return cls(pictures_of_folder(folder), folder, str(folder), limit, rate, any_size)

    @classmethod
    def of_glob(cls, pattern: str, limit: int | None, rate: float, any_size: bool) -> PictureSource:
        """All pictures that `pattern` matches (`**` goes into folders), in natural order.

        Their names begin after the folders that the pattern says outright: `a/*/b.png` names
        `1/b.png`, whatever else is there.
        """
        said = itertools.takewhile(lambda part: not glob.has_magic(part), Path(pattern).parts)
        paths = pictures_of_glob(pattern)
        return cls(paths, Path(*said), pattern, limit, rate, any_size)

    def _frames(self) -> Iterator[Frame]:
        self.notes[:] = self._time_notes
        for index, (path, time) in enumerate(zip(self._paths, self._times, strict=True)):
            try:
                image = read_picture(path)
            except SourceError as error:
                self.skipped.append(Skipped(path.name, str(error)))
                continue
            yield Frame(index, time, image, path.relative_to(self._base).as_posix())


def find_pictures(spec: str) -> list[Path]:
    """The picture files that a file, folder or glob names, in natural order.

    Raises `SourceError` if there are none.
    """
    path = Path(spec).expanduser()
    if path.is_dir():
        return pictures_of_folder(path)
    if glob.has_magic(spec) and not path.is_file():
        return pictures_of_glob(str(path))
    return [path]


def pictures_of_folder(folder: Path) -> list[Path]:
    """All pictures directly in `folder`; a `SourceError` if there are none."""
    paths = _pictures(folder.iterdir())
    if not paths:
        inner = sorted(p.name for p in folder.iterdir() if p.is_dir() and _holds_pictures(p))
        hint = f"its folders {', '.join(inner[:5])} hold some" if inner else "name another one"
        raise SourceError(f"the folder {folder} holds no pictures; {hint}")
    return paths


def pictures_of_glob(pattern: str) -> list[Path]:
    """All pictures that `pattern` matches; a `SourceError` if there are none."""
    paths = _pictures(Path(match) for match in glob.iglob(pattern, recursive=True))
    if not paths:
        raise SourceError(f"no picture matches {pattern}; quote it if the shell expanded it")
    return paths


def natural_key(path: Path) -> list[tuple[int, int, str]]:
    """Sort key that puts `frame2` before `frame10` and ignores case, folder by folder.

    >>> names = ["f10.png", "F2.png", "f1.png"]
    >>> [path.name for path in sorted(map(Path, names), key=natural_key)]
    ['f1.png', 'F2.png', 'f10.png']
    """
    parts = re.split(r"(\d+)", str(path).lower())
    return [(1, int(p), p) if p.isdecimal() else (0, 0, p) for p in parts if p]


def _pictures(paths: Iterator[Path]) -> list[Path]:
    return sorted((path for path in paths if is_picture(path)), key=natural_key)


def _holds_pictures(folder: Path) -> bool:
    return any(is_picture(path) for path in folder.iterdir())
