"""A folder for one process at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from litescene.media.atomic import output_error

LOCK = "claim.lock"
"""Is in a folder, and locked, as long as a process has claimed it."""

_OURS: set[Path] = set()
"""Folders that this process has claimed."""


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether `folder`, made if missing, is ours until the end of the block.

    Another process may hold it; this one may claim it again. Where there are no such locks, on
    Windows and some file systems, nobody is refused. Raises `OutputError` where the folder cannot
    be written.
    """
    place = folder.resolve()
    if place in _OURS or sys.platform == "win32":
        yield True
        return
    try:
        place.mkdir(parents=True, exist_ok=True)
        file = _locked(place / LOCK)
    except OSError as error:
        raise output_error(folder, error) from error
    if file is None:
        yield False
        return
    with file:
        _OURS.add(place)
        try:
            yield True
        finally:
            _OURS.discard(place)
            with suppress(OSError):  # somebody may have removed the folder
                (place / LOCK).unlink()


def _locked(path: Path) -> IO[bytes] | None:
    """The open file with our lock on it; None while another process has one."""
    import fcntl  # not on Windows

    while True:
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:
            return file  # without a lock, which this file system does not have
        if _leads_to(path, file):
            return file
        file.close()


def _leads_to(path: Path, file: IO[bytes]) -> bool:
    """Whether `path` is still the file, which its last holder may have removed meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
