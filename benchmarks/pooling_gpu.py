"""AdaPool on a GPU: the fused kernels against the reference, eager and compiled.

    python benchmarks/pooling_gpu.py --json benchmarks/results/pooling_gpu.json

Times are the device's: while it waits in a kernel that does nothing, a few calls are queued behind;
their time is that between two events, over their number. A measurement that was queued too slowly
is repeated with a longer wait. Candidates take turns (A B C A B C …); figures are medians with
quartiles over the rounds. Calls go over several inputs in turn, so that nothing is in the cache
that would not be in a network. `learned` is the backward pass with the gradient of β, and of the
logit that it is made of. `bytes` is what has to be moved at least (forward: read x, write y;
backward: read x and g, write the gradient of x), and `share` is that per second over the copy
bandwidth, which is measured in the same rounds on 1 GiB. The kernel's output and gradient are
compared with the reference in float64 besides. Exits with 2 where there is no CUDA device.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from litescene.core.provenance import provenance
from litescene.media import write_atomic
from litescene.ops.pooling import AdaPool, ada_pool, triton_launch

SHAPE = (32, 64, 112, 112)
CASES: dict[str, tuple[tuple[int, ...], dict[str, Any], bool]] = {
    "2d_k2s2": (SHAPE, {"kernel_size": 2}, False),
    "2d_k3s2p1": (SHAPE, {"kernel_size": 3, "stride": 2, "padding": 1}, False),
    "2d_k2s2_channels_last": (SHAPE, {"kernel_size": 2}, True),
    "3d_k2s2": ((8, 64, 16, 56, 56), {"kernel_size": 2}, False),
}
"""Shape, windows, and whether channels come last."""
DTYPES = {"float32": torch.float32, "float16": torch.float16}
INPUTS, CALLS = 4, 8
WAIT = 50_000_000
"""Clock cycles that the device waits at first, about 30 ms."""
COPIED = 1 << 30
Call = Callable[[int], Any]


def device_ms(call: Call) -> float:
    """Milliseconds of a call on the device."""
    wait = WAIT
    while True:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        torch.cuda._sleep(wait)  # type: ignore[no-untyped-call]
        begin.record()
        for i in range(CALLS):
            call(i % INPUTS)
        end.record()
        # the device was still waiting when all was queued
        in_time = not begin.query()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        if in_time:
            return float(begin.elapsed_time(end)) / CALLS
        wait *= 2
        if wait > 64 * WAIT:
            raise SystemExit("calls cannot be queued ahead of the device; is something else busy?")


@dataclass(frozen=True)
class Case:
    """Inputs of a case in one type."""

    x: list[Tensor]
    how: dict[str, Any]

    @classmethod
    def of(cls, name: str, dtype: torch.dtype) -> Case:
        shape, how, last = CASES[name]
        generator = torch.Generator("cuda").manual_seed(0)
        x = [torch.randn(shape, generator=generator, device="cuda") for _ in range(INPUTS)]
        if last:
            x = [t.contiguous(memory_format=torch.channels_last) for t in x]
        return cls([t.to(dtype).requires_grad_() for t in x], how)

    def pools(self) -> dict[str, AdaPool]:
        eager = AdaPool(**self.how, backend="reference").cuda()
        compiled = AdaPool(**self.how, backend="reference").cuda()
        compiled.compile(dynamic=False)
        return {"fused": AdaPool(**self.how).cuda(), "compiled": compiled, "eager": eager}

    def least_bytes(self) -> dict[str, int]:
        x = self.x[0]
        into, out = x.numel(), ada_pool(x.detach(), **self.how).numel()
        return {
            "forward": (into + out) * x.element_size(),
            "backward": (2 * into + out) * x.element_size(),
        }

    def calls(self, pool: AdaPool) -> dict[str, Call]:
        @torch.no_grad()
        def forward(i: int) -> Any:
            return pool(self.x[i])

        learned = [pool(x) for x in self.x]
        slopes = [torch.randn_like(y) for y in learned]
        pool.logit.requires_grad_(False)
        outputs = [pool(x) for x in self.x]
        pool.logit.requires_grad_(True)

        def backward(i: int) -> Any:
            return torch.autograd.grad(outputs[i], self.x[i], slopes[i], retain_graph=True)

        def backward_learned(i: int) -> Any:
            wanted = (self.x[i], pool.logit)
            return torch.autograd.grad(learned[i], wanted, slopes[i], retain_graph=True)

        return {"forward": forward, "backward": backward, "learned": backward_learned}

    def errors(self) -> dict[str, float]:
        """Largest differences of the fused kernels from float64 on a part of the first input."""
        found = []
        for dtype in (self.x[0].dtype, torch.float64):
            x = self.x[0][:1, :8].detach().to(dtype).requires_grad_()
            y = ada_pool(x, beta=0.5, **self.how)
            (gradient,) = torch.autograd.grad(y.sum(), x)
            found.append((y.detach().double(), gradient.double()))
        (y, gradient), (y_true, gradient_true) = found
        return {
            "forward": float((y - y_true).abs().max()),
            "gradient": float((gradient - gradient_true).abs().max()),
        }


def copying() -> Call:
    source, target = (torch.empty(COPIED // 4, device="cuda") for _ in range(2))
    return lambda i: target.copy_(source)


def quartiles(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle, "q1": low, "q3": high}


def measure(name: str, dtype: str, rounds: int) -> dict[str, Any]:
    torch.compiler.reset()  # after a few recompilations it would go on without compiling
    case = Case.of(name, DTYPES[dtype])
    calls: dict[str, Call] = {"copy": copying()}
    for who, pool in case.pools().items():
        calls |= {f"{who} {which}": call for which, call in case.calls(pool).items()}
    for call in calls.values():
        for i in range(INPUTS):
            call(i)
    times: dict[str, list[float]] = {what: [] for what in calls}
    for _ in range(rounds):
        for what, call in calls.items():
            times[what].append(device_ms(call))
    return summary(case, {what: quartiles(each) for what, each in times.items()})


def summary(case: Case, ms: dict[str, dict[str, float]]) -> dict[str, Any]:
    least = case.least_bytes()
    bandwidth = 2 * COPIED / (ms["copy"]["median"] / 1e3)
    share = {
        which: count / (ms[f"fused {which}"]["median"] / 1e3) / bandwidth
        for which, count in least.items()
    }
    return {
        "shape": list(case.x[0].shape), "windows": case.how, "bytes": least,
        "copy_bytes_per_second": bandwidth, "ms": ms, "share": share, "error": case.errors(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("pooling_gpu: there is no CUDA device here; nothing was measured", file=sys.stderr)
        raise SystemExit(2)
    if not triton_launch.installed():
        print("pooling_gpu: Triton is not installed; nothing was measured", file=sys.stderr)
        raise SystemExit(2)
    cases = {
        f"{name} {dtype}": measure(name, dtype, args.rounds) for name in CASES for dtype in DTYPES
    }
    for name, found in cases.items():
        shares = ", ".join(f"{which} {part:.0%}" for which, part in found["share"].items())
        print(f"{name}: {shares} of {found['copy_bytes_per_second'] / 1e12:.2f} TB/s")
    record = {
        "device": torch.cuda.get_device_name(),
        "rounds": args.rounds,
        "cases": cases,
        "machine": provenance(),
    }
    if args.json:
        write_atomic(args.json, json.dumps(record, indent=1).encode())


if __name__ == "__main__":
    main()
