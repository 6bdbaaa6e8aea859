"""`litescene export`: a checkpoint in, a proven bundle out, or files of another runtime."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from litescene.cli.options import check_bundle_file, parse_size
from litescene.core.errors import InputError, MissingExtraError
from litescene.runtime.engines import installed

if TYPE_CHECKING:
    from litescene.core.frame import Image
    from litescene.runtime.bundle import Bundle

EXAMPLES = (
    "litescene export runs/camvid/best.safetensors -o pp_liteseg_t.onnx",
    "litescene export best.safetensors -o mine.onnx --pictures val/ --license CC-BY-4.0",
    "litescene export yolov5_lite_e --to ncnn -o phone/ --size 320x320",
    "litescene export best.safetensors --to onnx -o board/ --finish boxes --pictures val/",
)
PROOF_PICTURES = 16


def command(
    source: Annotated[
        str,
        typer.Argument(
            help="a .safetensors file of a run; with --to also a bundle, by file or shipped name"
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="the bundle to write, .onnx; with --to a folder")
    ],
    to: Annotated[
        Literal["bundle", "onnx", "openvino", "ncnn", "mnn", "tengine"],
        typer.Option("--to", "--flavour", help="the format"),
    ] = "bundle",
    size: Annotated[
        str | None,
        typer.Option(
            help="with --to: WIDTHxHEIGHT of the input; the trained one by default",
            show_default=False,
        ),
    ] = None,
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="onnx, openvino: leave batch and size open")
    ] = False,
    finish: Annotated[
        Literal["heads", "rows", "boxes"],
        typer.Option(
            help="detectors to onnx, openvino: raw maps, decoded rows, or boxes after suppression"
        ),
    ] = "heads",
    pictures: Annotated[
        str | None,
        typer.Option(
            help=f"folder, glob or video; {PROOF_PICTURES} of its pictures join the proof",
            show_default=False,
        ),
    ] = None,
    license_name: Annotated[str, typer.Option("--license", help="licence of the weights")] = "",
) -> None:
    """Turn a checkpoint into a bundle, or a bundle into the files of another runtime.

    Needs the extra `train`. The bundle is run against the network at three sizes and two batch
    sizes. If outputs differ by more than 1e-4 of the largest one, or decisions differ, nothing is
    written and the code is 1. Real pictures also measure whether bf16 decides like float32.

    --to needs the extra `deploy`. It writes files named after the bundle, and NAME.json with what
    an application has to know: input, outputs, classes, anchors. Their input is float32 planes red,
    green, blue from 0 to 255, of one size. They are run in their runtime and compared with the
    bundle; where they compute something else, nothing is written. `tengine` is ONNX for old
    converters: operator set 11, plain operators.
    """
    if not installed("torch"):
        raise MissingExtraError("exporting", "train")
    if to == "bundle":
        if size or dynamic or finish != "heads":
            raise InputError("--size, --dynamic and --finish are for other formats; see --to")
        check_bundle_file(out)
        images = _images(pictures)
        _print(out, _bundle(Path(source), out, images, license_name))
        return
    if license_name and not source.endswith(".safetensors"):
        raise InputError(
            "--license is for the weights of a checkpoint; a bundle states its own, which is kept"
        )
    for package in ("onnx", "onnxslim"):
        if not installed(package):
            raise MissingExtraError(f"the format {to}", "deploy")
    from litescene.export.flavours import convert
    from litescene.media.atomic import require_writable
    from litescene.runtime.catalog import find

    require_writable(out, folder=True)
    images = _images(pictures)
    with tempfile.TemporaryDirectory() as folder:
        if source.endswith(".safetensors"):
            made = Path(folder) / f"{Path(source).stem}.onnx"
            bundle = _bundle(Path(source), made, images, license_name)
        else:
            bundle = find(source)
        sides = parse_size(size) if size else None
        done = convert(bundle, to, out, sides, finish=finish, open_sizes=dynamic, pictures=images)
    for file in done.files:
        print(done.folder / file)
    print(
        f"largest difference to the bundle, of {done.pictures} pictures: {done.difference:.2g} of "
        f"the largest output ({done.absolute:.2g})"
    )
    if done.boxes == 0:
        print("warning: no picture held an object, so suppression is untried; give --pictures")


def _images(pictures: str | None) -> list[Image]:
    if pictures is None:
        return []
    from litescene.media.picture_samples import sample_pictures

    return sample_pictures(pictures, PROOF_PICTURES)


def _bundle(checkpoint: Path, out: Path, images: list[Image], license_name: str) -> Bundle:
    from litescene.export import export_checkpoint

    return export_checkpoint(checkpoint, out, images, license_name)


def _print(out: Path, bundle: Bundle) -> None:
    print(out)
    print(f"{bundle.contract.task}, {bundle.contract.system}, {bundle.digest[:16]}...")
    for name, value in bundle.contract.parity.items():
        print(f"{name}: {value}")
