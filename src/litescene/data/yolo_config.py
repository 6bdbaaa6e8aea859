"""What is read of a YOLO set's `data.yaml`: class names, and where the pictures of a split are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from litescene.core import DataError
from litescene.data.text_files import read_text
from litescene.media.yaml_subset import parse_yaml

SPLITS = ("train", "val", "test")
_KEYS = ("names", "nc", "path", *SPLITS)
_TOP_LEVEL = re.compile(r"""(["']?)([A-Za-z_][\w-]*)\1\s*:(?:\s|$)""")


class YoloConfig:
    """A `data.yaml`, which need not be there.

    Of other keys, such as a script that downloads the pictures, nothing is read. What is there and
    cannot be understood is a `DataError` that names file and line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        text = read_text(path) if path.exists() else ""
        self._lines, kept = _own_keys(text)
        try:
            plain = parse_yaml(kept)
        except ValueError as error:
            raise DataError(f"{path}, {error}") from error
        self._values: dict[str, Any] = plain if isinstance(plain, dict) else {}
        self.names = self._names() if text.strip() else []
        count = self._values.get("nc")
        if count is not None and self.names and str(count) != str(len(self.names)):
            raise DataError(
                f"{self._where('nc')}: nc is {count}, and there are {len(self.names)} names"
            )

    def entries(self, split: str) -> list[tuple[str, str]]:
        """Paths of a split, each with the place that names it; of `all`, those of every split."""
        if split == "all":
            return [entry for one in SPLITS for entry in self.entries(one)]
        return [(self._where(split), path) for path in self._paths(split)]

    @property
    def folder(self) -> Path:
        """What the paths are relative to."""
        return self.path.parent.joinpath(*self._paths("path"))

    def _where(self, key: str) -> str:
        return f"{self.path}, line {self._lines[key]}"

    def _paths(self, key: str) -> list[str]:
        """The texts of a key: none, one, or a list of them."""
        value = self._values.get(key)
        items = value if isinstance(value, list) else [value]
        for item in items:
            if isinstance(item, dict | list):
                kind = "table" if isinstance(item, dict) else "list of lists"
                raise DataError(
                    f"{self._where(key)}: {key} is a {kind}; expected a path or a list of paths"
                )
        return [str(item) for item in items if item not in (None, "")]

    def _names(self) -> list[str]:
        """The names in the order of their ids: of a list, or of a table `id: name`."""
        value = self._values.get("names")
        if value is None:
            raise DataError(f"{self.path}: expected 'names:' with a list of class names")
        where = self._where("names")
        if not isinstance(value, dict | list) or not value:
            said = f"'{value}'" if isinstance(value, str) else value
            raise DataError(
                f"{where}: names is {said}; expected a list of class names, e.g. [cat, dog]"
            )
        by_id = value if isinstance(value, dict) else {str(i): v for i, v in enumerate(value)}
        ids = sorted(int(key) if key.isdecimal() else -1 for key in by_id)
        if ids != list(range(len(by_id))):
            raise DataError(
                f"{where}: names has the ids {', '.join(by_id)}; expected 0 to {len(by_id) - 1}, "
                "each once"
            )
        names: list[str] = []
        for index, name in sorted((int(key), name) for key, name in by_id.items()):
            if isinstance(name, dict | list | bool) or name in (None, ""):
                raise DataError(
                    f"{where}: the name of class {index} is {name!r}; expected a text, in quotes "
                    "if it has signs of YAML's"
                )
            if str(name) in names:
                raise DataError(
                    f"{where}: classes {names.index(str(name))} and {index} are both called "
                    f"'{name}'; give each a name of its own"
                )
            names.append(str(name))
        return names


def _own_keys(text: str) -> tuple[dict[str, int], str]:
    """The lines (from 1) of the keys that are read, and the text with all others left blank."""
    lines: dict[str, int] = {}
    kept: list[str] = []
    reading = False
    for number, line in enumerate(text.splitlines(), start=1):
        if key := _TOP_LEVEL.match(line):
            reading = key[2] in _KEYS
            if reading:
                lines.setdefault(key[2], number)
        kept.append(line if reading else "")
    return lines, "\n".join(kept)
