"""How fast the built-in street is rendered, with every channel of truth.

    python benchmarks/street_speed.py [--seconds 10] [--seeds 3] [--json result.json]

One street per seed at 480×360 and 20 frames a second; building the town is counted apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from litescene.core.provenance import provenance
from litescene.media import write_atomic
from litescene.runtime import default_threads
from litescene.synth import Street


def measure(seed: int, seconds: float) -> dict[str, float]:
    """Seconds to build a town and frames a second through it."""
    began = time.perf_counter()
    street = Street(seed=seed, seconds=seconds)
    frames = street.frames()
    next(frames)
    built = time.perf_counter()
    count = sum(1 for _ in frames)
    return {
        "build_seconds": round(built - began, 2),
        "frames_per_second": round(count / (time.perf_counter() - built), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    runs = [measure(seed, given.seconds) for seed in range(given.seeds)]
    result = {
        "size": "480x360",
        "frames": int(given.seconds * 20),
        "frames_per_second": statistics.median(r["frames_per_second"] for r in runs),
        "runs": runs,
    }
    print(json.dumps(result, indent=2))
    if given.json:
        record = {"machine": provenance() | {"threads": default_threads()}, **result}
        write_atomic(given.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
