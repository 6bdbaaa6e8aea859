"""The section that says what skipping blocks of a picture saves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison import table


def sparsity(file: Path) -> str:
    """Table and conditions; nothing where it was not measured."""
    if not file.is_file():
        return ""
    record: dict[str, Any] = json.loads(file.read_text("utf-8"))
    rows = [row(case, share) for case in record["results"] for share in case["shares"]]
    head = ["network", "engine", "active", "GMACs", "ms (quartiles)", "of dense"]
    machine, one = record["machine"], record["results"][0]
    height, width = one["size"]
    said = (
        f"At {width}×{height} in blocks of {one['block']}, {machine['threads']} threads; medians, "
        "and the median of the ratios to the dense network, round by round. Written by "
        f"`benchmarks/sparse_speed.py`. ({machine['processor']}, {machine['date']}, commit "
        f"{machine['commit']})"
    )
    return f"{table(head, rows)}\n\n{said}"


def row(case: Mapping[str, Any], share: Mapping[str, Any]) -> list[str]:
    """The line of a network in an engine with a share of its blocks active."""
    ms = share["ms"]
    return [
        f"`{case['network']}`",
        case["engine"],
        f"{share['share']:.1%}",
        f"{share['macs'] / 1e9:.2f}",
        f"{ms['median']:.0f} ({ms['q1']:.0f}-{ms['q3']:.0f})",
        f"{share['ratio']['median']:.2f}",
    ]
