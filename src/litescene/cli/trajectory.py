"""`litescene trajectory`: an estimated trajectory against the true one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from litescene.cli.options import JsonFile
from litescene.cli.table import format_table, number
from litescene.media.atomic import write_atomic
from litescene.media.trajectory_files import read_trajectory
from litescene.metrics.trajectory import (
    MAX_TIME_DIFFERENCE,
    Alignment,
    ErrorStatistics,
    TrajectoryScores,
    evaluate_trajectory,
)

EXAMPLES = (
    "litescene trajectory drive/trajectory.txt poses.txt --align sim3",
    "litescene trajectory estimate.txt truth.csv --json scores.json",
)


def command(
    estimate: Annotated[Path, typer.Argument(help="trajectory in TUM, KITTI or EuRoC format")],
    truth: Annotated[Path, typer.Argument(help="the true one, in any of these formats")],
    align: Annotated[
        Alignment,
        typer.Option(help="sim3 (also fits the scale), se3, or none"),
    ] = "sim3",
    max_difference: Annotated[
        float, typer.Option(help="seconds between poses that count as one moment", min=0.0)
    ] = MAX_TIME_DIFFERENCE,
    json_file: JsonFile = None,
) -> None:
    """Measure a trajectory: ATE, RPE and, for paths over 100 m, KITTI's drift.

    Poses are matched by time. KITTI's format has no times: they are read from times.txt beside
    the poses. Distances are in the unit of the truth.
    """
    scores = evaluate_trajectory(
        read_trajectory(estimate), read_trajectory(truth), align, max_difference
    )
    if json_file is not None:
        write_atomic(json_file, json.dumps(scores.to_dict(), indent=2) + "\n")
    _print(scores)


def _print(scores: TrajectoryScores) -> None:
    print(
        f"{scores.matches} of {scores.poses} poses matched, path {scores.path_length:.2f}, "
        f"alignment {scores.align}, scale {scores.scale:.6g}"
    )
    rows = [
        _row("absolute position (ATE)", scores.ate),
        _row("relative position (RPE)", scores.rpe_translation),
        _row("relative rotation, degrees", scores.rpe_rotation_degrees),
    ]
    print(format_table(["error", "rmse", "mean", "median", "max"], rows))
    if scores.segments is not None:
        s = scores.segments
        print(
            f"KITTI drift over {s.segments} segments: {s.translation_percent:.3f} %, "
            f"{s.rotation_degrees_per_metre:.5f} degrees per metre"
        )


def _row(name: str, errors: ErrorStatistics) -> list[str]:
    figures = (errors.rmse, errors.mean, errors.median, errors.max)
    return [name, *(number(figure, 4) for figure in figures)]
