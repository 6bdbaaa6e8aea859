"""int8 bundles: against the bounds of affine quantisation, and in use."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from litescene.cli import main
from litescene.core import BundleError, InputError
from litescene.export import quantize
from litescene.export.int8 import state_accuracy
from litescene.export.int8.stem import pool_before_rectifying
from litescene.export.parity import draw_picture
from litescene.media.picture_samples import sample_pictures
from litescene.metrics import ConfusionMatrix
from litescene.runtime import Bundle, Segmenter, write_metadata
from litescene.runtime.catalog import shipped
from litescene.runtime.engines import create_engine
from real_data import DataSet
from tiny_bundles import segmentation_contract, segmentation_model

SIZE = (96, 128)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def pictures() -> list[NDArray[np.uint8]]:
    return [cv2.resize(draw_picture(seed), SIZE[::-1]) for seed in range(12)]


@pytest.fixture
def bundle() -> Bundle:
    model = write_metadata(segmentation_model(), segmentation_contract(SIZE))
    return Bundle.from_bytes(model, "tiny")


def exact_logits(bundle: Bundle, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The tiny model in float64: means of 8×8 pixels in 0..1, then a 1×1 convolution."""
    pooled = (picture / 255.0).reshape(SIZE[0] // 8, 8, SIZE[1] // 8, 8, 3).mean((1, 3))
    return np.einsum("oc,hwc->ohw", weights(bundle), pooled)


def weights(bundle: Bundle) -> NDArray[np.float64]:
    graph = onnx.load_model_from_string(bundle.model).graph
    found = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    return found["w0"][:, :, 0, 0].astype(np.float64)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino-f32"])
def test_logits_are_within_the_steps_of_the_affine_maps(
    bundle: Bundle, pictures: list[NDArray[np.uint8]], tmp_path: Path, engine: str
) -> None:
    made = quantize(bundle, tmp_path / "int8.onnx", pictures)
    seen = [p for i, p in enumerate(pictures) if i % 4]
    logits = np.stack([exact_logits(bundle, p) for p in seen])
    w = weights(bundle)
    # Half a step of each map on the way: pictures and their means are 0..1 in 255 steps.
    of_input = 2 * 0.5 / 255 * np.abs(w).sum(1)
    # A pair of channels whose weights have one sign sums to 127 steps at most.
    of_weights = 0.5 * np.maximum(np.abs(w), np.abs(w[:, :1] + w[:, 1:2])).max(1) / 127 * 3
    of_output = 0.5 * (max(logits.max(), 0) - min(logits.min(), 0)) / 255
    bound = (of_input + of_weights + of_output)[:, None, None] * 1.02
    runner = create_engine(engine, made)
    for picture, wanted in zip(seen, logits, strict=True):
        given = runner.run(picture[None])[0][0]
        assert (np.abs(given - wanted) <= bound).all()
        assert np.abs(given - wanted).max() > 1e-5  # it really computes in steps


def test_a_stem_stays_floating_point_and_pools_before_it_rectifies(
    pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    made = quantize(shipped()["yolov5_lite_e"].open(), tmp_path / "int8.onnx", pictures)
    graph = onnx.load_model_from_string(made.model).graph
    maker = {output: node for node in graph.node for output in node.output}
    kinds = [node.op_type for node in graph.node]
    first = next(node for node in graph.node if node.op_type == "Conv")
    # The normalisation is in the weights.
    assert [maker[i].op_type for i in first.input if i in maker] == ["Cast"]
    (pool,) = (node for node in graph.node if node.op_type == "MaxPool")
    assert maker[pool.input[0]] is first
    assert kinds.count("QuantizeLinear") > 50
    outputs = {output.name for output in graph.output}
    for head in (node for node in graph.node if outputs & set(node.output)):
        assert not any(maker[i].op_type == "DequantizeLinear" for i in head.input[1:] if i in maker)


def test_the_order_of_pooling_and_rectifying_changes_no_value() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((4, 3, 3, 3), (2, 4, 1, 1))]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["a"], "one"),
        helper.make_node("Relu", ["a"], ["b"], "two"),
        helper.make_node("MaxPool", ["b"], ["c"], "three", kernel_shape=[3, 3], strides=[2, 2],
                         pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "w1"], ["y"], "four"),
    ]  # fmt: skip
    shape = [1, 3, 17, 21]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 2, 8, 10])],
        [numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    x = rng.normal(size=shape).astype(np.float32)
    before = computed(model, x)
    pool_before_rectifying(model.graph)
    assert [node.op_type for node in model.graph.node] == ["Conv", "MaxPool", "Relu", "Conv"]
    onnx.checker.check_model(model)
    onnx.shape_inference.infer_shapes(model, strict_mode=True)  # the shapes in it are still right
    assert np.array_equal(before, computed(model, x))


def test_nodes_need_no_names(pictures: list[NDArray[np.uint8]], tmp_path: Path) -> None:
    exact = shipped()["yolov5_lite_e"].open()
    model = onnx.load_model_from_string(exact.model)
    for node in model.graph.node:
        node.name = ""
    unnamed = Bundle.from_bytes(
        write_metadata(model.SerializeToString(), exact.contract), "unnamed"
    )
    made = [quantize(one, tmp_path / "int8.onnx", pictures) for one in (exact, unnamed)]
    found = [create_engine("onnxruntime", one).run(pictures[0][None]) for one in made]
    for named, other in zip(*found, strict=True):
        assert np.array_equal(named, other)


def computed(model: onnx.ModelProto, x: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run(None, {"x": x})[0])


def test_the_accuracy_of_float32_is_not_that_of_int8(
    pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    contract = segmentation_contract(SIZE, accuracy={"mean_iou": 0.9})
    exact = Bundle.from_bytes(write_metadata(segmentation_model(), contract), "tiny")
    made = quantize(exact, tmp_path / "int8.onnx", pictures)
    assert made.contract.accuracy == {}
    state_accuracy(tmp_path / "int8.onnx", {"mean_iou": 0.8})
    stated = Bundle.open(tmp_path / "int8.onnx")
    assert stated.contract.accuracy == {"mean_iou": 0.8}
    assert stated.contract.parity == made.contract.parity


def test_the_contract_says_what_was_done(
    bundle: Bundle, pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    made = quantize(bundle, tmp_path / "int8.onnx", pictures)
    assert Bundle.open(tmp_path / "int8.onnx").digest == made.digest
    parity = made.contract.parity
    assert parity["quantized_from"] == bundle.digest
    assert (parity["calibration_pictures"], parity["compared_pictures"]) == (9, 3)
    assert 0.9 < parity["int8_agreement"] <= 1
    kinds = {t.data_type for t in onnx.load_model_from_string(made.model).graph.initializer}
    assert onnx.TensorProto.INT8 in kinds


def test_what_cannot_be_quantised_is_refused(
    bundle: Bundle, pictures: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="7 pictures are too few"):
        quantize(bundle, tmp_path / "few.onnx", pictures[:7])
    made = quantize(bundle, tmp_path / "int8.onnx", pictures)
    with pytest.raises(BundleError, match="quantised already"):
        quantize(made, tmp_path / "twice.onnx", pictures)
    assert [p.name for p in tmp_path.glob("*.onnx")] == ["int8.onnx"]


@pytest.mark.slow
@pytest.mark.data
def test_the_shipped_segmenter_keeps_its_accuracy_in_int8(
    tmp_path: Path, data_set: DataSet
) -> None:
    camvid = data_set("camvid")
    images = sample_pictures(str(camvid / "train"), 48)
    exact = shipped()["pp_liteseg_t"].open()
    made = quantize(exact, tmp_path / "int8.onnx", images)
    assert len(made.model) < 0.3 * len(exact.model)
    matrices = []
    for one in (exact, made):
        segmenter = Segmenter(one, "openvino-f32")
        matrix = ConfusionMatrix(segmenter.taxonomy)
        for path in sorted((camvid / "val").glob("*"))[::4]:
            labels = cv2.imread(str(camvid / "valannot" / f"{path.stem}.png"), -1)
            matrix.add(segmenter(path).labels, np.where(labels == 11, 255, labels).astype(np.uint8))
        matrices.append(matrix.to_dict()["mean_iou"])
    assert abs(matrices[0] - matrices[1]) < 0.01


@pytest.mark.slow
@pytest.mark.data
def test_the_shipped_detector_loses_at_most_a_point_in_int8(
    tmp_path: Path, data_set: DataSet, capsys: pytest.CaptureFixture[str]
) -> None:
    signs = data_set("road_signs")
    out = tmp_path / "int8.onnx"
    words = ["quantize", "yolov5_lite_s", "-o", str(out), "--pictures", str(signs / "images")]
    with pytest.raises(SystemExit) as ended:
        main([*words, "--limit", "48", "--data", f"voc:{signs}"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if line.startswith("ap50 on"))
    before, after = (float(part) for part in re.findall(r": (0\.\d+) in|, (0\.\d+) in", line)
                     for part in part if part)  # fmt: skip
    assert before > 0.75
    assert after > before - 0.01
    assert "warning: int8 loses" not in said


def test_a_bundle_is_not_written_over_by_its_int8_form(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "tiny.onnx"
    own.write_bytes(bundle.model)
    with pytest.raises(SystemExit) as ended:
        main(["quantize", str(own), "-o", str(own), "--pictures", str(tmp_path)])
    assert ended.value.code == 2
    assert "is the float32 bundle itself" in capsys.readouterr().err
    assert own.read_bytes() == bundle.model


@pytest.mark.slow
def test_calibration_without_an_object_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(8):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((64, 64, 3), i, np.uint8))
    out = tmp_path / "int8.onnx"
    words = ["quantize", "yolov5_lite_e", "-o", str(out), "--pictures", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert "warning: no picture held an object" in capsys.readouterr().out
