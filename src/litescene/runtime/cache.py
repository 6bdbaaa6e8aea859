"""The user's cache folder: compiled networks and measured choices, safe to delete at any time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LIMIT_BYTES = 1 << 30
"""Compiled networks are kept up to this total; the longest unused go first."""


def cache_folder() -> Path:
    """`$LITESCENE_CACHE`, else `litescene` in the user's cache folder (`~/.cache` by default)."""
    chosen = os.environ.get("LITESCENE_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "litescene"


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
