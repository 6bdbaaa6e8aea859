"""`litescene synth street`: the built-in street with its exact truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from litescene.cli.progress import keeps, progress

EXAMPLES = (
    "litescene synth street -o street/ --seconds 20 --layout video",
    "litescene synth street -o set/ --seed 7 --layout camvid",
)
LAYOUTS = Literal["all", "camvid", "masks", "coco", "yolo", "kitti", "tum", "euroc", "video"]


def command(
    scene: Annotated[Literal["street"], typer.Argument(help="what to render")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder to write to")],
    seconds: Annotated[float, typer.Option(help="length of the drive")] = 20.0,
    seed: Annotated[int, typer.Option(help="the town, its traffic and its light")] = 0,
    layout: Annotated[
        LAYOUTS, typer.Option(help="layout of the files; all makes a folder of each")
    ] = "video",
    width: Annotated[int, typer.Option(help="pixels")] = 480,
    height: Annotated[int, typer.Option(help="pixels")] = 360,
    rate: Annotated[float, typer.Option(help="frames a second")] = 20.0,
) -> None:
    """Render a drive through a town with the truth of every pixel, box, pose and IMU sample.

    The same seed gives the same bytes. Needs the extra `synth`. The layout `video` is a video,
    its camera file and the truth to score a run against.
    """
    from litescene.synth import Street
    from litescene.synth.layouts import write_street

    with keeps(f"the frames so far are in {out}, and their files are valid"):
        street = Street(seed, width, height, seconds, rate)
        with progress("rendering") as report:
            count = write_street(street, out, layout, report)
    print(f"{count} frames of {width}×{height}, {street.poses.length:.1f} m, in {out}")
