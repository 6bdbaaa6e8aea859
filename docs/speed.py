"""The section that says how fast the pooling kernels are on a CPU."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CANDIDATES = {
    "fused": "AdaPool",
    "avg_pool": "PyTorch's average",
    "max_pool": "PyTorch's maximum",
    "compiled reference": "AdaPool of PyTorch's operators, compiled",
    "reference": "the same, eager",
}
STEPS = {"forward": "forward", "forward_backward": "forward + backward"}


def pooling_speed(file: Path) -> str:
    """Table and conditions; nothing where it was not measured."""
    if not file.is_file():
        return ""
    record: dict[str, Any] = json.loads(file.read_text("utf-8"))
    head = ["windows", "input", "", *CANDIDATES.values()]
    rows = [row(case, step) for case in record.values() for step in STEPS]
    lines = [head, ["---"] * len(head), *rows]
    one = next(iter(record.values()))
    said = (
        f"Medians in milliseconds, float32, {one['threads']} threads, all candidates in turn; in "
        "brackets the median ratio to the average. With a gradient, β gets its own too. Written by "
        f"`benchmarks/pooling_speed.py`. ({one['processor']}, {one['date']}, commit "
        f"{one['commit']})"
    )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n" + said


def row(case: Mapping[str, Any], step: str) -> list[str]:
    """A case's line, forward or with its gradients."""
    size = "×".join(map(str, case["shape"])) + (", channels last" if case["channels_last"] else "")
    return [
        f"kernel {case['kernel']}, stride {case['stride']}",
        size,
        STEPS[step],
        *(figure(case[step].get(name)) for name in CANDIDATES),
    ]


def figure(found: Mapping[str, Any] | None) -> str:
    """Time and ratio; a dash where it could not be measured."""
    if found is None:
        return "-"
    return f"{found['ms']['median']:.1f} ({found['ratio']['median']:.2f})"
