"""The graph of an int8 bundle: rewritten so that integers are fast, it computes the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch.nn import functional as F

from litescene.export.int8.calibration import Curve
from litescene.export.int8.gates import (
    close_hard_swishes,
    hard_swish,
    open_hard_swishes,
    silu,
    swished,
)
from litescene.export.int8.moving import move_integers
from litescene.export.int8.ranges import shared_ranges
from litescene.export.int8.stem import scale_weights
from litescene.export.int8.weights import weight_ranges
from litescene.export.int8.widening import MULTIPLE, widen
from litescene.export.nodes import constants, integer, makers, set_nodes
from litescene.runtime.catalog import shipped

SHAPE = (2, 8, 9, 11)
RNG = np.random.default_rng(4)


def graph_of(
    nodes: Sequence[Any], outputs: Sequence[str], **values: NDArray[Any]
) -> onnx.ModelProto:
    """A model from x, N×8×9×11, to the outputs."""
    for number, node in enumerate(nodes):
        node.name = f"node{number}"
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def computed(model: onnx.ModelProto) -> list[NDArray[np.float32]]:
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    return [np.asarray(found) for found in session.run(None, {"x": x})]


def weight(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def conv(x: str, y: str, *, groups: int = 1) -> Any:
    """A convolution with the weights `w_y` and the biases `b_y`."""
    return helper.make_node("Conv", [x, f"w_{y}", f"b_{y}"], [y], group=groups, pads=[0, 0, 0, 0])


def weights(**shapes: tuple[int, ...]) -> dict[str, NDArray[np.float32]]:
    found = {f"w_{name}": weight(*shape) for name, shape in shapes.items()}
    return found | {f"b_{name}": weight(shape[0]) for name, shape in shapes.items()}


def depthwise(model: onnx.ModelProto) -> list[int]:
    """Channels of the depthwise convolutions."""
    known = constants(model.graph)
    kernels = [known[n.input[1]] for n in model.graph.node if n.op_type == "Conv"]
    return [len(kernel) for kernel in kernels if kernel.shape[1] == 1 < len(kernel)]


def test_channels_are_added_between_convolutions() -> None:
    nodes = [
        conv("x", "a"),
        helper.make_node("Relu", ["a"], ["b"]),
        conv("b", "c", groups=20),
        helper.make_node("HardSwish", ["c"], ["d"]),
        conv("d", "y"),
    ]
    values = weights(a=(20, 8, 1, 1), c=(20, 1, 3, 3), y=(5, 20, 1, 1))
    model = graph_of(nodes, ["y"], **values)
    (before,) = computed(model)
    widen(model)
    (after,) = computed(model)
    assert depthwise(model) == [32]
    assert after.shape == (2, 5, 7, 9)
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-6)


def test_a_concatenation_without_parts_that_fit_stays() -> None:
    """8 + 5 channels want three more, and no part of them has three; 3 + 8 + 5 are enough."""
    nodes = [
        conv("x", "a"),
        helper.make_node("Split", ["a", "sizes"], ["p", "q"], axis=1),
        helper.make_node("Concat", ["x", "p"], ["j"], axis=1),
        conv("j", "k", groups=13),
        conv("k", "y"),
        conv("j", "z"),
        helper.make_node("Concat", ["q", "x", "p"], ["l"], axis=1),
        conv("l", "m", groups=16),
        conv("m", "v"),
    ]
    values = weights(a=(8, 8, 1, 1), k=(13, 1, 3, 3), y=(4, 13, 1, 1), z=(4, 13, 1, 1),
                     m=(16, 1, 3, 3), v=(4, 16, 1, 1))  # fmt: skip
    sizes = np.array([5, 3], np.int64)
    model = graph_of(nodes, ["y", "z", "v"], sizes=sizes, **values)
    before = computed(model)
    widen(model)
    assert [len(n.input) for n in model.graph.node if n.op_type == "Concat"] == [2, 2]
    assert depthwise(model) == [13, 16]
    for one, other in zip(before, computed(model), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def thirteen_joined() -> list[Any]:
    """A concatenation j of 8 + 3 + 2 channels, and a depthwise convolution behind it."""
    return [
        conv("x", "a"),
        helper.make_node("Split", ["a", "sizes"], ["p", "q"], axis=1),
        helper.make_node("Concat", ["x", "p", "q"], ["j"], axis=1),
        conv("j", "k", groups=13),
        conv("k", "y"),
    ]


def test_an_inner_concatenation_takes_its_new_channels_along() -> None:
    nodes = [
        *thirteen_joined(),
        helper.make_node("Concat", ["a", "x", "p", "q"], ["l"], axis=1),
        conv("l", "m", groups=18),
        conv("m", "v"),
    ]
    values = weights(a=(5, 8, 1, 1), k=(13, 1, 3, 3), y=(4, 13, 1, 1), m=(18, 1, 3, 3),
                     v=(4, 18, 1, 1))  # fmt: skip
    model = graph_of(nodes, ["y", "v"], sizes=np.array([3, 2], np.int64), **values)
    before = computed(model)
    widen(model)
    parts = [list(n.input) for n in model.graph.node if n.op_type == "Concat"]
    assert parts == [["x", "p", "q", "p"], ["a", "j"]]
    assert depthwise(model) == [16, 21]
    for one, other in zip(before, computed(model), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_a_place_behind_an_unknown_number_of_channels_is_left_alone() -> None:
    nodes = [
        *thirteen_joined(),
        helper.make_node("Shape", ["x"], ["end"], start=1, end=2),
        helper.make_node("Slice", ["x", "zero", "end", "one"], ["s"]),
        helper.make_node("Concat", ["s", "j"], ["l"], axis=1),
        conv("l", "v"),
    ]
    values = weights(a=(5, 8, 1, 1), k=(13, 1, 3, 3), y=(4, 13, 1, 1), v=(4, 21, 1, 1))
    numbers = {"zero": np.array([0]), "one": np.array([1]), "sizes": np.array([3, 2], np.int64)}
    model = graph_of(nodes, ["y", "v"], **numbers, **values)
    before = computed(model)
    widen(model)
    assert depthwise(model) == [13]
    for one, other in zip(before, computed(model), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("reader", ["output", "Add", "Softmax"])
def test_what_others_read_keeps_its_channels(reader: str) -> None:
    nodes = [conv("x", "a"), conv("a", "c", groups=20), conv("c", "y")]
    if reader != "output":
        inputs = ["a", "a"] if reader == "Add" else ["a"]
        nodes.insert(1, helper.make_node(reader, inputs, ["z"]))
    values = weights(a=(20, 8, 1, 1), c=(20, 1, 3, 3), y=(5, 20, 1, 1))
    model = graph_of(nodes, ["y", "a" if reader == "output" else "z"], **values)
    before = model.SerializeToString()
    widen(model)
    assert depthwise(model) == [20]
    assert len(model.SerializeToString()) <= len(before)


def test_a_factor_of_the_pixels_goes_into_the_weights() -> None:
    factor = RNG.uniform(0.5, 2, (1, 8, 1, 1)).astype(np.float32)
    nodes = [helper.make_node("Mul", ["x", "factor"], ["s"]), conv("s", "a"), conv("a", "y")]
    model = graph_of(nodes, ["y"], factor=factor, **weights(a=(4, 8, 3, 3), y=(2, 4, 1, 1)))
    (before,) = computed(model)
    scale_weights(model.graph)
    set_nodes(model.graph, list(model.graph.node))
    assert [node.op_type for node in model.graph.node] == ["Conv", "Conv"]
    np.testing.assert_allclose(computed(model)[0], before, rtol=1e-4, atol=1e-5)


def test_joined_tensors_share_the_widest_range_and_rectified_ones_only_with_their_like() -> None:
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["c"], axis=1),
        helper.make_node("Split", ["c", "sizes"], ["d", "e"], axis=1),
        helper.make_node("Concat", ["d", "f"], ["g"], axis=1),
        helper.make_node("MaxPool", ["f"], ["h"], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["g"], ["i"]),
    ]
    graph = helper.make_graph(nodes, "g", [], [])
    ranges = {
        "a": (0.0, 1.0), "b": (0.0, 3.0), "c": (0.0, 3.0), "d": (0.0, 2.0), "e": (0.0, 3.0),
        "f": (-0.5, 4.0), "g": (-0.5, 4.0), "h": (-0.1, 4.0), "i": (0.0, 4.0),
    }  # fmt: skip
    assert shared_ranges(graph, ranges) == {
        **dict.fromkeys("abcde", (0.0, 3.0)), **dict.fromkeys("fgh", (-0.5, 4.0)), "i": (0.0, 4.0),
    }  # fmt: skip


def pair(x: str, y: str, scale: str, zero: str = "zero") -> list[Any]:
    """x to integers and back to y."""
    return [
        helper.make_node("QuantizeLinear", [x, scale, zero], [f"{y}_q"]),
        helper.make_node("DequantizeLinear", [f"{y}_q", scale, zero], [y]),
    ]


def quantised(scale_behind: float) -> onnx.ModelProto:
    """x to integers, split in halves, put together the other way round."""
    nodes = [
        *pair("x", "a", "scale"),
        helper.make_node("Split", ["a", "sizes"], ["b", "c"], axis=1),
        *pair("b", "d", "scale"),
        *pair("c", "e", "scale"),
        helper.make_node("Concat", ["e", "d"], ["f"], axis=1),
        *pair("f", "y", "behind"),
    ]
    return graph_of(
        nodes, ["y"], scale=np.float32(0.02), behind=np.float32(scale_behind), zero=np.uint8(120),
        sizes=np.array([3, 5], np.int64),
    )  # fmt: skip


@pytest.mark.parametrize(("scale_behind", "kept"), [(0.02, 1), (0.03, 2)])
def test_integers_are_moved_as_they_are(scale_behind: float, kept: int) -> None:
    model = quantised(scale_behind)
    (before,) = computed(model)
    move_integers(model.graph)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("QuantizeLinear") == kept
    assert np.array_equal(computed(model)[0], before)


def test_a_hard_swish_is_opened_into_a_gate_and_a_product() -> None:
    model = graph_of([helper.make_node("HardSwish", ["x"], ["y"])], ["y"])
    (before,) = computed(model)
    open_hard_swishes(model.graph)
    assert [node.op_type for node in model.graph.node] == ["HardSigmoid", "Mul"]
    np.testing.assert_allclose(computed(model)[0], before, rtol=1e-6, atol=1e-7)


def test_tensors_that_only_a_swish_reads_are_found() -> None:
    nodes = [
        helper.make_node("HardSwish", ["x"], ["a"]),
        helper.make_node("HardSwish", ["a"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["g"]),
        helper.make_node("Mul", ["g", "b"], ["c"]),
        helper.make_node("HardSwish", ["c"], ["d"]),
        helper.make_node("Add", ["d", "c"], ["e"]),  # c itself is used too
        helper.make_node("Sigmoid", ["e"], ["h"]),
        helper.make_node("Mul", ["h", "d"], ["y"]),  # a gate of something else
    ]
    model = graph_of(nodes, ["y"])
    open_hard_swishes(model.graph)
    assert swished(model.graph) == {"x": hard_swish, "a": hard_swish, "b": silu}


@pytest.mark.parametrize(("curve", "operator"), [(silu, F.silu), (hard_swish, F.hardswish)])
def test_curves_are_those_of_pytorch(curve: Curve, operator: Any) -> None:
    x = np.concatenate([np.linspace(-9, 9, 401), [-1e4, 1e4]])
    np.testing.assert_allclose(curve(x), operator(torch.from_numpy(x)).numpy(), atol=1e-12)


def test_a_product_with_a_gate_of_another_slope_is_no_hard_swish() -> None:
    nodes = [
        helper.make_node("HardSigmoid", ["x"], ["g"], alpha=0.2, beta=0.5),
        helper.make_node("Mul", ["x", "g"], ["y"]),
    ]
    model = graph_of(nodes, ["y"])
    close_hard_swishes(model.graph)
    assert [node.op_type for node in model.graph.node] == ["HardSigmoid", "Mul"]


def test_a_hard_swish_that_stayed_floating_is_closed_again() -> None:
    model = graph_of([helper.make_node("HardSwish", ["x"], ["y"])], ["y"])
    open_hard_swishes(model.graph)
    close_hard_swishes(model.graph)
    assert [(n.op_type, *n.input, *n.output) for n in model.graph.node] == [("HardSwish", "x", "y")]


SCALE = 0.031
"""Of integers from -4 to 4; none of their gates lies halfway between two, but for that of 0."""


def gated(gate_scale: float, slope: float = 1 / 6) -> onnx.ModelProto:
    """x and its hard sigmoid as integers, and the product of both as integers."""
    gate = helper.make_node("HardSigmoid", ["a"], ["g"], alpha=slope, beta=0.5)
    nodes = [
        *pair("x", "a", "scale"),
        gate,
        *pair("g", "h", "gate_scale", "none"),
        helper.make_node("Mul", ["a", "h"], ["p"]),
        *pair("p", "y", "scale"),
    ]
    return graph_of(
        nodes, ["y"], scale=np.float32(SCALE), zero=np.uint8(128), none=np.uint8(0),
        gate_scale=np.float32(gate_scale),
    )  # fmt: skip


def test_a_gate_of_integers_is_a_sum_that_saturates() -> None:
    model = gated(1 / 255)
    close_hard_swishes(model.graph)
    assert [n.op_type for n in model.graph.node if "Linear" not in n.op_type] == ["Add", "Mul"]
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)  # as `computed` takes it
    assert x.min() < -3 < 3 < x.max()
    integers = np.clip(np.rint(x.astype(np.float64) / SCALE) + 128, 0, 255)
    values = (integers - 128) * SCALE
    gates = np.rint(np.clip(values / 6 + 0.5, 0, 1) * 255) / 255
    (found,) = computed(model)
    np.testing.assert_allclose(found, values * gates, atol=0.5001 * SCALE)


def test_a_sum_of_integers_is_computed_in_integers(tmp_path: Path) -> None:
    """ONNX Runtime takes its kernel only where every scale is a scalar."""
    model = gated(0.9 / 255)
    close_hard_swishes(model.graph)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    data = model.SerializeToString()
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(options.optimized_model_filepath).graph
    assert [n.op_type for n in optimised.node] == [
        "QuantizeLinear", "QLinearAdd", "QLinearMul", "DequantizeLinear",
    ]  # fmt: skip


@pytest.mark.parametrize(("gate_scale", "slope"), [(1.5 / 255, 1 / 6), (1 / 255, 0.2)])
def test_a_gate_that_reaches_beyond_one_or_is_of_another_slope_stays(
    gate_scale: float, slope: float
) -> None:
    model = gated(gate_scale, slope)
    (before,) = computed(model)
    close_hard_swishes(model.graph)
    assert "HardSigmoid" in [node.op_type for node in model.graph.node]
    assert np.array_equal(computed(model)[0], before)


@pytest.mark.parametrize("name", ["yolov5_lite_i8e", "yolov5_lite_i8s"])
def test_the_shipped_int8_detectors_have_whole_vectors_and_move_integers(name: str) -> None:
    model = onnx.load_model_from_string(shipped()[name].open().model)
    found = [integer(n, "group", 1) for n in model.graph.node if n.op_type == "Conv"]
    assert max(found) > 200
    assert not any(groups % MULTIPLE for groups in found if groups > 1)
    made = makers(model.graph)
    moving = [n for n in model.graph.node if n.op_type in ("Split", "Concat")]
    backbone = [node for node in moving if node.name.startswith("/backbone/")]
    assert len(backbone) > 20
    for node in backbone:  # the neck's also join rectified values with others
        assert made[node.input[0]].op_type != "DequantizeLinear", node.name


def saturating(activations: NDArray[Any], weights: NDArray[Any]) -> NDArray[np.int64]:
    """N×K uint8 times M×K int8 as VPMADDUBSW adds: neighbours in 16 bits that saturate."""
    odd = activations.shape[1] % 2
    a, w = (np.pad(v.astype(np.int64), [(0, 0), (0, odd)]) for v in (activations, weights))
    pairs = (a[:, None] * w[None]).reshape(len(a), len(w), -1, 2).sum(3)
    return np.clip(pairs, -(2**15), 2**15 - 1).sum(2)


@pytest.mark.parametrize("channels", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("sign", [1, -1, 0])
def test_no_sum_of_two_products_overflows_16_bits(channels: int, sign: int) -> None:
    drawn = weight(6, channels, 3, 3)
    values = sign * np.abs(drawn) if sign else drawn
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    ((axis, reached),) = weight_ranges(graph_of([node], ["y"], w=values).graph).values()
    assert axis == 0
    assert (np.abs(values).reshape(6, -1).max(1) <= reached + 1e-6).all()
    steps = np.rint(values / (reached / 127)[:, None, None, None]).astype(np.int64)
    worst = np.vstack([np.full(channels * 9, 255), RNG.choice([0, 255], (40, channels * 9))])
    rows = steps.transpose(0, 2, 3, 1).reshape(6, -1)
    assert (saturating(worst, rows) == worst @ rows.T).all()
    at_places, some = steps.transpose(2, 3, 0, 1).reshape(-1, channels), worst[:, :channels]
    assert (saturating(some, at_places) == some @ at_places.T).all()


def test_scales_are_no_coarser_than_pairs_need() -> None:
    values = np.zeros((4, 4, 1, 1), np.float32)
    values[0, :, 0, 0] = 1, 0, 1, 0  # never neighbours of a pair
    values[1, :, 0, 0] = 1, 1, 0, 0
    values[2, :, 0, 0] = 1, -1, 0, 0  # they cancel
    values[3, :, 0, 0] = 0, -1, -0.5, 0.25  # the second and the third are no pair
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    ((_, reached),) = weight_ranges(graph_of([node], ["y"], w=values).graph).values()
    assert reached.tolist() == [1, 2, 1, 1]


@pytest.mark.parametrize(
    ("operator", "shape", "attributes", "axis"),
    [
        ("Conv", (8, 1, 3, 3), {"group": 8}, 0),
        ("ConvTranspose", (8, 6, 2, 2), {}, 1),
        ("MatMul", (8, 6), {}, 1),
        ("Gemm", (8, 6), {}, 1),
        ("Gemm", (6, 8), {"transB": 1}, 0),
    ],
)
def test_ranges_belong_to_the_axis_of_the_outputs(
    operator: str, shape: tuple[int, ...], attributes: dict[str, int], axis: int
) -> None:
    values = weight(*shape)
    node = helper.make_node(operator, ["x", "w"], ["y"], **attributes)
    model = helper.make_graph([node], "g", [], [], [numpy_helper.from_array(values, "w")])
    ((found, reached),) = weight_ranges(model).values()
    assert (found, len(reached)) == (axis, shape[axis])
    largest = np.abs(np.moveaxis(values, axis, 0)).reshape(shape[axis], -1).max(1)
    if "group" in attributes:  # depthwise kernels add nothing in 16 bits
        assert reached == pytest.approx(largest)
    else:
        assert (reached >= largest - 1e-6).all()
        assert (reached <= 2 * largest + 1e-6).all()


@pytest.mark.parametrize("name", ["yolov5_lite_i8e", "yolov5_lite_i8s"])
def test_the_shipped_int8_detectors_overflow_nowhere(name: str) -> None:
    graph = onnx.load_model_from_string(shipped()[name].open().model).graph
    known, made = constants(graph), makers(graph)
    checked = 0
    for node in (n for n in graph.node if n.op_type == "Conv"):
        source = made.get(node.input[1])
        steps = known[source.input[0]] if source is not None else known[node.input[1]]
        if steps.dtype != np.int8 or steps.shape[1] == 1:
            continue
        rows = np.moveaxis(steps, 1, -1).reshape(len(steps), -1)
        for extreme in (rows > 0, rows < 0):  # the activations that are worst for a row
            worst = 255 * extreme.astype(np.int64)
            found = [saturating(a[None], w[None])[0, 0] for a, w in zip(worst, rows, strict=True)]
            assert found == (worst * rows).sum(1).tolist()
        checked += 1
    assert checked > 20
