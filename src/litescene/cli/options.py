"""Arguments and options that several verbs share."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated

import typer

from litescene.core.errors import InputError

SMALLEST = 64
"""Sides of a picture that every network takes, from here up."""

Source = Annotated[
    str,
    typer.Argument(
        help="video file, picture, folder or glob of pictures, rtsp://..., or camera:0",
        show_default=False,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        help="auto, openvino, openvino-f32, openvino-bf16 or onnxruntime; auto measures once"
    ),
]
Limit = Annotated[
    int | None, typer.Option(help="end after this many frames", min=1, show_default=False)
]
OutFolder = Annotated[
    Path | None, typer.Option("--out", "-o", help="folder for the results", show_default=False)
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="write the figures to this file", show_default=False)
]
JsonSwitch = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]
Protocol = Annotated[str, typer.Option(help="recipe of the trainings whose accuracies count")]
Results = Annotated[
    Path,
    typer.Option(
        help="folder of results of training (`train --all` writes one); the package's by default",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
]


def check_bundle_file(out: Path) -> None:
    """Refuse the name of a bundle that is to come, before the work that makes it.

    Raises `InputError` for another ending, `OutputError` where nothing can be written.
    """
    from litescene.media.atomic import require_writable

    if out.suffix != ".onnx":
        raise InputError(f"-o {out}: a bundle's name ends with .onnx")
    require_writable(out)


def a_number(value: float | None) -> float | None:
    """Refuse NaN, which is within all bounds."""
    if value is not None and math.isnan(value):
        raise typer.BadParameter("nan is not a number")
    return value


def parse_size(text: str) -> tuple[int, int]:
    """Height and width of `--size WIDTHxHEIGHT`; an `InputError` for anything else."""
    sides = re.fullmatch(r"(\d+)[xX×](\d+)", text)
    if sides is None or min(map(int, sides.groups())) < SMALLEST:
        raise InputError(
            f"--size {text}: expected WIDTHxHEIGHT from {SMALLEST}x{SMALLEST} up, as 480x360"
        )
    return int(sides[2]), int(sides[1])
