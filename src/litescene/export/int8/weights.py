"""Scales of weights with which no processor's sums of products overflow.

Processors with AVX2 and without VNNI multiply unsigned activations by signed weights two at a time
and add each pair in 16 bits that saturate (the instruction VPMADDUBSW). A pair is two neighbouring
input channels. Its sum, 255·(a + b) at most, fits where a + b does not pass 128, for positive and
for negative weights each. Scales are coarser than eight bits allow only where two large weights of
one sign are neighbours, and one bundle decides alike on every processor.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from litescene.export.nodes import integer


def weight_ranges(graph: Any) -> dict[str, tuple[int, NDArray[np.float64]]]:
    """Of every weight of a graph: its axis of output channels, and the largest value of each.

    The range of a channel is ± that value, which stands for 127.

    Args:
        graph: an `onnx.GraphProto`.

    """
    known = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    found: dict[str, tuple[int, NDArray[np.float64]]] = {}
    for node in graph.node:
        axis = _output_axis(node)
        if axis is None or node.input[1] not in known or known[node.input[1]].ndim == 1:
            continue
        weight = np.moveaxis(known[node.input[1]].astype(np.float64), axis, 0)
        one_by_one = integer(node, "group", 1) > 1 and weight.shape[1] == 1
        reached = _alone(weight) if one_by_one else _in_pairs(weight)
        name = node.input[1]
        before = found[name][1] if name in found else reached
        found[name] = axis, np.maximum(reached, before)
    return found


def _output_axis(node: Any) -> int | None:
    if node.op_type == "Gemm":
        return 0 if integer(node, "transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1, "MatMul": 1}.get(node.op_type)


def _alone(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest absolute weight of each output: depthwise kernels add in 32 bits."""
    found: NDArray[np.float64] = np.abs(weight).reshape(len(weight), -1).max(1)
    return found


def _in_pairs(weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest sum of two neighbouring weights of one sign, of each output.

    Kernels pair channels at each place, or, where the number of channels is odd, over the places
    one after the other; both count.
    """
    channels_last = np.moveaxis(weight, 1, -1)
    rows = channels_last.reshape(len(weight), -1)
    return np.maximum(_pair_sums(channels_last), _pair_sums(rows))


def _pair_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    odd = values.shape[-1] % 2
    even = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, odd)])
    pairs = even.reshape(len(values), -1, 2)
    sums = (np.clip(sign * pairs, 0, None).sum(2).max(1) for sign in (1, -1))
    found: NDArray[np.float64] = np.maximum(*sums)
    return found
