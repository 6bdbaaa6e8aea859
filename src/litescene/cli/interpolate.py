"""`litescene interpolate`: twice the frame rate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litescene.cli.options import Engine, Limit, Source
from litescene.cli.restoration import Model, restore

EXAMPLES = (
    "litescene interpolate drive.mp4 -o smooth.mp4 --model frame_interpolation.onnx",
    "litescene interpolate frames/ -o smooth.mp4 --model frame_interpolation.onnx --limit 100",
)


def command(
    source: Source,
    out: Annotated[Path, typer.Option("--out", "-o", help="the video to write, .mp4")],
    model: Model,
    engine: Engine = "auto",
    limit: Limit = None,
) -> None:
    """Double the frame rate of a video: a frame is made between every two.

    It is shown half-way in time; the frames of the source stay. The recipe frame_interpolation
    trains such a network.
    """
    from litescene.runtime.restore import interpolate_source

    restore("interpolating", interpolate_source, source, out, model=model, engine=engine,
            limit=limit)  # fmt: skip
