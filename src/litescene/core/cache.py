"""The user's cache folder: compiled networks and measured choices, safe to delete at any time."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

LIMIT_BYTES = 1 << 30
"""Compiled networks are kept up to this total; the longest unused go first."""


def cache_folder() -> Path:
    """`$LITESCENE_CACHE`, else `litescene` in the user's cache folder (`~/.cache` by default).

    Where nobody has a home folder or it cannot be written, as in many containers, it is a folder
    of the user's own among the temporary files.
    """
    chosen = os.environ.get("LITESCENE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base, "litescene")
    return folder if folder.is_absolute() and can_be_written(folder) else _temporary()


def can_be_written(folder: Path) -> bool:
    """Whether the folder, or the nearest one above it that is there, can be written."""
    there = next(p for p in (folder, *folder.absolute().parents) if os.path.exists(p))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _temporary() -> Path:
    """The same one every time, unless somebody else could write into that."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir(), f"litescene-{user}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    return folder if _is_private(folder) else _fresh()


def _is_private(folder: Path) -> bool:
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        return False
    return not hasattr(os, "getuid") or (
        facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


@cache
def _fresh() -> Path:
    return Path(tempfile.mkdtemp(prefix="litescene-"))


def prune(folder: Path, suffix: str, limit: int = LIMIT_BYTES) -> None:
    """Delete the longest unused files of `folder` until the rest fits into `limit` bytes."""
    found = []
    for file in folder.glob(f"*{suffix}"):
        with suppress(OSError):  # another process may have deleted it
            facts = file.stat()
            found.append((facts.st_mtime, facts.st_size, file))
    total = 0
    for _, size, file in sorted(found, reverse=True):
        total += size
        if total > limit:
            with suppress(OSError):
                file.unlink()
