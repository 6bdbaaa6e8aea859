"""ONNX of operator set 11, which old converters read: Tengine's, and many vendors' tools.

Between sets 11 and 17 some operators took attributes for inputs (sizes of Split, axes of Squeeze,
Unsqueeze and ReduceSum), Resize could not leave inputs out, and HardSwish is new; the others that
networks here need have kept their meaning. Whether the lowered graph still computes the same is
measured after it is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from litescene.core import BundleError
from litescene.export.flavours.plain_graph import Graph, constant, shape_of

OPSET, IR_VERSION = 11, 6
_ATTRIBUTES = {"Split": "split", "Squeeze": "axes", "Unsqueeze": "axes", "ReduceSum": "axes"}
"""Operators whose second input was an attribute, and its name."""


def lowered(model: Graph) -> Graph:
    """A copy in operator set 11.

    Raises `BundleError` that names an operator which that set does not have.
    """
    old = onnx.ModelProto()
    old.CopyFrom(model)
    constants = {c.name: numpy_helper.to_array(c) for c in old.graph.initializer}
    nodes: list[Any] = []
    for node in old.graph.node:
        nodes += _hard_swish(node) if node.op_type == "HardSwish" else [_as_before(node, constants)]
    del old.graph.node[:]
    old.graph.node.extend(nodes)
    _complete_resizes(old.graph, constants)
    used = {name for node in old.graph.node for name in node.input}
    kept = [c for c in old.graph.initializer if c.name in used]
    del old.graph.initializer[:]
    old.graph.initializer.extend(kept)
    del old.opset_import[:]
    old.opset_import.append(helper.make_opsetid("", OPSET))
    old.ir_version = IR_VERSION
    try:
        onnx.checker.check_model(old)
    except onnx.checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise BundleError(
            f"the network cannot be written in ONNX's set {OPSET}: {reason}"
        ) from error
    return old


def broken_rules(model: Graph) -> list[str]:
    """What in a graph Tengine's converter would not read, or would read wrongly; empty if nothing.

    Its rules: operator set 11, sizes that are known, plain operators only (no arithmetic on shapes,
    no loops), sizes of Split as an attribute, no slices with a step.
    """
    found = [f"operator set {o.version}" for o in model.opset_import if o.version != OPSET]
    for value in (*model.graph.input, *model.graph.output):
        if not all(isinstance(side, int) for side in shape_of(value)):
            found.append(f"{value.name} has open sides")
    constants = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in _REFUSED:
            found.append(f"{node.op_type} ({node.name})")
        if node.op_type in _ATTRIBUTES and len(node.input) > 1:
            found.append(f"{node.op_type} with {_ATTRIBUTES[node.op_type]} as an input")
        if node.op_type == "Slice" and len(node.input) > 4:
            steps = constants.get(node.input[4])
            if steps is None or (steps != 1).any():
                found.append(f"a slice with a step ({node.name})")
    return found


_NEW_ATTRIBUTES = {"allowzero", "training_mode"}
"""Of Reshape and BatchNormalization; 0 in networks for inference, which is how it always was."""
_REFUSED = {
    *("Shape", "Gather", "GatherND", "Range", "NonMaxSuppression", "Loop", "If", "Where", "Expand"),
    *("HardSwish", "GreaterOrEqual", "Cast", "ConstantOfShape"),
}


def _complete_resizes(graph: Any, constants: dict[str, Any]) -> None:
    """Give every Resize a region, which is not used, and factors in the place of sizes."""
    shapes = {v.name: shape_of(v) for v in (*graph.value_info, *graph.input)}
    resizes = [node for node in graph.node if node.op_type == "Resize"]
    if resizes:
        graph.initializer.append(constant("no_region", np.zeros(0, np.float32)))
    for node in resizes:
        if len(node.input) == 4:
            sizes, shape = constants.get(node.input[3]), shapes.get(node.input[0])
            if sizes is None or shape is None:
                raise BundleError(f"the sizes of {node.name} are not known beforehand")
            sides = zip(map(int, sizes), map(int, shape), strict=True)
            factors = np.array([_factor(wanted, given) for wanted, given in sides])
            node.input[2] = f"{node.output[0]}_factors"
            graph.initializer.append(constant(node.input[2], factors))
            del node.input[3]
        node.input[1] = "no_region"


def _factor(wanted: int, given: int) -> np.float32:
    """The float32 nearest to wanted/given with which rounding down gives `wanted`."""
    factor = np.float32(wanted) / np.float32(given)
    while given * float(factor) < wanted:  # runtimes round the product in either precision
        factor = np.nextafter(factor, np.float32(np.inf))
    return np.float32(factor)


def _as_before(node: Any, constants: dict[str, Any]) -> Any:
    kept = [a for a in node.attribute if a.name not in _NEW_ATTRIBUTES]
    if len(kept) < len(node.attribute):
        del node.attribute[:]
        node.attribute.extend(kept)
    attribute = _ATTRIBUTES.get(node.op_type)
    if attribute is None or len(node.input) < 2:
        return node
    value = constants.get(node.input[1])
    if value is None:
        raise BundleError(f"the {attribute} of {node.op_type} ({node.name}) are not constant")
    del node.input[1:]
    node.attribute.append(helper.make_attribute(attribute, [int(v) for v in value]))
    return node


def _hard_swish(node: Any) -> list[Any]:
    """x · clip(x/6 + 1/2, 0, 1)."""
    gate = f"{node.output[0]}_gate"
    return [
        helper.make_node("HardSigmoid", list(node.input), [gate], gate, alpha=1 / 6, beta=0.5),
        helper.make_node("Mul", [node.input[0], gate], list(node.output), node.name),
    ]
