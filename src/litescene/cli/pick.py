"""`litescene pick`: the most accurate network that is fast enough here."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from litescene.cli.options import Protocol, Results, a_number
from litescene.cli.table import format_table, number
from litescene.core.errors import InputError
from litescene.core.provenance import processor
from litescene.core.trained import COMMON, RESULTS, TrainedRun, no_accuracy, trained_by
from litescene.runtime.benchmark import Benchmark, choose_network, last_kept
from litescene.runtime.catalog import shipped

EXAMPLES = (
    "litescene pick --task segmentation --fps 30",
    "litescene pick --fps 10 --json speed.json",
)
RUNNERS_UP = 4
NAMED = 6
"""Networks that a remark names."""


def command(
    fps: Annotated[
        float,
        typer.Option(help="frames a second to keep up with", min=0.01, callback=a_number),
    ],
    task: Annotated[Literal["segmentation"], typer.Option(help="segmentation")] = "segmentation",
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json",
            help="a record of `litescene bench`; the last one of the cache folder by default",
            show_default=False,
        ),
    ] = None,
    protocol: Protocol = COMMON,
    results: Results = RESULTS,
) -> None:
    """Name the most accurate network that keeps up with a frame rate on this machine.

    The latencies are those that `litescene bench segmentation` measured here, and three frames
    of four must be in time; reading and drawing the frames is not part of them. The accuracies
    are those of the results of training.
    """
    trained = trained_by(protocol, task, results)
    if not trained:
        raise InputError(no_accuracy(protocol, task, results))
    file = json_file or last_kept()
    if file is None:
        raise InputError(
            f"nothing was measured on this machine yet; run: litescene bench {task} (or give its "
            "record with --json)"
        )
    record = Benchmark.read(file)
    choice = choose_network(record, trained, 1000 / fps)
    best = choice.in_time[0]
    _print_best(best, record, trained[best])
    _print_use(best, trained[best], results)
    _print_ready(record, trained, 1000 / fps)
    shown = [*choice.too_slow[-RUNNERS_UP:], *choice.in_time[1 : 1 + RUNNERS_UP]]
    if shown:
        print("\nnext to it:")
        rows = [_row(name, record, trained, 1000 / fps) for name in shown]
        print(format_table(["network", "mean IoU", "ms", "fps", f"{fps:g} fps"], rows))
    _say_what_to_mind(record, trained)


def _print_best(name: str, record: Benchmark, run: TrainedRun) -> None:
    entry, (height, width) = record.networks[name], record.size
    times = entry.runtime_ms
    print(f"{name}: mean IoU {run.mean_iou:.3f} ({run.data}, protocol {run.protocol})")
    print(
        f"{times.median:.1f} ms a frame, upper quartile {times.q3:.1f} "
        f"({1000 / times.median:.1f} fps), at {width}×{height} with {entry.engine} on "
        f"{record.conditions['threads']} threads, measured {entry.date}"
    )


def _print_use(name: str, run: TrainedRun, results: Path) -> None:
    """The command to use it; weights that neither ship nor lie beside the results are trained."""
    checkpoint, ships = results.parent / name / "last.safetensors", shipped().get(name)
    print("\nuse it:")
    if ships is not None and not checkpoint.is_file():
        stated = ships.open().contract.accuracy.get("mean_iou")
        note = f"  # shipped weights, mean IoU {stated:.3f} by their own card" if stated else ""
        print(f"  litescene segment VIDEO --model {name}{note}")
        return
    if not checkpoint.is_file():  # `train --all` writes run folders and results side by side
        checkpoint = Path("runs") / name / "best.safetensors"
        recipe = shlex.quote(run.protocol)
        print(f"  litescene train {recipe} --set model.name={name} --out runs/{name}")
    print(f"  litescene export {shlex.quote(str(checkpoint))} -o {name}.onnx")
    print(f"  litescene segment VIDEO --model {name}.onnx")


def _print_ready(record: Benchmark, trained: Mapping[str, TrainedRun], milliseconds: float) -> None:
    """Networks with shipped weights that are in time, but have no accuracy by this protocol."""
    for name, ships in shipped().items():
        entry = record.networks.get(name)
        if entry is None or name in trained or entry.runtime_ms.q3 > milliseconds:
            continue
        stated = ships.open().contract.accuracy.get("mean_iou")
        accuracy = f", mean IoU {stated:.3f} by its own card and recipe" if stated else ""
        latency = f"{entry.runtime_ms.median:.1f} ms a frame"
        print(f"\nships, and is in time: {name}{accuracy}, {latency}")
        print(f"  litescene segment VIDEO --model {name}")


def _row(
    name: str, record: Benchmark, trained: Mapping[str, TrainedRun], milliseconds: float
) -> list[str]:
    times = record.networks[name].runtime_ms
    return [
        name,
        number(trained[name].mean_iou),
        number(times.median, 1),
        number(1000 / times.median, 1),
        "yes" if times.q3 <= milliseconds else "too slow",
    ]


def _listed(names: Sequence[str]) -> str:
    """The first few, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def _say_what_to_mind(record: Benchmark, trained: Mapping[str, TrainedRun]) -> None:
    """What the choice does not rest on, on stderr."""
    unknown = [name for name in record.networks if name not in trained]
    unmeasured = [name for name in trained if name not in record.networks]
    if unknown:
        print(f"left out without an accuracy: {_listed(unknown)}", file=sys.stderr)
    if unmeasured:
        print(f"left out without a measurement: {_listed(unmeasured)}", file=sys.stderr)
    there = record.conditions.get("processor")
    if there != processor():
        print(f"measured on another machine: {there}, this is {processor()}", file=sys.stderr)
