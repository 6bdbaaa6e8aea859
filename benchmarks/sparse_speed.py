"""What skipping blocks saves: SCTF and ISCTF at several shares of active blocks.

The same network runs with all blocks active (its fine column on the whole picture at once) and with
a half, a quarter and an eighth of them, in PyTorch and in both engines of the runtime. The
candidates alternate (A B C D A B C D …) on one picture in one process; figures are medians with
quartiles of the times and of each round's ratio to the dense network, by the clock and in the
processor time of this process, which other processes disturb less. The machine's load before and
after is kept with the figures. Weights are random: which
blocks are chosen does not change the time. Set OMP_NUM_THREADS for the number of cores.

    OMP_NUM_THREADS=1 python benchmarks/sparse_speed.py --json out.json
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from litescene.core import Contract, Taxonomy, distinct_colors
from litescene.core.provenance import provenance
from litescene.export import profile
from litescene.export.graph import BundleGraph, to_onnx
from litescene.media import write_atomic
from litescene.models import create_model
from litescene.runtime import Bundle, create_engine, default_threads
from litescene.runtime.bundle import write_metadata

CLASSES = 19
THREADS = min(default_threads(), int(os.environ.get("OMP_NUM_THREADS") or default_threads()))
"""Cores that the process may use, or fewer where the environment says so; for every engine."""
SHARES = (1.0, 0.5, 0.25, 0.125)
ENGINES = ("pytorch", "onnxruntime", "openvino-f32")
Run = Callable[[NDArray[np.uint8]], Any]


def network(name: str, share: float) -> torch.nn.Module:
    """The same random weights for every share."""
    torch.manual_seed(0)
    return create_model(name, num_classes=CLASSES, share=share).eval()


def in_pytorch(model: torch.nn.Module) -> Run:
    """Eager, batch norms folded, as the bundle has them."""
    graph = BundleGraph(model).eval()

    @torch.inference_mode()
    def run(picture: NDArray[np.uint8]) -> Any:
        return graph(torch.from_numpy(picture))

    return run


def in_engine(model: torch.nn.Module, name: str, engine: str, size: tuple[int, int]) -> Run:
    names = tuple(f"class{i}" for i in range(CLASSES))
    taxonomy = Taxonomy("none", names, distinct_colors(CLASSES))
    contract = Contract("segmentation", name, taxonomy, size, "upsample_argmax")
    bundle = Bundle.from_bytes(write_metadata(to_onnx(model), contract), name)
    return create_engine(engine, bundle, THREADS).run


def prepare(name: str, engine: str, size: tuple[int, int]) -> dict[float, Run]:
    models = {share: network(name, share) for share in SHARES}
    if engine == "pytorch":
        return {share: in_pytorch(model) for share, model in models.items()}
    return {share: in_engine(model, name, engine, size) for share, model in models.items()}


def quartiles(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle, "q1": low, "q3": high, "min": min(values)}


def ratios(values: Sequence[float], dense: Sequence[float]) -> dict[str, float]:
    return quartiles([a / b for a, b in zip(values, dense, strict=True)])


def compare(name: str, engine: str, size: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Alternate the shares on one picture."""
    picture = np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8)
    runs = prepare(name, engine, size)
    for run in runs.values():
        run(picture)
    wall: dict[float, list[float]] = {share: [] for share in runs}
    processor: dict[float, list[float]] = {share: [] for share in runs}
    for _ in range(rounds):
        for share, run in runs.items():
            began, busy = time.perf_counter(), time.process_time()
            run(picture)
            wall[share].append((time.perf_counter() - began) * 1e3)
            processor[share].append((time.process_time() - busy) * 1e3)
    macs = {share: profile(network(name, share), size).macs for share in SHARES}
    return {
        "network": name,
        "engine": engine,
        "size": list(size),
        "block": create_model(name).block,
        "rounds": rounds,
        "shares": [
            {
                "share": share,
                "macs": macs[share],
                "macs_ratio": macs[share] / macs[1.0],
                "ms": quartiles(wall[share]),
                "ratio": ratios(wall[share], wall[1.0]),
                "processor_ms": quartiles(processor[share]),
                "processor_ratio": ratios(processor[share], processor[1.0]),
            }
            for share in runs
        ],
    }


def spread(found: dict[str, float], digits: int) -> str:
    median, low, high = (f"{found[key]:.{digits}f}" for key in ("median", "q1", "q3"))
    return f"{median} ({low} to {high})"


def show(results: Sequence[dict[str, Any]]) -> None:
    heads = "network | size | engine | share active | GMACs (ratio) | ms | to dense"
    print(f"| {heads} | processor ms | to dense |")
    print("|---" * 9 + "|")
    for r in results:
        for s in r["shares"]:
            keys = ("ms", "ratio", "processor_ms", "processor_ratio")
            cells = [
                r["network"],
                f"{r['size'][1]}×{r['size'][0]}",
                r["engine"],
                f"{100 * s['share']:g} %",
                f"{s['macs'] / 1e9:.2f} ({s['macs_ratio']:.2f})",
                *(spread(s[key], 2 if "ratio" in key else 1) for key in keys),
            ]
            print(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["sctf", "isctf"])
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--size", type=int, nargs=2, default=(512, 1024))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(THREADS)
    size = (given.size[0], given.size[1])
    before = os.getloadavg()
    results = [
        compare(name, engine, size, given.rounds)
        for name in given.networks
        for engine in given.engines
    ]
    show(results)
    if given.json:
        record = {
            "machine": provenance() | {"threads": THREADS, "load": [before, os.getloadavg()]},
            "results": results,
        }
        write_atomic(given.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
