"""`litescene detect`: the objects in pictures."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import typer

from litescene.cli.annotation import annotate
from litescene.cli.options import Engine, Limit, OutFolder, Source, a_number
from litescene.runtime.catalog import DEFAULT_DETECTOR
from litescene.runtime.records import BoxFormat

EXAMPLES = (
    "litescene detect picture.jpg",
    "litescene detect rtsp://camera/stream --out objects/ --limit 500",
    "litescene detect 'pictures/*.png' --model yolov5_lite_e --score 0.3",
    "litescene detect drive.mp4 --track --format coco --format mot",
)


def command(
    source: Source,
    model: Annotated[
        str, typer.Option(help="name of a shipped model, or a bundle's file")
    ] = DEFAULT_DETECTOR,
    out: OutFolder = None,
    engine: Engine = "auto",
    limit: Limit = None,
    score: Annotated[
        float | None,
        typer.Option(
            help="least score, 0 to 1; the model's own by default",
            min=0, max=1, show_default=False, callback=a_number,
        ),
    ] = None,
    iou: Annotated[
        float | None,
        typer.Option(
            help="overlap from which a box suppresses a worse one, 0 to 1; the model's by default",
            min=0, max=1, show_default=False, callback=a_number,
        ),
    ] = None,
    suppression: Annotated[
        Literal["class", "all", "soft"],
        typer.Option(
            help="boxes suppress worse ones of their class, of all classes, or only lower the "
            "scores of their class"
        ),
    ] = "class",
    track: Annotated[
        bool, typer.Option("--track", help="give objects ids that stay from frame to frame")
    ] = False,
    formats: Annotated[
        list[BoxFormat] | None,
        typer.Option(
            "--format", help="also write detections_coco.json or detections_mot.txt; repeatable",
            show_default=False,
        ),
    ] = None,
) -> None:  # fmt: skip
    """Find the objects in a picture, folder, video, stream or camera.

    A picture gives NAME_detections.jsonl and NAME_overlay.png in the current folder.
    Everything else gives detections.jsonl (one line a frame), overlay.mp4 and summary.json
    in NAME_detect/; results of an earlier time in it are replaced.

    The pictures of a folder may differ in size, but not with --track. Of cameras and live streams
    the newest frame is taken; summary.json counts the dropped ones. With --track an object gets
    its id with its second frame, and boxes below --score are kept where they continue one;
    detections_mot.txt then holds only boxes with an id.
    """
    from litescene.runtime.annotate import detect_source

    detect = detect_source
    if track:
        from litescene.scene.objects import LOW_SCORE, ObjectTracker

        detect = partial(
            detect_source,
            tracking=lambda high: ObjectTracker(high=high, low=min(LOW_SCORE, high)),
        )
    annotate(
        "detecting", detect, source, out, model=model, engine=engine, limit=limit, score=score,
        iou=iou, suppression=suppression, formats=formats or (),
    )  # fmt: skip
