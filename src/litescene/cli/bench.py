"""`litescene bench`: what every network takes on this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from litescene.cli.bench_focus import bench_focus
from litescene.cli.options import Engine, Protocol, Results, parse_size
from litescene.cli.progress import keeps, progress
from litescene.cli.table import format_table, number
from litescene.cli.train_all import Choice
from litescene.core.errors import InputError, MissingExtraError
from litescene.core.trained import COMMON, RESULTS, TrainedRun, no_accuracy, trained_by
from litescene.media.atomic import require_writable, write_atomic
from litescene.runtime.benchmark import (
    ASKED,
    Benchmark,
    Measurement,
    Spread,
    conditions_of,
    differences,
    front,
    kept_file,
)
from litescene.runtime.engines import check_engine, default_threads, installed

EXAMPLES = (
    "litescene bench segmentation",
    "litescene bench segmentation --json speed.json --picture front.svg",
    "litescene bench segmentation --models 'pp_liteseg_*' --models enet --size 640x360",
    "litescene bench focus --json focus.json",
)
CLASSES = 11
"""Those of CamVid."""
PICTURES = (".svg", ".png")
HEAD = ("network", "mean IoU", "M params", "GMACs", "MB", "memory MB", "runtime ms", "eager ms",
        "speed-up", "fps")  # fmt: skip


def command(
    task: Annotated[
        Literal["segmentation", "focus"],
        typer.Argument(help="segmentation: every network; focus: the stem of YOLOv5"),
    ],
    size: Annotated[
        str | None,
        typer.Option(
            help="WIDTHxHEIGHT of the frames; 480x360, for focus 640x640", show_default=False
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(help="only networks whose name fits; may be repeated", show_default=False),
    ] = None,
    engine: Engine = "auto",
    threads: Annotated[
        int | None, typer.Option(help="cores to use; all by default", min=1, show_default=False)
    ] = None,
    rounds: Annotated[int, typer.Option(help="turns of every network", min=2)] = 10,
    protocol: Protocol = COMMON,
    results: Results = RESULTS,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="the record; written as it grows", show_default=False),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            help="accuracy against latency: .svg, .png, or both without an ending",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="measure also what the record already holds")
    ] = False,
) -> int:
    """Measure speed, size and memory of every registered segmentation network, or Focus.

    Needs the extra `train`.

    Networks take turns (A B C A B C ...) in groups of six; in each turn two runs are timed after
    others for a fiftieth of a second. The times are of a frame to its labels at one size: through
    the bundle with the fused upsample and argmax, and in PyTorch eager float32. Weights are random
    where no bundle ships; speed hardly depends on them. Of `auto` the fastest float32 engine is
    taken. MACs are those of convolutions and linear layers; a FLOP count would be twice as large.
    Memory is the peak of a process that only runs the bundle, and in brackets the network's share
    of it.

    What a record of the same machine, versions and settings already holds is not measured again:
    after Ctrl-C the same command goes on. A whole record in --json, of any machine or version, is
    printed and drawn with the accuracies of now. The last record stays in the cache folder for
    `litescene pick`. Accuracies are those of the results of training.

    `focus` repeats an experiment on YOLOv5's stem: Focus against one convolution of 6×6 and one of
    3×3, counted and timed in PyTorch, forward and in training. It takes --size, --threads,
    --rounds and --json.
    """
    if not installed("torch"):
        raise MissingExtraError("measuring networks against PyTorch", "train")
    if task == "focus":
        if models or picture or again or engine != "auto":
            raise InputError("bench focus takes --size, --threads, --rounds and --json only")
        bench_focus(parse_size(size or "640x640"), threads or default_threads(), rounds, json_file)
        return 0
    names = _names(models)
    if json_file is not None:
        require_writable(json_file)
    trained = trained_by(protocol, task, results)
    if not trained:
        raise InputError(no_accuracy(protocol, task, results))
    if picture is not None:
        _check_picture(picture, any(name in trained for name in names), protocol, results)
    conditions = _conditions(
        parse_size(size or "480x360"), engine, threads or default_threads(), rounds
    )
    record = _record(conditions, names, json_file, again)
    missing = [name for name in names if again or name not in record.networks]
    if len(missing) < len(names):
        held = len(names) - len(missing)
        print(f"{held} of {len(names)} were measured before; see --again", file=sys.stderr)
    failed = _measure(record, missing, json_file)
    if json_file is not None:
        record.write(json_file)
    shown = Benchmark(
        record.conditions, {n: record.networks[n] for n in names if n in record.networks}
    )
    if shown.networks:
        _print(shown, trained)
    if picture is not None and front(shown, trained):
        _draw(picture, shown, trained, protocol)
    for name, why in failed.items():
        print(f"litescene: {name} could not be measured: {why}", file=sys.stderr)
    return 1 if failed else 0


def _names(patterns: list[str] | None) -> list[str]:
    """Registered segmentation networks that fit one of the patterns."""
    from litescene.models import list_models

    return Choice(tuple(patterns or ("*",))).names(list_models(task="segmentation"))


def _conditions(size: tuple[int, int], engine: str, threads: int, rounds: int) -> dict[str, Any]:
    if engine != "auto":
        check_engine(engine)
    return conditions_of(size, engine, threads, rounds, CLASSES)


def _record(
    conditions: dict[str, Any], names: list[str], json_file: Path | None, again: bool
) -> Benchmark:
    """The record to go on with: that of the file, that of the cache, or an empty one."""
    if json_file is not None and json_file.is_file():
        record = Benchmark.read(json_file)
        other = differences(record, conditions)
        if not other:
            return record
        if again:
            return Benchmark(conditions)
        if set(names) <= set(record.networks) and not set(other) & set(ASKED):
            print(
                f"{json_file} is shown as it was measured; here and now differ: {', '.join(other)}",
                file=sys.stderr,
            )
            return record
        raise InputError(
            f"{json_file} was measured under other conditions ({', '.join(other)}); choose "
            "another file, or replace it with --again"
        )
    with suppress(InputError):  # none there, or of an older litescene
        record = Benchmark.read(kept_file(conditions))
        if not differences(record, conditions):
            return record
    return Benchmark(conditions)


def _measure(record: Benchmark, names: list[str], json_file: Path | None) -> dict[str, str]:
    """Measure, with progress; Ctrl-C says where the measurements are."""
    if not names:
        return {}
    from litescene.export.bench import measure_networks

    file = json_file or kept_file(record.conditions)
    kept = f"finished groups are kept in {file}; the same command goes on"
    with keeps(kept), progress("") as report:
        return measure_networks(record, names, json_file, report)


def _print(record: Benchmark, trained: Mapping[str, TrainedRun]) -> None:
    """A line per network, the fastest first; the front is marked."""
    best = set(front(record, trained))
    ranked = sorted(record.networks.values(), key=lambda entry: entry.runtime_ms.median)
    rows = [row(entry, trained.get(entry.name), entry.name in best) for entry in ranked]
    print(format_table(HEAD, rows))
    height, width = record.size
    engines = ", ".join(sorted({entry.engine for entry in ranked}))
    print(
        f"\n{width}×{height}, {engines}, {record.conditions['threads']} threads, "
        f"{record.conditions['processor']}; median (quartiles); + no other is faster and better"
    )
    drift = [entry.reference_ms for entry in ranked]
    print(
        f"the same network in every group took {min(drift):.2f} to {max(drift):.2f} ms; "
        "differences within that share are the machine's"
    )


def row(entry: Measurement, run: TrainedRun | None, best: bool) -> list[str]:
    """The cells of a network under `HEAD`; `best` marks those of the front."""
    return [
        f"{entry.name}{' +' if best else ''}",
        number(run.mean_iou if run else None),
        number(entry.parameters / 1e6, 2),
        number(entry.macs / 1e9, 2),
        number(entry.bundle_bytes / 1e6, 1),
        _memory(entry),
        _spread(entry.runtime_ms, 1),
        _spread(entry.eager_ms, 1),
        _spread(entry.speed_up, 2),
        number(1000 / entry.runtime_ms.median, 1),
    ]


def _memory(entry: Measurement) -> str:
    if entry.peak_bytes is None or entry.network_bytes is None:
        return "-"
    return f"{entry.peak_bytes / 1e6:.0f} ({entry.network_bytes / 1e6:.0f})"


def _spread(spread: Spread, digits: int) -> str:
    low, high = (f"{value:.{digits}f}" for value in (spread.q1, spread.q3))
    return f"{spread.median:.{digits}f} ({low}-{high})"


def _check_picture(picture: Path, has_points: bool, protocol: str, results: Path) -> None:
    """Refuse a picture that could not be drawn before anything is measured."""
    if picture.suffix not in ("", *PICTURES):
        raise InputError(f"a picture is .svg or .png, not '{picture.suffix}'")
    if not has_points:
        raise InputError(no_accuracy(protocol, folder=results))
    for file in _pictures(picture):
        require_writable(file)


def _pictures(picture: Path) -> list[Path]:
    """The files to draw: as the ending says, without one all."""
    return [picture.with_suffix(s) for s in ([picture.suffix] if picture.suffix else PICTURES)]


def _draw(
    picture: Path, record: Benchmark, trained: Mapping[str, TrainedRun], protocol: str
) -> None:
    """Draw the networks that have an accuracy; without an ending as SVG and as PNG."""
    from litescene.media.front_picture import ChartPoint, draw_front

    points = [
        ChartPoint(name, entry.runtime_ms.median, trained[name].mean_iou)
        for name, entry in record.networks.items()
        if name in trained
    ]
    height, width = record.size
    conditions = (
        f"{width}x{height}, {record.conditions['threads']} threads, "
        f"{record.conditions['processor']}; accuracy by protocol '{protocol}'"
    )
    sheet = draw_front(points, front(record, trained), "Accuracy against latency", conditions)
    for file in _pictures(picture):
        write_atomic(file, sheet.svg() if file.suffix == ".svg" else sheet.png())
        print(file)
