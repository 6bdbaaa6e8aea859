"""`litescene bench focus`: Focus against plain convolutions, on this machine."""

from __future__ import annotations

import json
from pathlib import Path

from litescene.cli.progress import progress
from litescene.cli.table import format_table
from litescene.core.errors import InputError
from litescene.media.atomic import write_atomic
from litescene.runtime.benchmark import Spread

CHANNELS = 32
"""Those that the stem of YOLOv5-Lite-g gives."""
HEAD = ("stem", "parameters", "GMACs", "GFLOPs with norms", "forward ms", "training ms")


def bench_focus(size: tuple[int, int], threads: int, rounds: int, json_file: Path | None) -> None:
    """Print the table, and write the record if a file is given; sides are even."""
    if size[0] % 2 or size[1] % 2:
        raise InputError(f"Focus takes pictures of even sides, not {size[1]}×{size[0]}")
    from litescene.export.focus import compare, record

    with progress("rounds") as report:
        rows = compare(size, CHANNELS, 1, threads, rounds, lambda done: report(done, rounds))
    cells = [
        (
            *(row.name, f"{row.parameters:,}", f"{row.macs / 1e9:.4f}"),
            f"{row.flops_with_norms / 1e9:.4f}",
            *(_spread(times) for times in (row.forward_ms, row.training_ms)),
        )
        for row in rows
    ]
    print(format_table(HEAD, cells))
    height, width = size
    print(
        f"\n3 to {CHANNELS} channels at {width}×{height}, batch 1, {threads} threads, PyTorch "
        "eager float32, norms and SiLU included; median (quartiles) of stems in turn. Training is "
        "forward and all gradients. Focus and the 6×6 convolution compute the same."
    )
    if json_file is not None:
        conditions = {"size": list(size), "channels": CHANNELS, "threads": threads}
        write_atomic(json_file, json.dumps(record(rows, **conditions), indent=1) + "\n")


def _spread(times: Spread) -> str:
    return f"{times.median:.2f} ({times.q1:.2f}-{times.q3:.2f})"
