"""A bundle's graph as other runtimes want it: float planes in, at one size, simplified.

Bundles take uint8 N×H×W×3 of any size. Converters of phones and boards know neither uint8 inputs
nor sizes that are open, and stumble over the arithmetic on shapes that comes with them. So the
first two steps, transposing and casting, are cut off: the input is float32 N×3×H×W, red, green,
blue from 0 to 255; normalisation stays inside. At a given size everything that depends on shapes
is computed beforehand.
"""

from __future__ import annotations

from typing import Any

import onnx
import onnxslim
from onnx import TensorProto, helper, numpy_helper, shape_inference

from litescene.core import BundleError
from litescene.runtime.bundle import Bundle

INPUT = "image"
Graph = Any
"""An `onnx.ModelProto`."""


def plain_graph(bundle: Bundle, size: tuple[int, int] | None) -> Graph:
    """The graph with float planes as its input.

    Args:
        bundle: any bundle that takes one picture.
        size: height and width; batch 1. None leaves all sizes open.

    Returns:
        The model without metadata; its input is `INPUT`, its outputs are the bundle's.

    Raises:
        BundleError: the bundle takes several pictures, or its graph does not begin as bundles do.

    """
    if bundle.contract.pictures != 1:
        raise BundleError(f"'{bundle.name}' takes {bundle.contract.pictures} pictures, not one")
    model = onnx.load_model_from_string(bundle.model)
    del model.metadata_props[:]
    _cut_first_steps(model.graph, bundle.name)
    _set_size(model.graph, size)
    return simplified(model)


def simplified(model: Graph) -> Graph:
    """The model with constants computed and what nothing needs left out."""
    slim: Graph = onnxslim.slim(model, no_shape_infer=False)
    used = {name for node in slim.graph.node for name in node.input}
    used |= {output.name for output in slim.graph.output}
    kept = [constant for constant in slim.graph.initializer if constant.name in used]
    del slim.graph.initializer[:]
    slim.graph.initializer.extend(kept)
    inferred: Graph = shape_inference.infer_shapes(slim)
    onnx.checker.check_model(inferred)
    return inferred


def shape_of(value: Any) -> tuple[int | str, ...]:
    """Sides of an input or output; names where they are open."""
    return tuple(d.dim_value or d.dim_param or "?" for d in value.type.tensor_type.shape.dim)


def constant(name: str, value: Any) -> Any:
    """A constant tensor of a graph."""
    return numpy_helper.from_array(value, name)


def _cut_first_steps(graph: Any, name: str) -> None:
    """Leave out the transposition to planes and the cast to float, in whichever order."""
    (given,) = graph.input
    source, left = given.name, {"Transpose", "Cast"}
    while left:
        users = [node for node in graph.node if source in node.input]
        if len(users) != 1 or users[0].op_type not in left:
            raise BundleError(f"the graph of '{name}' does not begin as bundles do")
        left.remove(users[0].op_type)
        source = users[0].output[0]
        graph.node.remove(users[0])
    for node in graph.node:
        for index, value in enumerate(node.input):
            if value == source:
                node.input[index] = INPUT
    graph.input.remove(given)


def _set_size(graph: Any, size: tuple[int, int] | None) -> None:
    sides: list[int | str] = ["n", 3, "height", "width"] if size is None else [1, 3, *size]
    graph.input.insert(0, helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, sides))
    del graph.value_info[:]
    if size is not None:
        for output in graph.output:  # the open sides are inferred anew
            output.type.tensor_type.ClearField("shape")
