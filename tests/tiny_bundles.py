"""Tiny bundles, built with the `onnx` package, that behave like real ones."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from litescene.core import Contract, Taxonomy, distinct_colors

ANCHORS = (
    ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)),
    ((30.0, 61.0), (62.0, 45.0), (59.0, 119.0)),
    ((116.0, 90.0), (156.0, 198.0), (373.0, 326.0)),
)


def taxonomy(classes: int) -> Taxonomy:
    names = tuple(f"class{i}" for i in range(classes))
    return Taxonomy("test", names, distinct_colors(classes))


def pooled_model(
    strides: tuple[int, ...], weights: list[np.ndarray], biases: list[np.ndarray]
) -> bytes:
    """uint8 NHWC → floats 0..1 NCHW → average over stride×stride → 1×1 convolution per level."""
    nodes = scaled()
    constants = [numpy_helper.from_array(np.float32(1 / 255), "scale")]
    outputs = []
    for i, (stride, weight, bias) in enumerate(zip(strides, weights, biases, strict=True)):
        sides = [stride, stride]
        nodes += [
            helper.make_node(
                "AveragePool", ["nchw"], [f"pool{i}"], kernel_shape=sides, strides=sides
            ),
            helper.make_node("Conv", [f"pool{i}", f"w{i}", f"b{i}"], [f"head{i}"]),
        ]
        constants += [numpy_helper.from_array(weight, f"w{i}")]
        constants += [numpy_helper.from_array(bias, f"b{i}")]
        shape = ["n", len(bias), f"h{i}", f"w{i}"]
        outputs.append(helper.make_tensor_value_info(f"head{i}", TensorProto.FLOAT, shape))
    return finished(nodes, outputs, constants)


def scaled() -> list[onnx.NodeProto]:
    """uint8 NHWC `picture` → floats 0..1 `nchw`."""
    return [
        helper.make_node("Cast", ["picture"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["cast", "scale"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["nchw"], perm=[0, 3, 1, 2]),
    ]


def finished(nodes: list[onnx.NodeProto], outputs: list, constants: list) -> bytes:
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, ["n", "h", "w", 3])
    graph = helper.make_graph(nodes, "tiny", [picture], outputs, constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], producer_name="test"
    )
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model.SerializeToString()


def segmentation_model(classes: int = 4, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((classes, 3, 1, 1)).astype(np.float32)
    return pooled_model((8,), [weight], [np.zeros(classes, np.float32)])


def detection_model(classes: int = 2, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    channels = 3 * (5 + classes)
    weights = [4 * rng.standard_normal((channels, 3, 1, 1)).astype(np.float32) for _ in range(3)]
    return pooled_model((8, 16, 32), weights, [np.zeros(channels, np.float32)] * 3)


def classification_model(classes: int = 4, seed: int = 0) -> bytes:
    """The mean colour through a linear layer: logits 6·W·(mean - 1/2), see `colour_weights`."""
    weight = colour_weights(classes, seed)
    nodes = [
        *scaled(),
        helper.make_node("GlobalAveragePool", ["nchw"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"], transB=1),
    ]
    constants = [
        numpy_helper.from_array(np.float32(1 / 255), "scale"),
        numpy_helper.from_array(6 * weight, "weight"),
        numpy_helper.from_array(-3 * weight.sum(1), "bias"),
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])
    return finished(nodes, [logits], constants)


def colour_weights(classes: int = 4, seed: int = 0) -> np.ndarray:
    """The weights W of `classification_model`, classes×3."""
    return np.random.default_rng(seed).standard_normal((classes, 3)).astype(np.float32)


def classification_contract(size: tuple[int, int] = (64, 64), **facts: object) -> Contract:
    return Contract(
        task="classification",
        system="tiny",
        taxonomy=taxonomy(4),
        size=size,
        finish="softmax",
        **facts,  # type: ignore[arg-type]
    )


def segmentation_contract(size: tuple[int, int] = (96, 128), **facts: object) -> Contract:
    return Contract(
        task="segmentation",
        system="tiny",
        taxonomy=taxonomy(4),
        size=size,
        finish="upsample_argmax",
        **facts,  # type: ignore[arg-type]
    )


def detection_contract(size: tuple[int, int] = (128, 128)) -> Contract:
    return Contract(
        task="detection",
        system="tiny",
        taxonomy=taxonomy(2),
        size=size,
        finish="decode_nms",
        anchors=ANCHORS,
        strides=(8, 16, 32),
        thresholds={"score": 0.3, "iou": 0.5},
    )
