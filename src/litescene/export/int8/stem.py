"""The beginning of a graph, from uint8 pixels to the second convolution.

It stays floating point, for pictures have three channels and the kernels for integers want many.
"""

from __future__ import annotations

from typing import Any

from litescene.export.nodes import constants, copied, integer, makers, readers, replace_input


def stem(graph: Any) -> list[Any]:
    """The normalisation, the first convolution, and what follows until the next one."""
    nodes = list(graph.node)
    convolutions = [i for i, node in enumerate(nodes) if node.op_type == "Conv"]
    return nodes[: convolutions[1]] if len(convolutions) > 1 else []


def scale_weights(graph: Any) -> None:
    """The first convolution takes a factor of the pixels into its weights.

    It computes the same, up to rounding, and one pass over the picture less. A normalisation that
    subtracts something stays, for outside of the picture there are zeros behind it.
    """
    known, reading, made = constants(graph), readers(graph), makers(graph)
    first = next((node for node in stem(graph) if node.op_type == "Conv"), None)
    scaling = None if first is None else made.get(first.input[0])
    if first is None or scaling is None or scaling.op_type != "Mul":
        return
    pixels, factor = scaling.input
    if factor not in known or first.input[1] not in known or integer(first, "group", 1) != 1:
        return
    value, weight = known[factor], known[first.input[1]]
    of_planes = value.size == 1 or value.shape[-2:] == (1, 1)
    if not of_planes or len(reading[first.input[0]]) > 1:
        return
    replace_input(graph, first, 1, weight * value.reshape(1, -1, 1, 1))
    first.input[0] = pixels


def pool_before_rectifying(graph: Any) -> None:
    """A maximum of rectified values becomes the rectified maximum.

    It is the same value. ONNX Runtime draws the map to integers before a maximum that it follows
    directly, and its kernel for such a maximum is twenty times slower than that of floats.
    """
    nodes, made, reading = stem(graph), makers(graph), readers(graph)
    for pool in (node for node in nodes if node.op_type == "MaxPool"):
        rectifier = made.get(pool.input[0])
        if rectifier is None or rectifier.op_type != "Relu":
            continue
        if len(reading[pool.input[0]]) > 1:
            continue
        value, between, result = rectifier.input[0], rectifier.output[0], pool.output[0]
        stale = [shape for shape in graph.value_info if shape.name == between]
        for shape in stale:  # it is smaller from now on, and ONNX Runtime would believe this
            graph.value_info.remove(shape)
        pool.input[0], pool.output[0] = value, between
        rectifier.input[0], rectifier.output[0] = between, result
        places = [node.name for node in graph.node]
        first, second = places.index(rectifier.name), places.index(pool.name)
        earlier, later = copied(pool), copied(rectifier)
        graph.node[first].CopyFrom(earlier)
        graph.node[second].CopyFrom(later)
