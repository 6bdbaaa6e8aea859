"""Where data sets are: `FORMAT:PATH` specifications and the LITESCENE_DATA folder."""

from __future__ import annotations

import os
from pathlib import Path

from litescene.core import DataError

VARIABLE = "LITESCENE_DATA"
DEFAULT = Path("../shared/data")


def data_root() -> Path:
    """Folder of the data sets: `$LITESCENE_DATA`, else `../shared/data`."""
    return Path(os.environ.get(VARIABLE) or DEFAULT)


def split_spec(spec: str, formats: tuple[str, ...]) -> tuple[str, Path]:
    """`camvid:PATH` to ("camvid", folder).

    A relative path that does not exist here is looked up in the data folder. Unknown formats and
    missing folders are a `DataError`.
    """
    name, separator, path = spec.partition(":")
    if not separator or name not in formats:
        raise DataError(
            f"data '{spec}' has no known format; expected FORMAT:PATH with FORMAT one of "
            f"{', '.join(formats)}"
        )
    given = Path(path)
    if given.is_absolute() and not given.exists():
        raise DataError(f"data '{spec}': {given} does not exist; give the right path")
    for candidate in (given, data_root() / given):
        if candidate.exists():
            return name, candidate
    raise DataError(
        f"data '{spec}': neither {given} nor {data_root() / given} exists; "
        f"give the right path or set {VARIABLE}"
    )


def find_folder(root: Path, names: tuple[str, ...]) -> Path:
    """The first folder of these names that a data set has; a `DataError` if it has none."""
    for name in names:
        if (root / name).is_dir():
            return root / name
    raise DataError(f"{root}: expected a folder named {' or '.join(names)}")
