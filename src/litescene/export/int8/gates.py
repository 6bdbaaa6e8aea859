"""Hard swish in integers: a sum that saturates, and a product.

x·clip(x / 6 + 1/2, 0, 1) (Howard et al., arXiv 1905.02244, section 5.2). Its gate as an integer q
of the scale s is round((x / 6 + 1/2) / s), held within 0 and 255; and so is the sum x + 3 as an
integer of the scale 6·s. So the gate is that sum, for which every runtime has a kernel for
integers. None has one for a hard sigmoid: it would take floats there and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from litescene.export.int8.calibration import Curve
from litescene.export.nodes import constants, makers, readers, replace_input, set_nodes

_THREE = "hard_swish.three"


def open_hard_swishes(graph: Any) -> None:
    """Every hard swish becomes a hard sigmoid and a product, which can have scales of their own."""
    nodes = []
    for node in graph.node:
        if node.op_type != "HardSwish":
            nodes.append(node)
            continue
        (value,), (result,) = node.input, node.output
        gate, name = f"{result}.gate", node.name
        nodes += [
            helper.make_node("HardSigmoid", [value], [gate], f"{name}.gate", alpha=1 / 6, beta=0.5),
            helper.make_node("Mul", [value, gate], [result], f"{name}.product"),
        ]
    set_nodes(graph, nodes)


class Swish(NamedTuple):
    """The two nodes of a SiLU or a hard swish, and which of the two it is."""

    gate: Any
    product: Any
    curve: Curve


def swishes(graph: Any) -> list[Swish]:
    """The products of a value and its own gate."""
    made = makers(graph)
    found = []
    for product in (node for node in graph.node if node.op_type == "Mul"):
        for value, other in (product.input, product.input[::-1]):
            gate = made.get(other)
            if gate is not None and gate.input[:1] == [value] and (curve := _curve(gate)):
                found.append(Swish(gate, product, curve))
    return found


def swished(graph: Any) -> dict[str, Curve]:
    """The tensors of which only a SiLU or a hard swish is used, and which of the two."""
    reading = readers(graph)
    curves: dict[str, Curve] = {}
    for gate, product, curve in swishes(graph):
        (value,) = gate.input
        if {node.output[0] for node in reading[value]} == {gate.output[0], product.output[0]}:
            curves[value] = curve
    return curves


def silu(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """x / (1 + exp(-x)), in a form that does not overflow."""
    return x / 2 * (1 + np.tanh(x / 2))


def hard_swish(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """x·clip(x / 6 + 1/2, 0, 1)."""
    return x * np.clip(x / 6 + 0.5, 0, 1)


def close_hard_swishes(graph: Any) -> None:
    """Gates between integers become sums; what stayed floating point is a hard swish again.

    Args:
        graph: an `onnx.GraphProto` with QuantizeLinear and DequantizeLinear; changed in place. It
            computes the same, up to the rounding of floats.

    """
    known, made, reading = constants(graph), makers(graph), readers(graph)
    left = {s.product.output[0]: s.gate for s in swishes(graph) if s.curve is hard_swish}
    nodes, scales = list(graph.node), {}
    for place, node in enumerate(nodes):
        if _is_gate(node):
            before, behind = made.get(node.input[0]), reading[node.output[0]]
            if _between_integers(before, behind, known):
                nodes[place] = helper.make_node("Add", [*node.input, _THREE], node.output)
                scales[behind[0].output[0]] = known[behind[0].input[1]] * np.float32(6)
        elif node.output[0] in left:
            value = left[node.output[0]].input
            nodes[place] = helper.make_node("HardSwish", value, node.output)
    for node in nodes:
        if node.output[0] in scales:
            replace_input(graph, node, 1, scales[node.output[0]])
    set_nodes(graph, [*_three(graph), *nodes])


def _between_integers(before: Any, behind: list[Any], known: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a gate is made of integers, and becomes ones that hold nothing beyond 0 and 1."""
    if before is None or before.op_type != "DequantizeLinear":
        return False
    if [reader.op_type for reader in behind] != ["QuantizeLinear"]:
        return False
    scale, zero = (known[name] for name in behind[0].input[1:])
    return bool(zero == 0 and 255 * scale <= 1 + 1e-6)


def _curve(gate: Any) -> Curve | None:
    """What a value times this function of it is."""
    return hard_swish if _is_gate(gate) else silu if gate.op_type == "Sigmoid" else None


def _is_gate(node: Any) -> bool:
    """Whether a node is a hard sigmoid with the slope that a hard swish has."""
    found = {attribute.name: attribute.f for attribute in node.attribute}
    slope, offset = found.get("alpha", 0.2), found.get("beta", 0.5)
    return node.op_type == "HardSigmoid" and (slope, offset) == (float(np.float32(1 / 6)), 0.5)


def _three(graph: Any) -> list[Any]:
    """The number 3, made of an integer."""
    names = [f"{_THREE}.{part}" for part in ("integer", "scale", "zero")]
    for name, value in zip(names, (np.uint8(1), np.float32(3), np.uint8(0)), strict=True):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return [helper.make_node("DequantizeLinear", names, [_THREE])]
