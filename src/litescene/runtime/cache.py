"""The user's cache folder: compiled networks and measured choices, safe to delete at any time."""

from __future__ import annotations

import os
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
    files = sorted(folder.glob(f"*{suffix}"), key=lambda f: f.stat().st_mtime, reverse=True)
    total = 0
    for file in files:
        total += file.stat().st_size
        if total > limit:
            file.unlink(missing_ok=True)
