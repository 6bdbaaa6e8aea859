"""`litescene detect`: the objects in pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from litescene.cli.annotation import annotate
from litescene.cli.options import Engine, Limit, OutFolder, Source
from litescene.runtime.catalog import DEFAULT_DETECTOR

EXAMPLES = (
    "litescene detect picture.jpg",
    "litescene detect rtsp://camera/stream --out objects/ --limit 500",
    "litescene detect 'pictures/*.png' --model yolov5_lite_e",
)


def command(
    source: Source,
    model: Annotated[
        str, typer.Option(help="name of a shipped model, or a bundle's file")
    ] = DEFAULT_DETECTOR,
    out: OutFolder = None,
    engine: Engine = "auto",
    limit: Limit = None,
) -> None:
    """Find the objects in a picture, folder, video, stream or camera.

    A picture gives NAME_detections.jsonl and NAME_overlay.png in the current folder.
    Everything else gives detections.jsonl (one line a frame), overlay.mp4 and summary.json
    in NAME_detect/; results of an earlier time in it are replaced.
    """
    from litescene.runtime.annotate import detect_source

    annotate("detecting", detect_source, source, out, model=model, engine=engine, limit=limit)
