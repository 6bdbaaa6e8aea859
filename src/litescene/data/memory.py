"""How much memory there is for data that a training holds."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath

from litescene.core import DataError

RESERVE = 1 << 29
"""Bytes of memory that data leave to everything else."""

_SYSTEM = Path("/proc/meminfo")
_OWN_GROUP, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that a program can still take without swapping; None where the system tells nobody.

    Of a container, and of any other group with a limit (Linux, cgroups 2), no more than is left
    of it.
    """
    system = _of_system()
    return None if system is None else min([system, *_of_groups()])


def require_reserve(what: str, advice: str) -> None:
    """Raise `DataError` once what a training holds, as far as it got, leaves too little memory."""
    free = available_memory()
    if free is not None and free < RESERVE:
        raise DataError(
            f"{what} {free:,} bytes of memory are left, less than {RESERVE:,}; {advice}"
        )


def _of_system() -> int | None:
    with suppress(OSError):
        for line in _SYSTEM.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _of_groups() -> list[int]:
    """What is left to our group and to each one around it that has a limit."""
    left = []
    with suppress(OSError):
        own = next(
            (line[3:] for line in _OWN_GROUP.read_text().splitlines() if line.startswith("0::")),
            "/",
        )
        path = PurePosixPath(own.lstrip("/"))
        for group in (path, *path.parents):
            with suppress(OSError, ValueError):  # the outermost has no limit, others say "max"
                left.append(_left_of(_GROUPS / group))
    return left


def _left_of(group: Path) -> int:
    limit = int((group / "memory.max").read_text())
    used = int((group / "memory.current").read_text())
    for line in (group / "memory.stat").read_text().splitlines():
        name, _, count = line.partition(" ")
        if name == "inactive_file":  # copies of files, which go when others need the memory
            used -= int(count)
    return max(limit - used, 0)
