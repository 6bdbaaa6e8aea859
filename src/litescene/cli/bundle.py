"""`litescene bundle`: metadata onto somebody else's ONNX model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from litescene.cli.options import check_bundle_file, parse_size
from litescene.core.contract import FINISH_OF_TASK, Contract
from litescene.core.errors import InputError
from litescene.runtime.adopt import adopt, read_anchors, read_taxonomy

EXAMPLES = (
    "litescene bundle theirs.onnx -o ours.onnx --task segmentation --labels cityscapes19 "
    "--size 1024x512",
    "litescene bundle theirs.onnx -o ours.onnx --task detection --labels names.txt "
    "--size 320x320 --anchors anchors.json",
)


def command(
    model: Annotated[Path, typer.Argument(help="ONNX file that takes uint8 N×H×W×3 RGB")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the bundle to write")],
    task: Annotated[
        Literal["segmentation", "detection", "classification"], typer.Option(help="what it does")
    ],
    labels: Annotated[
        str,
        typer.Option(
            help="camvid11, cityscapes19, coco80, street8, or a text file: one class a line, "
            "as 'name' or 'name r g b'"
        ),
    ],
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT at which it was trained")],
    anchors: Annotated[
        Path | None,
        typer.Option(help="JSON with strides and anchors of a detector", show_default=False),
    ] = None,
    crop_share: Annotated[
        float | None,
        typer.Option(
            help="of a classifier: what it sees, as a share of the picture's shorter side",
            show_default="1.0",
        ),
    ] = None,
    system: Annotated[str, typer.Option(help="name of the network")] = "foreign",
    license_name: Annotated[str, typer.Option("--license", help="licence of the weights")] = "",
) -> None:
    """Write litescene's metadata onto an ONNX model that another program made.

    The model is run, at two sizes unless it classifies (export it with free height and width), and
    must give logits 1×C×h×w (segmentation) or one raw map per level
    1×(a·(5+C))×h×w (detection, decoded as YOLOv5 does), or logits 1×C (classification).
    Normalisation belongs into its graph.
    """
    check_bundle_file(out)
    height, width = parse_size(size)
    for option, given, wanted in (
        ("--anchors", anchors, "detection"),
        ("--crop-share", crop_share, "classification"),
    ):
        if given is not None and task != wanted:
            raise InputError(f"{option} is of {wanted}, not of {task}; leave it out")
    head: dict[str, Any] = {}
    if task == "detection":
        if anchors is None:
            raise InputError("a detector needs --anchors FILE.json with its strides and anchors")
        head = read_anchors(anchors)
    contract = Contract(
        task=task,
        system=system,
        taxonomy=read_taxonomy(labels),
        size=(height, width),
        finish=FINISH_OF_TASK[task],
        crop_share=1.0 if crop_share is None else crop_share,
        license=license_name,
        provenance={"adopted_from": model.name},
        **head,
    )
    bundle = adopt(model, contract, out)
    print(out)
    print(f"{task}, {len(contract.taxonomy)} classes, {width}×{height}, {bundle.digest[:16]}...")
