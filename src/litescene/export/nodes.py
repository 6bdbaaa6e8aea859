"""What a graph of ONNX nodes holds: known values, attributes, who reads and makes a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper, shape_inference


def constants(graph: Any) -> dict[str, NDArray[Any]]:
    """Values of a graph that are known, by name."""
    found = {value.name: numpy_helper.to_array(value) for value in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def channel_counts(model: Any) -> dict[str, int]:
    """Channels of the N×C×H×W tensors of a model, where they are known."""
    inferred = shape_inference.infer_shapes(model).graph
    counts = {}
    for value in (*inferred.value_info, *inferred.input, *inferred.output):
        sides = value.type.tensor_type.shape.dim
        if len(sides) == 4 and sides[1].dim_value:
            counts[value.name] = sides[1].dim_value
    return counts


def readers(graph: Any) -> dict[str, list[Any]]:
    """The nodes that read each tensor."""
    found: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in dict.fromkeys(node.input):
            found.setdefault(name, []).append(node)
    return found


def makers(graph: Any) -> dict[str, Any]:
    """The node that computes each tensor."""
    return {output: node for node in graph.node for output in node.output}


def integer(node: Any, name: str, default: int) -> int:
    """An attribute of a node that is one integer."""
    return next((int(a.i) for a in node.attribute if a.name == name), default)


def copied(node: Any) -> Any:
    """A node of its own with the same contents."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy


def replace_input(graph: Any, node: Any, index: int, value: NDArray[Any]) -> str:
    """Store a value of a node's own as its input; returns its name."""
    name = f"{node.input[index]}.{node.output[0]}"
    graph.initializer.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
    node.input[index] = name
    return name


def alive(nodes: Sequence[Any], outputs: set[str]) -> list[Any]:
    """The nodes that something depends on, in their order."""
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if needed & set(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


def set_nodes(graph: Any, nodes: Sequence[Any]) -> None:
    """Give a graph these nodes, but for those that nothing depends on; unused values go."""
    kept = [copied(node) for node in alive(nodes, {output.name for output in graph.output})]
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in graph.node for name in node.input}
    values = [value for value in graph.initializer if value.name in used]
    del graph.initializer[:]
    graph.initializer.extend(values)
