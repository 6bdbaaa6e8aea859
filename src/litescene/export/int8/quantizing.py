"""Float32 bundle to int8 bundle: post-training static quantisation.

Values become integers by an affine map, q = round(x / scale) + zero point: weights symmetric with
a scale per output channel (see `weights`), activations with one scale per tensor, taken from the
values that calibration pictures cause (see `calibration`); sums are int32. Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, section 2; granularity as Krishnamoorthi, arXiv 1806.08342, section 3. The graph holds the
maps as pairs of QuantizeLinear and DequantizeLinear, which every runtime with int8 kernels
understands.

The first convolution stays floating point (see `stem`), and so do the last ones of a detector: one
of their maps holds places, sizes and scores, whose ranges differ widely, so one scale for all of it
leaves few steps to each.

Integers cannot pass the proof of an export, so what they change is measured instead: the share
of decisions in common with the float32 bundle, on pictures that the calibration did not see.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litescene.core import BundleError, Image, InputError
from litescene.core.contract import TaskName
from litescene.export.graph import is_quantized
from litescene.export.int8.calibration import extremes, of_least_error
from litescene.export.int8.gates import close_hard_swishes, open_hard_swishes, swished, swishes
from litescene.export.int8.moving import move_integers
from litescene.export.int8.ranges import Range, shared_ranges
from litescene.export.int8.stem import pool_before_rectifying, scale_weights, stem
from litescene.export.int8.weights import weight_ranges
from litescene.export.int8.widening import widen
from litescene.export.nodes import set_nodes
from litescene.export.parity import agreement, as_seen, bf16_agreement, exact_engines
from litescene.media.atomic import write_atomic
from litescene.runtime.bundle import Bundle, write_metadata
from litescene.runtime.engines import has_bf16, installed

OPERATORS = (
    "Conv", "ConvTranspose", "MatMul", "Gemm", "Add", "Concat", "MaxPool", "AveragePool", "Resize",
    "Relu", "Reshape", "Transpose", "Slice", "Split", "Sigmoid", "HardSigmoid", "Mul",
)  # fmt: skip
"""What computes in integers: convolutions, and what lies between them.

Rearranging moves integers as well as floats, and without a way to floats and back around it.
Sigmoids and products do so in a SiLU, x·sigmoid(x), or a hard swish; alone, as attention has
them, they stay floating point, and so do softmaxes.
"""
Report = Callable[[int, int], None]
_OF_SWISHES = ("Sigmoid", "HardSigmoid", "Mul")
LEAST_PICTURES = 8
HELD_OUT = 4
"""Every so-manieth picture is kept from the calibration, for the comparison."""
COUNTED = 24
"""At least so many pictures of the calibration, if it has them, have all their values counted."""


def quantize(
    bundle: Bundle, out: str | Path, pictures: Sequence[Image], report: Report = lambda *_: None
) -> Bundle:
    """Write the int8 form of a float32 bundle.

    Args:
        bundle: the float32 bundle; its contract is taken over, but for `parity` and `accuracy`.
        out: the file; it appears whole or not at all.
        pictures: real ones, as in use; every fourth only compares.
        report: called with the passes of pictures through the network, done and in all.

    Returns:
        The new bundle. `parity` of its contract states `quantized_from` (digest of the float32
        bundle), `calibration_pictures`, `compared_pictures`, `int8_agreement` (share of decisions
        in common with float32; None where neither decides anything) and, on processors that have
        it, `bf16_agreement` of what is left in floating point.

    Raises:
        InputError: too few pictures.
        BundleError: the graph cannot be quantised.
        OutputError: the file cannot be written.

    """
    out = Path(out)
    if len(pictures) < LEAST_PICTURES:
        raise InputError(
            f"{len(pictures)} pictures are too few to calibrate and compare; give at least "
            f"{LEAST_PICTURES}, better 50, that look like those in use"
        )
    held_out = list(pictures[::HELD_OUT])
    calibration = [p for i, p in enumerate(pictures) if i % HELD_OUT]
    graph = _quantized(bundle, calibration, report)
    rough = Bundle.from_bytes(write_metadata(graph, bundle.contract), out.stem)
    float32, int8 = (exact_engines(one)[0] for one in (bundle, rough))
    parity: dict[str, Any] = {
        "quantized_from": bundle.digest,
        "calibration_pictures": len(calibration),
        "compared_pictures": len(held_out),
        "int8_agreement": agreement(float32, int8, bundle.contract, held_out),
    }
    if installed("openvino") and has_bf16():
        parity["bf16_agreement"] = bf16_agreement(rough, held_out)
    # The accuracy of float32 is not its own.
    data = write_metadata(graph, dataclasses.replace(bundle.contract, parity=parity, accuracy={}))
    write_atomic(out, data)
    return Bundle.from_bytes(data, out.stem)


def state_accuracy(file: str | Path, accuracy: Mapping[str, Any]) -> None:
    """Write measured figures into the contract of a bundle's file."""
    file = Path(file)
    bundle = Bundle.open(file)
    contract = dataclasses.replace(bundle.contract, accuracy=dict(accuracy))
    write_atomic(file, write_metadata(bundle.model, contract))


def _quantized(bundle: Bundle, calibration: Sequence[Image], report: Report) -> bytes:
    """The graph with the maps to integers and back, as bytes."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    model = onnx.load_model_from_string(bundle.model)
    _refuse_quantized(model)
    _prepare(model)
    quiet = logging.getLogger()  # the library speaks through the root logger
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        plain, ready, done = (Path(folder) / f"{name}.onnx" for name in ("plain", "ready", "int8"))
        onnx.save(model, plain)
        try:
            quant_pre_process(plain, ready, skip_symbolic_shape=True)
            model = onnx.load(ready)
            ranges = _ranges(bundle, ready, calibration, report)
            quantize_static(
                model,
                done,
                _Calibration(bundle, calibration[:1]),  # it asks, though every range is given
                nodes_to_exclude=_kept_floating(model.graph, bundle.contract.task),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATORS),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"TensorQuantOverrides": _as_overrides(model.graph, ranges)},
            )
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"'{bundle.name}' cannot be quantised: {error}") from error
        finally:
            quiet.setLevel(level)
        model = onnx.load(done)
    close_hard_swishes(model.graph)
    move_integers(model.graph)
    whole: bytes = model.SerializeToString()
    return whole


def _prepare(model: Any) -> None:
    """Bring a graph into a form that is fast in integers and computes the same."""
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}.{number}"  # nodes are found by name from here on
    scale_weights(model.graph)
    pool_before_rectifying(model.graph)
    widen(model)
    open_hard_swishes(model.graph)
    set_nodes(model.graph, model.graph.node)


def _ranges(
    bundle: Bundle, file: Path, pictures: Sequence[Image], report: Report
) -> dict[str, Range]:
    """Between which ends the tensors of the prepared graph become integers."""
    import onnx

    graph = onnx.load(file).graph
    some = pictures[:: max(len(pictures) // COUNTED, 1)]
    passes = itertools.count(1)

    def tell() -> None:
        report(next(passes), len(pictures) + len(some))

    found = extremes(file, OPERATORS, _Calibration(bundle, pictures, tell))
    inputs = _Calibration(bundle, some, tell).inputs
    found = of_least_error(file, found, swished(graph), inputs)
    return shared_ranges(graph, found)


def _as_overrides(graph: Any, ranges: Mapping[str, Range]) -> dict[str, list[dict[str, Any]]]:
    """The ranges of activations and of weights as the library takes them."""
    activations = {
        name: [{"rmin": np.float32(low), "rmax": np.float32(high)}]
        for name, (low, high) in ranges.items()
    }
    weights = {
        name: [{"axis": axis, "rmin": np.float32(-r), "rmax": np.float32(r)} for r in reached]
        for name, (axis, reached) in weight_ranges(graph).items()
    }
    return activations | weights


def _kept_floating(graph: Any, task: TaskName) -> list[str]:
    """Names of the nodes that stay floating point."""
    outputs = {output.name for output in graph.output}
    kept = [*stem(graph)]
    if task == "detection":
        kept += [n for n in graph.node if n.op_type == "Conv" and n.output[0] in outputs]
    together = {node.name for swish in swishes(graph) for node in (swish.gate, swish.product)}
    alone = [n for n in graph.node if n.op_type in _OF_SWISHES and n.name not in together]
    return [node.name for node in [*kept, *alone]]


def _refuse_quantized(model: Any) -> None:
    if is_quantized(model):
        raise BundleError("the bundle is quantised already; give the float32 one")


class _Calibration:
    """Pictures one by one, as ONNX Runtime's calibration asks for them."""

    def __init__(
        self, bundle: Bundle, pictures: Sequence[Image], tell: Callable[[], None] = lambda: None
    ) -> None:
        import onnx

        self._name = onnx.load_model_from_string(bundle.model).graph.input[0].name
        self._bundle, self._pictures, self._tell = bundle, pictures, tell
        self.inputs = self._each()

    def _each(self) -> Iterator[dict[str, Any]]:
        for picture in self._pictures:
            batch = as_seen(picture, self._bundle.contract)[None]
            yield {self._name: np.ascontiguousarray(batch)}
            self._tell()

    def get_next(self) -> dict[str, Any] | None:
        """The next picture as the network's input; None at the end."""
        return next(self.inputs, None)
