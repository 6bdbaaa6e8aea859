"""Float32 bundle to int8 bundle: post-training static quantisation.

Values become integers by an affine map, q = round(x / scale) + zero point: weights symmetric with
a scale per output channel, activations with one scale per tensor, taken from the least and
largest value that calibration pictures cause; sums are int32. Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section
2; granularity as Krishnamoorthi, arXiv 1806.08342, section 3. The graph holds the maps as pairs
of QuantizeLinear and DequantizeLinear, which every runtime with int8 kernels understands.

The first convolution stays floating point, for pictures have three channels and the kernels for
integers want many; and so do the last ones of a detector: one of their maps holds places, sizes and
scores, whose ranges differ widely, so one scale for all of it leaves few steps to each.

Integers cannot pass the proof of an export, so what they change is measured instead: the share
of decisions in common with the float32 bundle, on pictures that the calibration did not see.
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litescene.core import BundleError, Image, InputError
from litescene.core.contract import TaskName
from litescene.export.graph import is_quantized
from litescene.export.parity import agreement, as_seen, bf16_agreement, exact_engines
from litescene.media.atomic import write_atomic
from litescene.runtime.bundle import Bundle, write_metadata
from litescene.runtime.engines import has_bf16, installed

OPERATORS = (
    "Conv", "ConvTranspose", "MatMul", "Gemm", "Add", "Concat", "MaxPool", "AveragePool", "Resize",
    "Relu", "Reshape", "Transpose", "Slice", "Split",
)  # fmt: skip
"""What computes in integers: convolutions, and what lies between them without a curve of its own.

Rearranging moves integers as well as floats, and without a way to floats and back around it.
Sigmoids, softmaxes and products of two maps, as attention has them, stay floating point.
"""
LEAST_PICTURES = 8
HELD_OUT = 4
"""Every so-manieth picture is kept from the calibration, for the comparison."""


def quantize(bundle: Bundle, out: str | Path, pictures: Sequence[Image]) -> Bundle:
    """Write the int8 form of a float32 bundle.

    Args:
        bundle: the float32 bundle; its contract is taken over, but for `parity` and `accuracy`.
        out: the file; it appears whole or not at all.
        pictures: real ones, as in use; every fourth only compares.

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
    graph = _quantized(bundle, calibration)
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


def _quantized(bundle: Bundle, calibration: Sequence[Image]) -> bytes:
    """The graph with the maps to integers and back, as bytes."""
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    _refuse_quantized(onnx.load_model_from_string(bundle.model))
    quiet = logging.getLogger()  # the library speaks through the root logger
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, done = (Path(folder) / f"{n}.onnx" for n in ("plain", "ready", "int8"))
        plain.write_bytes(bundle.model)
        try:
            quant_pre_process(plain, prepared, skip_symbolic_shape=True)
            model = onnx.load(prepared)
            _pool_before_rectifying(model.graph)
            quantize_static(
                model,
                done,
                _Calibration(bundle, calibration),
                nodes_to_exclude=_kept_floating(model.graph, bundle.contract.task),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(OPERATORS),
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        except (ValueError, RuntimeError) as error:
            raise BundleError(f"'{bundle.name}' cannot be quantised: {error}") from error
        finally:
            quiet.setLevel(level)
        return done.read_bytes()


def _before_second_convolution(graph: Any) -> list[Any]:
    """The normalisation, the first convolution, and what follows until the next one."""
    nodes = list(graph.node)
    convolutions = [i for i, node in enumerate(nodes) if node.op_type == "Conv"]
    return nodes[: convolutions[1]] if len(convolutions) > 1 else []


def _kept_floating(graph: Any, task: TaskName) -> list[str]:
    """Names of the nodes that stay floating point."""
    names = [node.name for node in _before_second_convolution(graph)]
    if task == "detection":
        outputs = {output.name for output in graph.output}
        names += [n.name for n in graph.node if n.op_type == "Conv" and n.output[0] in outputs]
    return names


def _pool_before_rectifying(graph: Any) -> None:
    """At the graph's beginning, a maximum of rectified values becomes the rectified maximum.

    It is the same value. ONNX Runtime draws the map to integers before a maximum that it follows
    directly, and its kernel for such a maximum is twenty times slower than that of floats.
    """
    nodes = _before_second_convolution(graph)
    made = {output: node for node in nodes for output in node.output}
    for pool in (node for node in nodes if node.op_type == "MaxPool"):
        rectifier = made.get(pool.input[0])
        if rectifier is None or rectifier.op_type != "Relu":
            continue
        if sum(pool.input[0] in node.input for node in graph.node) > 1:
            continue
        value, between, result = rectifier.input[0], rectifier.output[0], pool.output[0]
        stale = [shape for shape in graph.value_info if shape.name == between]
        for shape in stale:  # it is smaller from now on, and ONNX Runtime would believe this
            graph.value_info.remove(shape)
        pool.input[0], pool.output[0] = value, between
        rectifier.input[0], rectifier.output[0] = between, result
        places = [node.name for node in graph.node]
        first, second = places.index(rectifier.name), places.index(pool.name)
        swapped = [type(pool)(), type(pool)()]
        swapped[0].CopyFrom(pool)
        swapped[1].CopyFrom(rectifier)
        graph.node[first].CopyFrom(swapped[0])
        graph.node[second].CopyFrom(swapped[1])


def _refuse_quantized(model: Any) -> None:
    if is_quantized(model):
        raise BundleError("the bundle is quantised already; give the float32 one")


class _Calibration:
    """Pictures one by one, as ONNX Runtime's calibration asks for them."""

    def __init__(self, bundle: Bundle, pictures: Sequence[Image]) -> None:
        import onnx

        self._input = onnx.load_model_from_string(bundle.model).graph.input[0].name
        self._batches = (as_seen(picture, bundle.contract)[None] for picture in pictures)

    def get_next(self) -> dict[str, Any] | None:
        """The next picture as the network's input; None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {self._input: np.ascontiguousarray(batch)}
