"""Text files that grow while a job goes on, and are whole lines whatever ends it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from litescene.core import OutputError
from litescene.media.atomic import output_error


class TextLines:
    """Writes one line after another to `path`, each at once; `OutputError` if that fails.

    Folders on the way are made; an older file of that name is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = open(path, "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise output_error(path, error) from error

    def write(self, text: str) -> None:
        """Write a line."""
        line = (text + "\n").encode()
        try:
            written = self._file.write(line)
        except OSError as error:
            raise output_error(self._path, error) from error
        if written != len(line):
            raise OutputError(
                f"cannot write {self._path}: the disk is full; free some space or choose another "
                "folder"
            )

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()
