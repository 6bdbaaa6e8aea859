"""AdaPool's fused CPU kernels against PyTorch's poolings, and against AdaPool of its operators.

    OMP_NUM_THREADS=2 python benchmarks/pooling_speed.py --json out.json

Candidates take turns (A B C A B C …) on one tensor in one process, two runs each, of which the
first finds the caches full of others and is not timed. Times are medians with quartiles by the
clock and of the processor (of all threads; other programs disturb it less), ratios those of each
round to PyTorch's average pooling. Forward is without a graph; forward + backward gives
AdaPool's β its gradient too. The compiled reference needs a C++ compiler, and is left out without
one. Errors are the largest difference from float64, of the gradient of β relative to its size.

The cases of a run replace those of the same name in the JSON file, so the table can be measured in
pieces, each with its own date. Close other programs first.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.core.provenance import installed_versions, provenance
from litescene.media import write_atomic
from litescene.ops.pooling import ada_pool
from litescene.runtime import default_threads
from litescene.runtime.benchmark import Spread

THREADS = min(default_threads(), int(os.environ.get("OMP_NUM_THREADS") or default_threads()))
FUSED, AVERAGE, MAXIMUM = "fused", "avg_pool", "max_pool"
EAGER, COMPILED = "reference", "compiled reference"
CANDIDATES = (FUSED, AVERAGE, MAXIMUM, EAGER, COMPILED)
Pool = Callable[..., Tensor]
Run = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A tensor and the windows over it."""

    shape: tuple[int, ...]
    kernel: int
    stride: int
    channels_last: bool = False

    def tensor(self) -> Tensor:
        """The same random numbers for every candidate."""
        x = torch.randn(self.shape, generator=torch.Generator().manual_seed(0))
        return x.contiguous(memory_format=torch.channels_last) if self.channels_last else x


_PICTURES = (8, 64, 112, 112)
CASES = {
    "k2s2": Case(_PICTURES, 2, 2),
    "k3s2": Case(_PICTURES, 3, 2),
    "k3s1": Case(_PICTURES, 3, 1),
    "3d_k2s2": Case((4, 32, 16, 56, 56), 2, 2),
    "channels_last_k2s2": Case(_PICTURES, 2, 2, channels_last=True),
}


def pools(case: Case, names: Sequence[str], beta: Tensor) -> dict[str, Pool]:
    """The candidates as functions of x."""
    three = len(case.shape) == 5
    windows: dict[str, Any] = {"kernel_size": case.kernel, "stride": case.stride}
    reference: Pool = partial(ada_pool, beta=beta, backend="reference", **windows)
    found: dict[str, Pool] = {
        FUSED: partial(ada_pool, beta=beta, **windows),
        AVERAGE: partial(F.avg_pool3d if three else F.avg_pool2d, **windows),
        MAXIMUM: partial(F.max_pool3d if three else F.max_pool2d, **windows),
        EAGER: reference,
        COMPILED: torch.compile(reference, dynamic=False),
    }
    return {name: found[name] for name in names}


def runs(case: Case, names: Sequence[str], backward: bool) -> dict[str, Run]:
    """What is timed."""
    x = case.tensor().requires_grad_(backward)
    beta = torch.tensor(0.5, requires_grad=backward)
    g = torch.ones_like(pools(case, [AVERAGE], beta)[AVERAGE](x.detach()))

    def run(pool: Pool) -> None:
        x.grad = beta.grad = None
        with torch.set_grad_enabled(backward):
            y = pool(x)
        if backward:
            torch.autograd.backward(y, g)

    return {name: partial(run, pool) for name, pool in pools(case, names, beta).items()}


def compiles() -> bool:
    """Whether `torch.compile` finds what it needs."""
    try:
        torch.compile(torch.sin)(torch.zeros(4))
    except torch._dynamo.exc.TorchDynamoException:
        return False
    return True


def times(candidates: dict[str, Run], rounds: int) -> dict[str, Any]:
    """Milliseconds of every candidate, and each round's ratio to the average pooling."""
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    processor: dict[str, list[float]] = {name: [] for name in candidates}
    for run in candidates.values():
        run()  # compiles what is to be compiled
    for _ in range(rounds):
        for name, run in candidates.items():
            run()
            began, busy = time.perf_counter(), time.process_time()
            run()
            wall[name].append((time.perf_counter() - began) * 1e3)
            processor[name].append((time.process_time() - busy) * 1e3)
    return {
        name: {
            "ms": asdict(Spread.of(wall[name])),
            "ratio": asdict(Spread.of(ratios(wall[name], wall[AVERAGE]))),
            "processor_ms": asdict(Spread.of(processor[name])),
            "processor_ratio": asdict(Spread.of(ratios(processor[name], processor[AVERAGE]))),
        }
        for name in candidates
    }


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(values, others, strict=True)]


def errors(case: Case) -> dict[str, float]:
    """Largest differences of output and gradients from float64, image by image."""
    x, beta = case.tensor().requires_grad_(), torch.tensor(0.5, requires_grad=True)
    y = ada_pool(x, case.kernel, case.stride, beta=beta)
    g = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    to_x, to_beta = torch.autograd.grad(y, (x, beta), g)
    largest, exact_beta = {"output": 0.0, "gradient": 0.0}, 0.0
    for i in range(len(x)):
        image = x[i : i + 1].detach().double().requires_grad_()
        share = beta.detach().double().requires_grad_()
        exact = ada_pool(image, case.kernel, case.stride, beta=share, backend="reference")
        exact_x, part = torch.autograd.grad(exact, (image, share), g[i : i + 1].double())
        exact_beta += float(part)
        for key, ours, theirs in (("output", y[i], exact[0]), ("gradient", to_x[i], exact_x[0])):
            largest[key] = max(largest[key], float((ours - theirs).detach().abs().max()))
    return largest | {"gradient_of_beta": abs(float(to_beta) - exact_beta) / abs(exact_beta)}


def measure(name: str, names: Sequence[str], rounds: int) -> dict[str, Any]:
    """The record of a case."""
    case, before = CASES[name], os.getloadavg()
    torch.compiler.reset()  # what it saw of other cases would make it guess at sizes that vary
    return {
        **asdict(case),
        "forward": times(runs(case, names, backward=False), rounds),
        "forward_backward": times(runs(case, names, backward=True), rounds),
        "errors": errors(case),
        "threads": torch.get_num_threads(),
        "load": [before, os.getloadavg()],
        **provenance(),
        "numba": installed_versions(["numba", "llvmlite"]),
    }


def show(name: str, found: dict[str, Any]) -> None:
    """Rows of the table."""
    for step in ("forward", "forward_backward"):
        for candidate in CANDIDATES:
            if candidate not in found[step]:
                print(f"| {name} | {step} | {candidate} | not measured |" + " |" * 3)
                continue
            of = found[step][candidate]
            cells = [
                f"{of[key]['median']:.2f} ({of[key]['q1']:.2f} to {of[key]['q3']:.2f})"
                for key in ("ms", "ratio", "processor_ms", "processor_ratio")
            ]
            print(f"| {name} | {step} | {candidate} | {' | '.join(cells)} |")
    said = ", ".join(f"{key} {value:.1e}" for key, value in found["errors"].items())
    print(f"{name}: errors {said}")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES), choices=CANDIDATES)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(words)
    torch.set_num_threads(THREADS)
    names = [name for name in CANDIDATES if name in (*given.candidates, AVERAGE)]
    if COMPILED in names and not compiles():
        print("torch.compile finds no C++ compiler: the compiled reference is left out")
        names.remove(COMPILED)
    stored = json.loads(given.json.read_text()) if given.json and given.json.exists() else {}
    print("| case | pass | candidate | ms | to avg_pool | processor ms | to avg_pool |")
    print("|---" * 7 + "|")
    for name in given.cases:
        stored[name] = measure(name, names, given.rounds)
        show(name, stored[name])
        if given.json:
            write_atomic(given.json, json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
