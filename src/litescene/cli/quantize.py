"""`litescene quantize`: a float32 bundle in, an int8 bundle out."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litescene.core.errors import MissingExtraError
from litescene.runtime.engines import installed

if TYPE_CHECKING:
    from litescene.core.frame import Image
    from litescene.media.sources import Source

EXAMPLES = (
    "litescene quantize pp_liteseg_t -o pp_liteseg_t_int8.onnx --pictures camvid/train",
    "litescene quantize mine.onnx -o mine_int8.onnx --pictures 'drive/*.jpg' --limit 200",
)
WANTED = 0.97
"""Share of decisions in common with float32 below which a warning is due."""


def command(
    bundle: Annotated[str, typer.Argument(help="name of a shipped bundle, or a bundle's file")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the int8 bundle to write, .onnx")],
    pictures: Annotated[
        str, typer.Option(help="pictures like those in use: folder, glob or video")
    ],
    limit: Annotated[int, typer.Option(help="take so many of them, evenly spread", min=8)] = 64,
) -> None:
    """Turn a float32 bundle into an int8 one (needs the extra `train`).

    The pictures show which values occur in the network; labels are not needed. Every fourth of
    them is kept aside, and on these the share of decisions is measured on which int8 and float32
    agree. Measure its accuracy with `litescene evaluate`.
    """
    for package in ("onnx", "onnxruntime"):
        if not installed(package):
            raise MissingExtraError("quantising", "train")
    from litescene.export.quantize import quantize
    from litescene.media.sources import open_source
    from litescene.runtime.catalog import find

    exact = find(bundle)
    with open_source(pictures) as source:
        images = spread(source, limit)
    made = quantize(exact, out, images)
    print(out)
    print(f"{len(exact.model) / 1e6:.1f} MB became {len(made.model) / 1e6:.1f} MB")
    for name, value in made.contract.parity.items():
        print(f"{name}: {value}")
    share = made.contract.parity["int8_agreement"]
    if share is not None and share < WANTED:
        print(
            f"warning: int8 decides otherwise than float32 in {1 - share:.1%} of all cases; "
            "compare their accuracies with `litescene evaluate` before you use it"
        )


def spread(source: Source, count: int) -> list[Image]:
    """At most `count` pictures of a source, from all over it where it says how many it has."""
    step = max((source.frame_count or count) // count, 1)
    return list(islice((f.image for f in source if f.index % step == 0), count))
