"""`litescene import`: what a network's authors published, or a bundle, as a checkpoint of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litescene.cli.options import parse_size
from litescene.core.errors import InputError, MissingExtraError
from litescene.core.taxonomy import VOID
from litescene.runtime.engines import installed

if TYPE_CHECKING:
    from litescene.core import Taxonomy

EXAMPLES = (
    "litescene import espnet_p2q3 espnet_p_2_q_3.pth -o espnet.safetensors",
    "litescene import pp_liteseg_t model.pdparams -o pp_liteseg.safetensors --size 1536x768",
    "litescene import yolov5_lite_s v5lite-s.pt -o yolov5_lite_s.safetensors",
    "litescene import enet_pytorch ENet -o enet.safetensors --classes void+cityscapes19",
    "litescene import yolov5_lite_s -o yolov5_lite_s.safetensors",
    "litescene import pp_liteseg_t mine.onnx -o mine.safetensors --pictures drive/",
)
PICTURES = 16
"""On so many pictures the batch norms of a bundle are measured."""


def command(
    name: Annotated[str, typer.Argument(help="network, as `litescene models` names it")],
    out: Annotated[Path, typer.Option("--out", "-o", help="the checkpoint to write, .safetensors")],
    file: Annotated[
        Path | None,
        typer.Argument(
            help="file of the authors: .pth or .pt of torch.save, .pdparams of Paddle; or a "
            "bundle, .onnx; by default the bundle of this name that ships",
            show_default=False,
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="camvid11, cityscapes19, coco80 or a text file of classes; NAME+void or "
            "void+NAME with a class of all else; by default told by the file or their number",
            show_default=False,
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="WIDTHxHEIGHT at which it was trained", show_default=False),
    ] = None,
    pictures: Annotated[
        str | None,
        typer.Option(
            help="with a bundle: folder, glob or video on which its batch norms are measured; by "
            "default the built-in street",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Turn a published checkpoint, or a bundle, into one of our checkpoints (needs `train`).

    The file is read without running anything that is in it; a file that asks for more than tensors
    and plain containers is refused. Every weight must have its place. The checkpoint remembers
    which channel order and normalisation the weights expect, so that it can be evaluated, exported
    and trained further like any other.

    A bundle that litescene exported becomes a checkpoint again, to train on from weights that ship.
    Its batch norms, which the export folded into the convolutions, are measured anew on pictures;
    that the network computes what the bundle does is proved.
    """
    from litescene.media.atomic import require_writable

    if not installed("torch"):
        raise MissingExtraError("importing", "train")
    if out.suffix != ".safetensors":
        raise InputError(f"-o {out}: a checkpoint's name ends with .safetensors")
    require_writable(out)
    if file is None or file.suffix == ".onnx":
        _refuse(classes=classes, size=size)
        card = _of_bundle(name, file, out, pictures)
        source = f"bundle {card['recovered']['sha256'][:12]}"
    else:
        _refuse(pictures=pictures)
        card = _of_authors(name, file, out, classes, size)
        source = card["imported"]["code"]
    _print(name, out, card, source)


def _refuse(**given: str | None) -> None:
    """Options that do not belong to the kind of file that is imported."""
    wrong = [f"--{option}" for option, value in given.items() if value is not None]
    if wrong:
        other = "a bundle" if "--pictures" in wrong else "a file of the authors"
        raise InputError(f"{wrong[0]} belongs to the import of {other}; leave it out")


def _of_bundle(name: str, file: Path | None, out: Path, pictures: str | None) -> dict[str, Any]:
    from litescene.export.recover import recover_checkpoint
    from litescene.media.picture_samples import sample_pictures
    from litescene.runtime.catalog import find
    from litescene.synth import Street

    bundle = find(name if file is None else file)
    if bundle.contract.system != name:
        raise InputError(f"{file or name} is a bundle of {bundle.contract.system}, not of {name}")
    if pictures is not None:
        seen = sample_pictures(pictures, PICTURES)
    else:
        street = Street(seconds=PICTURES, rate=1.0)
        seen = [frame.image for frame in street.frames()]
    return recover_checkpoint(bundle, out, seen)


def _of_authors(
    name: str, file: Path, out: Path, classes: str | None, size: str | None
) -> dict[str, Any]:
    from litescene.training.foreign import import_checkpoint

    taxonomy = None if classes is None else _classes(classes)
    return import_checkpoint(name, file, out, taxonomy, parse_size(size) if size else None)


def _print(name: str, out: Path, card: dict[str, Any], source: str) -> None:
    height, width = card["size"]
    spec, known = card["input"], card["taxonomy"]
    print(out)
    print(f"{name}, {len(known['names'])} classes ({known['name']}), {width}×{height}")
    print(
        f"input: {'BGR' if spec['bgr'] else 'RGB'}, mean {_shown(spec['mean'])}, "
        f"std {_shown(spec['std'])} of pixels from 0 to 1"
    )
    print(f"licence: {card['license']} ({source})")


def _classes(text: str) -> Taxonomy:
    from litescene.runtime.adopt import read_taxonomy
    from litescene.training.foreign import with_void

    first, _, second = text.partition("+")
    if first == VOID and second:
        return with_void(read_taxonomy(second), first=True)
    if second == VOID:
        return with_void(read_taxonomy(first))
    return read_taxonomy(text)


def _shown(values: list[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)
