"""`litescene quantize`: a float32 bundle in, an int8 bundle out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litescene.cli.evaluate import Measured, Measurement, measured
from litescene.cli.options import check_bundle_file
from litescene.cli.progress import progress
from litescene.core.errors import InputError, MissingExtraError, OutputError
from litescene.runtime.engines import installed

if TYPE_CHECKING:
    from litescene.runtime.bundle import Bundle

EXAMPLES = (
    "litescene quantize pp_liteseg_t -o pp_liteseg_t_int8.onnx --pictures camvid/train",
    "litescene quantize mine.onnx -o mine_int8.onnx --pictures 'drive/*.jpg' --limit 200",
    "litescene quantize yolov5_lite_s -o s_int8.onnx --pictures road_signs/images "
    "--data voc:road_signs",
)
WANTED = 0.97
"""Share of decisions in common with float32 below which a warning is due."""
CHIEF = {"segmentation": "mean_iou", "detection": "ap50", "classification": "top1"}
"""The accuracy that counts, by task."""
MOST_LOST = 0.01
"""Loss of it above which a warning is due."""


def command(
    bundle: Annotated[str, typer.Argument(help="name of a shipped bundle, or a bundle's file")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the int8 bundle to write, .onnx")],
    pictures: Annotated[
        str, typer.Option(help="pictures like those in use: folder, glob or video")
    ],
    limit: Annotated[int, typer.Option(help="take so many of them, evenly spread", min=8)] = 64,
    data: Annotated[
        str | None,
        typer.Option(
            help="FORMAT:PATH of labelled data, as of `evaluate`: both bundles are measured on it",
            show_default=False,
        ),
    ] = None,
    split: Annotated[str | None, typer.Option(help="split of --data", show_default="val")] = None,
) -> None:
    """Turn a float32 bundle into an int8 one (needs the extra `train`).

    The pictures show which values occur in the network; labels are not needed. Every fourth of
    them is kept aside, and on these the share of decisions is measured on which int8 and float32
    agree. With --data the accuracy of both is measured, and a loss of more than one point (0.01 of
    mean IoU, AP50 or top-1) is warned of; the int8 bundle then states its own.
    """
    for package in ("onnx", "onnxruntime"):
        if not installed(package):
            raise MissingExtraError("quantising", "train")
    from litescene.export.int8 import LEAST_PICTURES, quantize, state_accuracy
    from litescene.media.picture_samples import sample_pictures
    from litescene.runtime.catalog import find

    if data is None and split is not None:
        raise InputError(f"--split {split} is of --data; give both or neither")
    check_bundle_file(out)
    exact = find(bundle)
    if out.exists() and Path(bundle).exists() and out.samefile(bundle):
        raise OutputError(f"-o {out} is the float32 bundle itself; choose another name")
    seen = sample_pictures(pictures, limit)
    if len(seen) < LEAST_PICTURES:
        raise InputError(
            f"--pictures {pictures}: {len(seen)} are too few to calibrate and compare; give at "
            f"least {LEAST_PICTURES}, better 50, that look like those in use"
        )
    split = split or "val"
    before = None if data is None else _measured(exact, data, split)
    with progress("calibrating") as report:
        made = quantize(exact, out, seen, report)
    print(out)
    print(f"{len(exact.model) / 1e6:.1f} MB became {len(made.model) / 1e6:.1f} MB")
    for name, value in made.contract.parity.items():
        print(f"{name}: {value}")
    share = made.contract.parity["int8_agreement"]
    if share is None:
        print(
            "warning: no picture held an object, so int8 is unproven and badly calibrated; give "
            "--pictures like those in use"
        )
    elif share < WANTED:
        print(
            f"warning: int8 decides otherwise than float32 in {1 - share:.1%} of all cases; "
            "compare their accuracies (--data) before you use it"
        )
    if before is not None:
        after = _measured(made, str(data), split)
        _print_loss(CHIEF.get(exact.contract.task, "psnr"), f"{data}, {split}", before, after)
        state_accuracy(out, {name: v for name, v in after.metrics.items() if isinstance(v, float)})


def _measured(bundle: Bundle, data: str, split: str) -> Measured:
    with progress("evaluating") as report:
        return measured(bundle, Measurement(data, split, "auto", report))


def _print_loss(chief: str, data: str, exact: Measured, made: Measured) -> None:
    """What int8 costs on the data, and a warning if that is much."""
    before, after = exact.metrics[chief], made.metrics[chief]
    lost = before - after
    print(
        f"{chief} on {data}: {before:.4f} in float32 ({exact.engine}), {after:.4f} in int8 "
        f"({made.engine}), {-lost:+.4f}"
    )
    if chief in CHIEF.values() and lost > MOST_LOST:
        print(
            f"warning: int8 loses {100 * lost:.1f} points of {chief}; calibrate with more pictures "
            "that look like those in use, or stay with float32"
        )
