"""The section that says what each pooling brings a classifier."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison import table

HEAD = ["pooling", "top-1", "mean top-1 of the classes", "seeds"]

EXPLAINED = """\
## Poolings of a classifier

One network by one recipe on the data set of crops ([data formats](data.md#classification)), with
the poolings of its paper (`published`) or another one in their place (`model.pool`). Top-1 accuracy
(0 to 1) on val after the last epoch, over all pictures and with all classes counting alike, as
mean ± sample standard deviation over the seeds."""


def poolings(file: Path) -> str:
    """Explanation, conditions, results, and what the crops are; nothing where not measured."""
    if not file.is_file():
        return ""
    record = json.loads(file.read_text("utf-8"))
    rows = [row(name, entry) for name, entry in record["poolings"].items()]
    parts = [EXPLAINED, conditions(record), table(HEAD, rows)]
    if record["crops"]:
        parts.append(contents(record["crops"]))
    return "\n\n".join(parts)


def conditions(record: Mapping[str, Any]) -> str:
    """A line on what was trained, where and when."""
    given, machine = record["conditions"], record["machine"]
    height, width = given["size"]
    return (
        f"`{given['model']}` at {width}×{height} by the recipe `{given['protocol']}`, "
        f"{given['epochs']} epochs; written by `benchmarks/pooling_classification.py`. "
        f"({machine['processor']}, {machine['date']}, commit {machine['commit']})"
    )


def row(name: str, entry: Mapping[str, Any]) -> list[str]:
    """A pooling and what is reached with it."""
    figures = (entry["top1"], entry["mean_top1"])
    return [f"`{name}`", *map(spread, figures), str(len(entry["runs"]))]


def spread(figures: Mapping[str, float | None]) -> str:
    """Mean and, of at least two seeds, deviation."""
    deviation = figures["deviation"]
    return f"{figures['mean']:.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")


def contents(crops: Mapping[str, Any]) -> str:
    """The classes of the crops with their numbers and sources."""
    rows = []
    for name, splits in crops["classes"].items():
        counts = [str(sum(splits[split].values())) for split in ("train", "val")]
        sources = sorted({*splits["train"], *splits["val"]})
        rows.append([name, *counts, ", ".join(sources)])
    total = (
        f"The crops, {crops['side']}×{crops['side']} pixels (SHA-256 `{crops['digest'][:16]}…`):"
    )
    return f"{total}\n\n{table(['class', 'train', 'val', 'sources'], rows)}"
