"""A detector's last steps inside the graph: decoding, and non-maximum suppression.

    heads   one map per level, N×(a·(5+C))×h×w before the sigmoid
    rows    N×R×(5+C): x, y, w, h in pixels of the input, objectness, class scores from 0 to 1
    boxes   n×7: picture, x1, y1, x2, y2, score, class; as `runtime.nms` finds them

Rows are in order of level, anchor, row, column. Boxes are those whose objectness and score (of the
best class) are above the score threshold, less what a better box of the same class suppresses.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from onnx import TensorProto, helper

from litescene.core import Contract
from litescene.export.flavours.plain_graph import Graph, constant, simplified
from litescene.runtime.detection import stated_iou, stated_score
from litescene.runtime.nms import MAX_BOXES

Finish = Literal["heads", "rows", "boxes"]
ROWS, BOXES = "rows", "boxes"


def finished(model: Graph, contract: Contract, finish: Finish) -> Graph:
    """A detector's plain graph with more steps at its end; at its size, or at any if it is open."""
    if finish == "heads":
        return model
    steps = _Steps(model.graph)
    heads = [output.name for output in model.graph.output]
    levels = [
        steps.level(head, np.asarray(sizes, np.float32), stride)
        for head, sizes, stride in zip(heads, contract.anchors, contract.strides, strict=True)
    ]
    rows = steps.add("Concat", levels, ROWS, axis=1)
    classes = len(contract.taxonomy)
    shape: list[int | str] = ["n", ROWS, 5 + classes]
    if finish == "boxes":
        steps.boxes(rows, stated_score(contract), stated_iou(contract))
        shape = ["found", 7]
    del model.graph.output[:]
    name = ROWS if finish == "rows" else BOXES
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    if finish == "rows":
        model.graph.output[0].type.tensor_type.ClearField("shape")
    return simplified(model)


class _Steps:
    """Adds nodes and constants to a graph; names are numbered."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.count = 0

    def add(self, kind: str, inputs: list[Any], name: str = "", **attributes: Any) -> str:
        """A node with one output; arrays among the inputs become constants."""
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        output = name or self._fresh(kind)
        self.graph.node.append(helper.make_node(kind, names, [output], output, **attributes))
        return output

    def constant(self, value: Any) -> str:
        name = self._fresh("constant")
        self.graph.initializer.append(constant(name, np.asarray(value)))
        return name

    def level(self, head: str, anchors: Any, stride: int) -> str:
        """Rows of one level."""
        a = len(anchors)
        shape = self.add("Shape", [head])
        height, width = (self.add("Gather", [shape, np.int64(axis)]) for axis in (2, 3))
        sides = [self.add("Unsqueeze", [side, np.array([0])]) for side in (height, width)]
        apart = self.add("Concat", [np.array([0, a, -1]), *sides], axis=0)
        maps = self.add("Reshape", [head, apart])  # N×a×(5+C)×h×w
        maps = self.add("Sigmoid", [self.add("Transpose", [maps], perm=[0, 1, 3, 4, 2])])
        ends = ((0, 1), (1, 2), (2, 4), (4, 2**31))
        x, y, sizes, rest = (self._part(maps, *part) for part in ends)
        column = self._ramp(width, np.array([1, 1, 1, -1, 1]))
        row = self._ramp(height, np.array([1, 1, -1, 1, 1]))
        scale = np.float32(2 * stride)
        place = [
            self.add("Add", [self.add("Mul", [x, scale]), self._offset(column, stride)]),
            self.add("Add", [self.add("Mul", [y, scale]), self._offset(row, stride)]),
        ]
        squared = self.add("Mul", [sizes, sizes])
        extent = self.add("Mul", [squared, 4 * anchors.reshape(1, a, 1, 1, 2)])
        whole = self.add("Concat", [*place, extent, rest], axis=4)
        channels = self.add("Gather", [self.add("Shape", [whole]), np.array([4])])
        flat = self.add("Concat", [np.array([0, -1]), channels], axis=0)
        return self.add("Reshape", [whole, flat])

    def boxes(self, rows: str, score: float, iou: float) -> None:
        """Boxes of rows, as `BOXES`."""
        centre, extent = self._part(rows, 0, 2, 2), self._part(rows, 2, 4, 2)
        objectness, classes = self._part(rows, 4, 5, 2), self._part(rows, 5, 2**31, 2)
        half = self.add("Mul", [extent, np.float32(0.5)])
        low, high = self.add("Sub", [centre, half]), self.add("Add", [centre, half])
        corners = self.add("Concat", [low, high], axis=2)
        best = self.add("ReduceMax", [classes], axes=[2], keepdims=1)
        chosen = self.add("GreaterOrEqual", [classes, best])
        sure = self.add("Greater", [objectness, np.float32(score)])
        kept = self.add("Cast", [self.add("And", [chosen, sure])], to=TensorProto.FLOAT)
        scores = self.add("Mul", [self.add("Mul", [classes, objectness]), kept])
        by_class = self.add("Transpose", [scores], perm=[0, 2, 1])
        found = self.add(
            "NonMaxSuppression",
            [corners, by_class, np.array([MAX_BOXES]), *np.array([[iou], [score]], np.float32)],
        )
        picture, label, index = (
            self.add("Gather", [found, np.array([i])], axis=1) for i in range(3)
        )
        cell = self.add("Concat", [picture, index], axis=1)
        box = self.add("GatherND", [corners, cell])
        value = self.add("GatherND", [by_class, found])
        columns = [
            self.add("Cast", [picture], to=TensorProto.FLOAT),
            box,
            self.add("Unsqueeze", [value, np.array([1])]),
            self.add("Cast", [label], to=TensorProto.FLOAT),
        ]
        self.add("Concat", columns, BOXES, axis=1)

    def _part(self, value: str, begin: int, end: int, axis: int = 4) -> str:
        return self.add("Slice", [value, np.array([begin]), np.array([end]), np.array([axis])])

    def _ramp(self, count: str, shape: Any) -> str:
        numbers = self.add("Range", [np.int64(0), count, np.int64(1)])
        return self.add("Reshape", [self.add("Cast", [numbers], to=TensorProto.FLOAT), shape])

    def _offset(self, ramp: str, stride: int) -> str:
        """Pixels of (cell - 0.5)."""
        moved = self.add("Sub", [ramp, np.float32(0.5)])
        return self.add("Mul", [moved, np.float32(stride)])

    def _fresh(self, kind: str) -> str:
        self.count += 1
        return f"finish_{kind.lower()}_{self.count}"
