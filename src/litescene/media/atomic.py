"""Files that appear whole or not at all.

A result is written under a temporary name beside its final one and renamed when it is complete,
so that a reader never meets half a file, whatever ends the program.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from litescene.core import OutputError

_UNFINISHED = re.compile(r"\..+\.\d+-\d+\.part")

_REASONS = {
    errno.ENOSPC: "the disk is full; free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or choose another folder",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.EACCES: "there is no permission to write there; choose another folder",
    errno.EPERM: "there is no permission to write there; choose another folder",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EISDIR: "there is a folder of that name; choose another name",
    errno.ENOTDIR: "a part of that path is a file, not a folder; choose another name",
    errno.EEXIST: "a part of that path is a file, not a folder; choose another name",
    errno.ENAMETOOLONG: "the name is too long for the file system; choose another name",
}


def output_error(path: Path, error: Exception) -> OutputError:
    """Say in one line why `path` cannot be written and what to do about it.

    `error` is an `OSError`, or another one that carries `errno` and `strerror`.
    """
    number, words = getattr(error, "errno", None), getattr(error, "strerror", None)
    reason = _REASONS.get(number or 0, words or str(error))
    return OutputError(f"cannot write {path}: {reason}")


@contextmanager
def atomic_write(path: Path | str, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """Open a binary file that takes the name `path` when the block ends without an exception.

    Folders on the way are made. If the block fails, an older file of that name is untouched and
    nothing is left behind. With `sync` the bytes are on the disk before the name is; files that
    are written for every frame go without it, and then only a power cut can lose them.

    A link stays one, and the file that it leads to is replaced; a device or a pipe is written to.

    Raises `OutputError` for a full disk, a missing permission and everything else the system
    has against the file.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_write(folder / "a" / "poses.txt") as file:
    ...     _ = file.write(b"0 0 0")
    >>> (folder / "a" / "poses.txt").read_bytes()
    b'0 0 0'
    """
    path = Path(path)
    if _is_device(path):  # /dev/stdout is a link, which may lead to what has no name
        try:
            with open(path, "wb") as device:
                yield device
        except OSError as error:
            raise output_error(path, error) from error
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    temporary = path.with_name(f".{path.name[:64]}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        with suppress(OSError):  # it has its final name, or could not even be made
            os.unlink(temporary)


def _is_device(path: Path) -> bool:
    """Whether there is a device, a pipe or a socket of that name."""
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def unfinished(folder: Path) -> list[Path]:
    """What killed processes left half written in a folder, which need not exist."""
    inside = folder.iterdir() if folder.is_dir() else ()
    return [path for path in inside if _UNFINISHED.fullmatch(path.name)]


def require_writable(path: Path, *, folder: bool = False) -> None:
    """Find out before long work that its result could not be written: an `OutputError` if so.

    Args:
        path: the file that is to come, or with `folder` the folder; neither need exist.
        folder: whether it is one.

    """
    if not folder and path.is_dir():
        raise output_error(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    if not folder and _is_device(path):
        if not os.access(path, os.W_OK):
            raise output_error(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
        return
    place = path if folder else path.parent
    while not os.path.lexists(place):
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise output_error(path, error) from error


def write_atomic(path: Path | str, content: bytes | str, *, sync: bool = True) -> None:
    """Write the whole of `content` (text as UTF-8) through `atomic_write`."""
    data = content.encode() if isinstance(content, str) else content
    with atomic_write(path, sync=sync) as file:
        file.write(data)


def write_together(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write files that belong together, by name: none takes its name before all are written.

    Raises `OutputError` as `atomic_write` does; older files of these names are then untouched.
    """
    with ExitStack() as all_of_them:
        for name, content in contents.items():
            file = all_of_them.enter_context(atomic_write(folder / name))
            file.write(content)
            file.flush()
