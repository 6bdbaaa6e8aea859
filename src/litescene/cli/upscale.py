"""`litescene upscale`: larger pictures and videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litescene.cli.options import Engine, Limit, Source
from litescene.cli.restoration import Model, restore

EXAMPLES = (
    "litescene upscale picture.jpg -o larger.png --model super_resolution_x2.onnx",
    "litescene upscale drive.mp4 -o larger.mp4 --model super_resolution_x2.onnx --limit 200",
)


def command(
    source: Source,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="the file to write: .png of a picture, else .mp4")
    ],
    model: Model,
    engine: Engine = "auto",
    limit: Limit = None,
) -> None:
    """Make a picture, or every frame of a video, larger by the bundle's factor.

    The recipes super_resolution_x2 and others train such networks.
    """
    from litescene.runtime.restore import upscale_source

    restore("upscaling", upscale_source, source, out, model=model, engine=engine, limit=limit)
