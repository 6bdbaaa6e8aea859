"""`litescene import`: what a network's authors published, as a checkpoint of ours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litescene.cli.options import parse_size
from litescene.core.errors import InputError, MissingExtraError
from litescene.core.taxonomy import VOID
from litescene.runtime.engines import installed

if TYPE_CHECKING:
    from litescene.core import Taxonomy

EXAMPLES = (
    "litescene import espnet_p2q3 espnet_p_2_q_3.pth -o espnet.safetensors",
    "litescene import pp_liteseg_t model.pdparams -o pp_liteseg.safetensors --size 768x1536",
    "litescene import yolov5_lite_s v5lite-s.pt -o yolov5_lite_s.safetensors",
    "litescene import enet_pytorch ENet -o enet.safetensors --classes void+cityscapes19",
)


def command(
    name: Annotated[str, typer.Argument(help="network, as `litescene models` names it")],
    file: Annotated[
        Path,
        typer.Argument(help="file of the authors: .pth or .pt of torch.save, .pdparams of Paddle"),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="the checkpoint to write, .safetensors")],
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
        typer.Option(help="HEIGHTxWIDTH at which it was trained", show_default=False),
    ] = None,
) -> None:
    """Turn a published checkpoint into one of ours (needs the extra `train`).

    The file is read without running anything that is in it; a file that asks for more than tensors
    and plain containers is refused. Every weight must have its place. The checkpoint remembers
    which channel order and normalisation the weights expect, so that it can be evaluated, exported
    and trained further like any other.
    """
    if not installed("torch"):
        raise MissingExtraError("importing", "train")
    from litescene.training.foreign import import_checkpoint

    if out.suffix != ".safetensors":
        raise InputError(f"-o {out}: a checkpoint's name ends with .safetensors")
    taxonomy = None if classes is None else _classes(classes)
    card = import_checkpoint(name, file, out, taxonomy, parse_size(size) if size else None)
    height, width = card["size"]
    spec, known = card["input"], card["taxonomy"]
    print(out)
    print(f"{name}, {len(known['names'])} classes ({known['name']}), {width}×{height}")
    print(
        f"input: {'BGR' if spec['bgr'] else 'RGB'}, mean {_shown(spec['mean'])}, "
        f"std {_shown(spec['std'])} of pixels from 0 to 1"
    )
    print(f"licence: {card['license']} ({card['imported']['code']})")


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
