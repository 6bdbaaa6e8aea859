"""The section that says what each part of PP-LiteSeg brings and costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison import table

HEAD = ["FLD", "SPPM", "UAFM", "parameters", "GMACs", "engine", "runtime ms", "mean IoU", "seeds"]

EXPLAINED = """\
## The parts of PP-LiteSeg

The configurations of its paper's ablation, trained on CamVid alike, without pretraining. FLD is the
decoder whose channels fall from x32 to x8 (without it they are 96 everywhere), SPPM the pooled
context, UAFM the attention by which maps are fused (without it they are added). Accuracy is the
mean IoU (0 to 1) on val after the last epoch, as mean ± sample standard deviation over the seeds.
Bundles are timed in turn, as above. The paper's own figures, pretrained and on Cityscapes val, rise
from 77.50 % for the baseline to 78.21 % with all parts."""


def ablation(file: Path) -> str:
    """Explanation, conditions and table; nothing where it was not measured."""
    if not file.is_file():
        return ""
    record = json.loads(file.read_text("utf-8"))
    rows = [row(entry) for entry in record["configurations"].values()]
    return "\n\n".join([EXPLAINED, conditions(record), table(HEAD, rows)])


def conditions(record: Mapping[str, Any]) -> str:
    """A line on what was trained and measured, where and when."""
    given, machine = record["conditions"], record["machine"]
    height, width = given["size"]
    return (
        f"`{given['model']}` by the recipe `{given['protocol']}`, {given['epochs']} epochs; timed "
        f"at {width}×{height} in {given['rounds']} rounds. ({machine['processor']}, "
        f"{machine['threads']} threads, {machine['date']}, commit {machine['commit']})"
    )


def row(entry: Mapping[str, Any]) -> list[str]:
    """A configuration: its parts, what it takes, what it reaches."""
    options, ms, accuracy = entry["options"], entry["runtime_ms"], entry["mean_iou"]
    spread = "" if accuracy["deviation"] is None else f" ± {accuracy['deviation']:.4f}"
    return [
        "yes" if len(set(options["widths"])) > 1 else "-",
        "yes" if options["context"] else "-",
        "-" if options["attention"] == "sum" else options["attention"],
        f"{entry['parameters']:,}",
        f"{entry['macs'] / 1e9:.3f}",
        entry["engine"],
        f"{ms['median']:.2f} ({ms['q1']:.2f} to {ms['q3']:.2f})",
        f"{accuracy['mean']:.4f}{spread}",
        str(len(entry["runs"])),
    ]
