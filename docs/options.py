"""The section that says what each option of a segmentation recipe brings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison import table

HEAD = ["network", "changed", "mean IoU", "against unchanged", "seeds"]
WHAT = {
    "plain": "nothing",
    "ohem": 'cross-entropy of the hard pixels alone (`loss = "ohem"`)',
    "no_jaccard": "without the soft Jaccard loss (`jaccard = 0.0`)",
    "no_mix": "without mixing of classes (`mix = 0.0`)",
    "equal_classes": "all classes count the same per pixel (`class_balance = 0.0`)",
    "balanced_classes": "all classes count the same in sum (`class_balance = 1.0`)",
    "boundary": "pixels near borders count twice (`boundary = 1.0`)",
    "teacher": "learns from the PP-LiteSeg-T that ships besides (`[segmentation.teacher]`)",
    "street": "starts from weights trained on the built-in street alone (`model.init`)",
    "no_detail": "nothing; the detail head is not trained (`detail = 0.0`)",
    "detail": "with detail guidance (`detail = 1.0`)",
}

EXPLAINED = """\
## What the options of a recipe bring

A short form of the common protocol with one thing changed at a time; mean IoU (0 to 1) on val
after the last epoch, as mean ± sample standard deviation over the seeds. A longer training, or
another network, may answer otherwise."""


def options(file: Path) -> str:
    """Explanation, conditions and table; nothing where it was not measured."""
    if not file.is_file():
        return ""
    record = json.loads(file.read_text("utf-8"))
    found = record["options"]
    rows = [row(name, entry, found[entry["against"]]) for name, entry in found.items()]
    given, machine = record["conditions"], record["machine"]
    line = (
        f"Recipe `{given['protocol']}`, {given['epochs']} epochs; written by "
        f"`benchmarks/segmentation_options.py`. ({machine['processor']}, {machine['date']}, commit "
        f"{machine['commit']})"
    )
    return "\n\n".join([EXPLAINED, line, table(HEAD, rows)])


def row(name: str, entry: Mapping[str, Any], plain: Mapping[str, Any]) -> list[str]:
    """An option: what it changes, what is reached with it and against the unchanged recipe."""
    accuracy = entry["mean_iou"]
    spread = "" if accuracy["deviation"] is None else f" ± {accuracy['deviation']:.3f}"
    return [
        f"`{entry['network']}`",
        WHAT[name],
        f"{accuracy['mean']:.3f}{spread}",
        "" if entry is plain else f"{accuracy['mean'] - plain['mean_iou']['mean']:+.3f}",
        str(len(entry["runs"])),
    ]
