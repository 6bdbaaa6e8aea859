"""Files of JSON lines that grow while a job goes on, and are whole lines whatever ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from litescene.core import OutputError
from litescene.media.atomic import output_error


class JsonLines:
    """Writes one record after another to `path`, each at once; `OutputError` if that fails.

    Folders on the way are made; an older file of that name is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: BinaryIO = open(path, "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise output_error(path, error) from error

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a line; NaN and infinity, which JSON does not have, are a ValueError."""
        line = (json.dumps(record, allow_nan=False) + "\n").encode()
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


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of `path`; a last line that a kill or a full disk cut off is left out.

    Raises `ValueError` for a line that is no JSON.
    """
    with open(path, "rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)
