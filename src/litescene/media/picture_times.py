"""When pictures were taken, as the layouts of the usual data sets say it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from litescene.core import SourceError

_TIMES_FILES = ("times.txt", "timestamps.txt")
_SINCE_1970 = re.compile(r"\d{16,20}")
"""Microseconds of 16 digits or nanoseconds."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(\.\d+|)")
_SECONDS = re.compile(r"\d{9,10}\.\d+")


def find_times(paths: Sequence[Path], notes: list[str]) -> list[float] | None:
    """Times in seconds of the pictures `paths`, or `None` where nothing tells them.

    Looked for in this order; the first that fits all pictures is taken:

    1. `times.txt` or `timestamps.txt` in the pictures' folder or the one above it (KITTI):
       a number a line, or a date with its time of day (KITTI raw). As many lines as pictures are
       taken in order; otherwise names that are numbers count as line numbers from 0.
    2. A list of `time name` lines: either of those files, or `FOLDER.txt` beside the folder
       (TUM's `rgb.txt`), matched by file name.
    3. `FOLDER.csv` beside the folder whose head says `[ns]`, lines of `nanoseconds,name` (EuRoC).
    4. Names that are times: integers of 16 to 20 digits (EuRoC) or decimal seconds since 1970
       (TUM).

    Integers of 16 digits are microseconds, those of more nanoseconds, other numbers seconds. A
    times file that does not fit the pictures is left aside and named in `notes`. Raises
    `SourceError` for a times file with a line that is no number, and for times that do not
    increase.
    """
    folder = paths[0].parent
    if any(path.parent != folder for path in paths):
        return None
    folder = folder.absolute()
    for file in (place / name for place in (folder, folder.parent) for name in _TIMES_FILES):
        if file.is_file():
            times = _from_times_file(file, paths)
            if times is not None:
                return times
            notes.append(f"{file} does not fit the pictures and was not used")
    listing = folder.with_name(f"{folder.name}.txt")
    if listing.is_file() and (times := _from_listing(listing, paths)) is not None:
        return times
    table = folder.with_name(f"{folder.name}.csv")
    if table.is_file() and (times := _from_table(table, paths)) is not None:
        return times
    return _from_names(paths)


def _from_times_file(file: Path, paths: Sequence[Path]) -> list[float] | None:
    rows = _rows(file)
    dates = [_DATE.fullmatch(" ".join(row)) for row in rows]
    if all(dates) or all(len(row) == 1 for row in rows):
        numbers = (
            _since_1970(date, file) if date else _number(row[0], file)
            for row, date in zip(rows, dates, strict=True)
        )
        times = _by_line(list(numbers), paths)
        if times is not None:
            _must_increase(times, str(file), paths)
        return times
    return _from_listing(file, paths)


def _from_listing(file: Path, paths: Sequence[Path]) -> list[float] | None:
    """Times by file name; `None` for other lists, such as those of a data set's split."""
    named = {Path(row[1]).name: row[0] for row in _rows(file) if len(row) >= 2}
    texts = [named.get(path.name, "") for path in paths]
    if not all(_NUMBER.fullmatch(text) for text in texts):
        return None
    times = [_number(text, file) for text in texts]
    _must_increase(times, str(file), paths)
    return times


def _from_table(file: Path, paths: Sequence[Path]) -> list[float] | None:
    """Times by file name, if the head says that the first column is nanoseconds."""
    if "[ns]" not in _text(file).partition("\n")[0]:
        return None
    named = {Path(row[1]).name: row[0] for row in _rows(file) if len(row) == 2}
    texts = [named.get(path.name, "") for path in paths]
    if not all(text.isdecimal() for text in texts):
        return None
    times = [int(text) / 1e9 for text in texts]
    _must_increase(times, str(file), paths)
    return times


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot read the times in {file}: {error}") from error


def _rows(file: Path) -> list[list[str]]:
    lines = (line.split("#")[0].replace(",", " ").split() for line in _text(file).splitlines())
    return [line for line in lines if line]


def _by_line(times: list[float], paths: Sequence[Path]) -> list[float] | None:
    if len(times) == len(paths):
        return times
    if all(path.stem.isdecimal() and int(path.stem) < len(times) for path in paths):
        return [times[int(path.stem)] for path in paths]
    return None


def _from_names(paths: Sequence[Path]) -> list[float] | None:
    stems = [path.stem for path in paths]
    if all(_SINCE_1970.fullmatch(stem) for stem in stems):
        times = [_seconds(stem) for stem in stems]
    elif all(_SECONDS.fullmatch(stem) for stem in stems):
        times = [float(stem) for stem in stems]
    else:
        return None
    _must_increase(times, "the pictures' names", paths)
    return times


def _number(text: str, file: Path) -> float:
    if not _NUMBER.fullmatch(text):
        raise SourceError(f"{file}: '{text}' is not a time; expected seconds, a number a line")
    return _seconds(text) if _SINCE_1970.fullmatch(text) else float(text)


def _seconds(digits: str) -> float:
    return int(digits) / (1e6 if len(digits) == 16 else 1e9)


def _since_1970(date: re.Match[str], file: Path) -> float:
    whole, fraction = date.groups()
    try:
        seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise SourceError(f"{file}: '{date[0]}' is not a time: {error}") from error
    return seconds + float(f"0{fraction}")


def _must_increase(times: Sequence[float], where: str, paths: Sequence[Path]) -> None:
    for index, (before, after) in enumerate(pairwise(times), start=1):
        if not after > before:
            raise SourceError(
                f"{where}: picture {paths[index].name} has time {after:.6f} s, the one before it "
                f"{before:.6f} s; times must increase"
            )
