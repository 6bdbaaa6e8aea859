"""What every start costs: import, help, one picture; and what the base install weighs.

    python benchmarks/startup.py [--rounds 7] [--json result.json]

Each figure is the median over fresh processes, after one that is not counted (it compiles and
fills the caches); that of the first run ever has empty caches each time. The base install is
measured through the metadata of installed packages: the files of litescene's own dependencies and
theirs, without the extras.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from litescene.core.provenance import provenance
from litescene.media import write_atomic
from litescene.runtime.catalog import DEFAULT_SEGMENTER, shipped


def seconds(command: list[str], folder: str, rounds: int) -> dict[str, float]:
    """Median and quartiles of the time a command takes from start to end."""
    return quartiles([once(command, folder) for _ in range(rounds + 1)][1:])


def first_seconds(command: list[str], folder: str, rounds: int) -> dict[str, float]:
    """The same with nothing kept: no kernel, no compiled network, no choice of engine."""
    times = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as kept, tempfile.TemporaryDirectory() as kernels:
            fresh = {"LITESCENE_CACHE": kept, "NUMBA_CACHE_DIR": kernels}
            times.append(once(command, folder, os.environ | fresh))
    return quartiles(times)


def once(command: list[str], folder: str, environment: Mapping[str, str] | None = None) -> float:
    """Seconds that a command takes from start to end."""
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def quartiles(times: list[float]) -> dict[str, float]:
    """Median and quartiles, rounded."""
    q1, median, q3 = statistics.quantiles(times, n=4)
    return {"median": round(median, 3), "q1": round(q1, 3), "q3": round(q3, 3)}


def base_packages() -> set[str]:
    """Names of everything that `pip install litescene` brings, without extras."""
    found: set[str] = set()
    waiting = ["litescene"]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                waiting.append(canonicalize_name(needed.name))
    return found


def megabytes(name: str) -> float:
    """Size of the files of an installed package."""
    files = importlib.metadata.files(name) or []
    paths = [Path(str(file.locate())) for file in files]
    sizes = [path.stat().st_size for path in paths if path.is_file()]
    return round(sum(sizes) / 1e6, 1)


def measure(rounds: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "litescene.cli"]
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (45, 60, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        PIL.Image.fromarray(noise).save(Path(folder) / "picture.jpg")
        result["python"] = seconds([sys.executable, "-c", "pass"], folder, rounds)
        result["import litescene"] = seconds(
            [sys.executable, "-c", "import litescene"], folder, rounds
        )
        result["litescene --help"] = seconds([*command, "--help"], folder, rounds)
        if DEFAULT_SEGMENTER in shipped():
            result["litescene segment picture.jpg"] = seconds(
                [*command, "segment", "picture.jpg"], folder, rounds
            )
            result["litescene segment picture.jpg, the first run ever"] = first_seconds(
                [*command, "segment", "picture.jpg"], folder, 3
            )
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sizes = {name: megabytes(name) for name in sorted(base_packages())}
    record = {
        "what": "startup",
        "seconds": measure(given.rounds),
        "base_install_mb": round(sum(sizes.values()), 1),
        "base_packages_mb": dict(sorted(sizes.items(), key=lambda entry: -entry[1])),
        **provenance(),
    }
    print(json.dumps(record, indent=2))
    if given.json:
        write_atomic(given.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
