"""`litescene segment`: the class of every pixel."""

from __future__ import annotations

from typing import Annotated

import typer

from litescene.cli.annotation import annotate
from litescene.cli.options import Engine, Limit, OutFolder, Source
from litescene.runtime.catalog import DEFAULT_SEGMENTER

EXAMPLES = (
    "litescene segment picture.jpg",
    "litescene segment drive.mp4 --out labelled/ --limit 200",
    "litescene segment pictures/ --model runs/mine/best.onnx --engine openvino-f32",
)


def command(
    source: Source,
    model: Annotated[
        str, typer.Option(help="name of a shipped model, or a bundle's file")
    ] = DEFAULT_SEGMENTER,
    out: OutFolder = None,
    engine: Engine = "auto",
    limit: Limit = None,
) -> None:
    """Label every pixel of a picture, folder, video, stream or camera.

    A picture gives NAME_labels.png (class indices) and NAME_overlay.png in the current folder.
    Everything else gives labels/*.png, labels.jsonl (their times), overlay.mp4 and summary.json
    in NAME_segment/; results of an earlier time in it are replaced. The pictures of a folder may
    differ in size.
    """
    from litescene.runtime.annotate import segment_source

    annotate("segmenting", segment_source, source, out, model=model, engine=engine, limit=limit)
