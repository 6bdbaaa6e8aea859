"""What a bundle computes: uint8 pictures in, the head's own maps or a picture out."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from litescene.core import InputError
from litescene.export.fusing import fuse
from litescene.export.shuffles import Unshuffled, without_shuffles
from litescene.models.spec import input_spec_of

OPSET = 17
_EXAMPLE = (2, 128, 160)
"""Batch, height and width of the traced example: unequal, so that no size is taken for another."""


def head_maps(model: Any, x: Tensor) -> tuple[Tensor, ...]:
    """Outputs of a network's head for normalised N×3×H×W, or N×3k×H×W where it takes k pictures.

    A segmentation network has `head_logits` (one map), and so has a classifier (N×classes); a
    detector has `raw_heads` (one per level), a network that makes pictures `head_picture`. Raises
    `InputError` for any other, and for networks that take clips: bundles take pictures.
    """
    if getattr(model, "clip_frames", 0):
        raise InputError(
            f"a {type(model).__name__} cannot be exported: it takes clips, and bundles take single "
            "pictures; use its checkpoint"
        )
    if hasattr(model, "head_logits"):
        return (model.head_logits(x),)
    if hasattr(model, "head_picture"):
        return (model.head_picture(x),)
    if hasattr(model, "raw_heads"):
        return tuple(model.raw_heads(x))
    raise InputError(
        f"a {type(model).__name__} cannot be exported: it has neither head_logits nor raw_heads "
        "nor head_picture"
    )


def planes_of(model: Any) -> int:
    """Planes of a network's input: three for each picture that it takes."""
    return 3 * int(getattr(model, "pictures", 1))


class BundleGraph(nn.Module):
    """uint8 N×H×W×3k RGB of k pictures to the head's maps, with the normalisation inside."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.input_spec = input_spec_of(model)
        example = torch.rand(1, planes_of(model), *_EXAMPLE[1:])
        self.model = fuse(model, head_maps, example)

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """Head maps of N×H×W×3k uint8."""
        x = self.input_spec.normalised(pictures.permute(0, 3, 1, 2).float())
        return head_maps(self.model, x)


def to_onnx(model: nn.Module) -> bytes:
    """ONNX file of a network with a dynamic batch, height and width, without metadata."""
    whole: bytes = to_graph(model).model.SerializeToString()
    return whole


def to_graph(model: nn.Module) -> Unshuffled:
    """ONNX graph of a network with a dynamic batch, height and width, without shuffles.

    Made by PyTorch's tracing exporter: measured on PP-LiteSeg-T it takes 1 s instead of the 21 s
    of the newer one, whose symbolic shapes moreover leave guards on the input size in the graph.
    That the trace holds for other sizes is proved afterwards (see `export.parity`).
    """
    graph = BundleGraph(model).eval()
    pictures = torch.randint(0, 256, (*_EXAMPLE, planes_of(model)), dtype=torch.uint8)
    with torch.inference_mode():
        outputs = graph(pictures)
    count = len(outputs)
    only = "picture" if hasattr(model, "head_picture") else "logits"
    names = [only] if count == 1 else [f"level{i}" for i in range(count)]
    axes: dict[str, dict[int, str]] = {"pictures": {0: "n", 1: "height", 2: "width"}}
    for name, output in zip(names, outputs, strict=True):
        sides = {2: f"rows_{name}", 3: f"columns_{name}"} if output.ndim == 4 else {}
        axes[name] = {0: "n", **sides}
    # Without gradients: convolutions with gradients of their own then trace as plain ones.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        _silence()
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            graph,
            (pictures,),
            file,
            input_names=["pictures"],
            output_names=names,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
        return without_shuffles(onnx.load(file))


def is_quantized(model: Any) -> bool:
    """Whether an ONNX model computes in integers."""
    return any(node.op_type == "QuantizeLinear" for node in model.graph.node)


def _silence() -> None:
    # The exporter is deprecated on purpose (above), and says of every Python branch on a size
    # that the trace may not generalise, which is what the parity proof is for.
    warnings.simplefilter("ignore", DeprecationWarning)
    warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
    # Slices with a step are not computed beforehand: runtimes do that.
    warnings.filterwarnings("ignore", "Constant folding")
