"""The table of the formats of other runtimes: sizes and differences of the shipped bundles."""

from __future__ import annotations

import json
from pathlib import Path

from comparison import table


def flavours(file: Path) -> str:
    """Table and origin; nothing where it was not measured."""
    if not file.is_file():
        return ""
    record = json.loads(file.read_text("utf-8"))
    rows = []
    for name, formats in record["models"].items():
        for flavour, found in formats.items():
            if "refused" in found:
                rows.append([f"`{name}`", f"`{flavour}`", "-", found["refused"].partition(";")[0]])
                continue
            share = f"{found['share_of_largest_output']:.2g}"
            absolute = f"{found['largest_difference']:.2g}"
            size = f"{found['bytes'] / 1e6:.2f}"
            rows.append([f"`{name}`", f"`{flavour}`", size, f"{absolute} ({share})"])
    head = ["bundle", "format", "MB", "largest difference (share of the largest output)"]
    machine = record["machine"]
    return (
        f"{table(head, rows)}\n\nBy `python benchmarks/flavours.py`. ({machine['processor']}, "
        f"{machine['date']}, commit {machine['commit']})"
    )
