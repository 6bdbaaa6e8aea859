"""`litescene export`: a checkpoint in, a proven bundle out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from litescene.core.errors import MissingExtraError
from litescene.runtime.engines import installed

EXAMPLES = (
    "litescene export runs/camvid/best.safetensors -o pp_liteseg_t.onnx",
    "litescene export best.safetensors -o mine.onnx --pictures val/ --license CC-BY-4.0",
)
PROOF_PICTURES = 16


def command(
    checkpoint: Annotated[Path, typer.Argument(help="a .safetensors file of a run")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the bundle to write, .onnx")],
    pictures: Annotated[
        str | None,
        typer.Option(
            help=f"folder or glob; its first {PROOF_PICTURES} pictures join the proof",
            show_default=False,
        ),
    ] = None,
    license_name: Annotated[str, typer.Option("--license", help="licence of the weights")] = "",
) -> None:
    """Turn a checkpoint into a bundle (needs the extra `train`).

    The bundle is run against the network at three sizes and two batch sizes. If outputs differ
    by more than 1e-4 of the largest one, or decisions differ, nothing is written and the code is
    1. Real pictures also measure whether bf16 decides like float32.
    """
    if not installed("torch"):
        raise MissingExtraError("exporting", "train")
    from litescene.export import export_checkpoint
    from litescene.media.sources import open_source

    images = []
    if pictures is not None:
        with open_source(pictures, limit=PROOF_PICTURES) as source:
            images = [frame.image for frame in source]
    bundle = export_checkpoint(checkpoint, out, images, license_name)
    print(out)
    print(f"{bundle.contract.task}, {bundle.contract.system}, {bundle.digest[:16]}...")
    for name, value in bundle.contract.parity.items():
        print(f"{name}: {value}")
