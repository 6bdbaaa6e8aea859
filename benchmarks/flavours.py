"""Shipped bundles in the formats of other runtimes: sizes, and differences to the bundle.

    python benchmarks/flavours.py --json benchmarks/results/flavours.json

Every shipped bundle is converted at its trained size as `litescene export --to` does it, run in the
runtime on drawn pictures, and compared in float32. A format that cannot hold a network is recorded
with the reason.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litescene.core import LitesceneError
from litescene.core.provenance import provenance
from litescene.export.flavours import TARGETS, convert
from litescene.media import write_atomic
from litescene.runtime.catalog import shipped


def measure(name: str, flavour: str) -> dict[str, Any]:
    """Size and difference of one conversion, or why there is none."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = convert(shipped()[name].open(), flavour, folder)
        except LitesceneError as error:
            return {"refused": str(error)}
        size = sum((done.folder / file).stat().st_size for file in TARGETS[flavour].files(name))
        return {
            "bytes": size,
            "largest_difference": float(f"{done.absolute:.3g}"),
            "share_of_largest_output": float(f"{done.difference:.3g}"),
        }


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--models", nargs="*", default=list(shipped()))
    given = parser.parse_args(words)
    record: dict[str, Any] = {"machine": provenance(), "models": {}}
    for name in given.models:
        record["models"][name] = {flavour: measure(name, flavour) for flavour in TARGETS}
        for flavour, found in record["models"][name].items():
            print(name, flavour, *(f"{key}={value}" for key, value in found.items()))
    if given.json:
        write_atomic(given.json, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
