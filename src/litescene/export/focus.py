"""Is Focus worth it? The stem of YOLOv5 against plain convolutions, measured on this machine.

The article that introduced YOLOv5-Lite argues by parameters and operations that Focus (slices of
every second pixel, then a 3×3 convolution) costs four times a 3×3 convolution with stride 2; the
authors of YOLOv5 later took one 6×6 convolution with stride 2 instead, which computes the same.
Here the three stand side by side: counted, and timed in turn in PyTorch,
forward alone and in training with the gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from litescene.core.provenance import provenance
from litescene.export.profile import Profile, profile
from litescene.export.timing import take_turns
from litescene.models.csp_blocks import Focus, batch_norm
from litescene.runtime.benchmark import Spread

FORMS: dict[str, Callable[[int], nn.Module]] = {
    "Focus: 4 slices, 3×3": lambda channels: Focus(3, channels),
    "6×6, stride 2": lambda channels: _convolution(channels, 6),
    "3×3, stride 2": lambda channels: _convolution(channels, 3),
}


@dataclass(frozen=True, slots=True)
class FocusRow:
    """Counts of one picture, and milliseconds of a batch."""

    name: str
    parameters: int
    macs: int
    flops_with_norms: int
    forward_ms: Spread
    training_ms: Spread


def _convolution(channels: int, kernel: int) -> nn.Module:
    """With batch norm and SiLU, as Focus has them."""
    padding = (kernel - 1) // 2
    return nn.Sequential(
        nn.Conv2d(3, channels, kernel, 2, padding, bias=False), batch_norm(channels), nn.SiLU()
    )


def compare(
    size: tuple[int, int], channels: int, batch: int, threads: int, rounds: int,
    report: Callable[[int], None],
) -> list[FocusRow]:  # fmt: skip
    """Count and time all forms, in turn (A B C A B C ...) on so many threads.

    Args:
        size: height and width of the pictures, even.
        channels: those that the stem gives.
        batch: pictures at a time.
        threads: of PyTorch.
        rounds: turns of every form.
        report: is told the number of rounds done.

    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _compare(size, channels, batch, rounds, report)
    finally:
        torch.set_num_threads(before)


def _compare(
    size: tuple[int, int], channels: int, batch: int, rounds: int, report: Callable[[int], None]
) -> list[FocusRow]:
    torch.manual_seed(0)
    x = torch.rand(batch, 3, *size)
    networks = {name: make(channels) for name, make in FORMS.items()}
    paths: dict[tuple[str, str], Callable[[], Any]] = {}
    for name, network in networks.items():
        paths[name, "forward"] = _forward(network, x)
        paths[name, "training"] = _training(network, x)
    times = take_turns(paths, rounds, report)
    rows = []
    for name, network in networks.items():
        counts: Profile = profile(network, size)
        forward, training = (Spread.of(times[name, kind]) for kind in ("forward", "training"))
        flops = counts.flops_with_norms
        rows.append(FocusRow(name, counts.parameters, counts.macs, flops, forward, training))
    return rows


def _forward(network: nn.Module, x: torch.Tensor) -> Callable[[], Any]:
    def run() -> None:
        network.eval()
        with torch.inference_mode():
            network(x)

    return run


def _training(network: nn.Module, x: torch.Tensor) -> Callable[[], Any]:
    def run() -> None:
        network.train()
        network.zero_grad()
        network(x).sum().backward()

    return run


def record(rows: list[FocusRow], **conditions: Any) -> dict[str, Any]:
    """The experiment as plain JSON."""
    return {"benchmark": "focus", **conditions, **provenance(), "forms": [asdict(r) for r in rows]}
