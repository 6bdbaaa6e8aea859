"""Files of JSON lines that grow while a job goes on, and are whole lines whatever ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from litescene.media.text_lines import TextLines


class JsonLines(TextLines):
    """Writes one record after another, a line each (see `TextLines`)."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Write a line; NaN and infinity, which JSON does not have, are a ValueError."""
        self.write(json.dumps(record, allow_nan=False))


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The records of `path`; a last line that a kill or a full disk cut off is left out.

    Raises `ValueError` for a line that is no JSON.
    """
    with open(path, "rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)
