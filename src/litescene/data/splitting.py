"""Which split a file of a data set belongs to: by lists beside it, or by its name."""

from __future__ import annotations

import hashlib
from pathlib import Path

from litescene.core.errors import AbsentSplitError

VAL_BELOW = 52
"""A fifth of 256."""


def named_split(folder: str, name: str) -> str:
    """The split of the file `folder/name` in a set without splits: about a fifth is val.

    It is val where the first byte of the SHA-256 of that path is below `VAL_BELOW`, else train, so
    that files that come later move none of the others.

    >>> [named_split("cat", f"{i}.png") for i in range(6)]
    ['val', 'train', 'train', 'train', 'train', 'val']
    """
    first = hashlib.sha256(f"{folder}/{name}".encode()).digest()[0]
    return "val" if first < VAL_BELOW else "train"


def split_list(folder: Path, split: str) -> Path | None:
    """The list of Pascal VOC (`train.txt` ...) that holds a split, None if there are no lists.

    For train and val it is `trainval.txt` where that is the only list of both. Raises
    `AbsentSplitError` if there are lists, and the split is not among them.
    """
    lists = {name: folder / f"{name}.txt" for name in ("train", "val", "test", "trainval")}
    there = [name for name, path in lists.items() if path.exists()]
    if split == "all" or not there:
        return None
    if split in there:
        return lists[split]
    if split != "test" and "trainval" in there and not {"train", "val"} & set(there):
        return lists["trainval"]
    beside = ", ".join(f"{name}.txt" for name in there)
    raise AbsentSplitError(f"{folder}: there is no {split}.txt beside {beside}")
