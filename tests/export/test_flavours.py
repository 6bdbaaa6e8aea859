"""Bundles in the formats of other runtimes: what is written computes what PyTorch computes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from litescene.core import (
    BundleError,
    MissingExtraError,
    OutputError,
    ParityError,
    Taxonomy,
    distinct_colors,
)
from litescene.export import contract_of, quantize, to_onnx
from litescene.export.flavours import TARGETS, convert
from litescene.export.flavours.opset11 import OPSET, broken_rules, lowered
from litescene.export.flavours.plain_graph import INPUT, constant, plain_graph
from litescene.export.parity import draw_picture
from litescene.media.letterbox import Letterbox
from litescene.models import create_model, variant
from litescene.models.spec import input_spec_of
from litescene.runtime.bundle import Bundle, write_metadata
from litescene.runtime.catalog import find
from litescene.runtime.detection import DEFAULT_IOU, DEFAULT_SCORE, Detector
from litescene.synth import Street

SIZE = (96, 160)
ELEVEN = Taxonomy("eleven", tuple(f"class{i}" for i in range(11)), distinct_colors(11))


def bundle_of(name: str, task: str) -> tuple[Any, Bundle]:
    """A network with random weights, and its bundle."""
    torch.manual_seed(0)
    model = create_model(name, num_classes=11).train()
    pictures = np.stack([draw_picture(seed) for seed in range(4)]).transpose(0, 3, 1, 2)
    with torch.no_grad():
        for _ in range(3):  # batch norms that have seen pictures
            model(input_spec_of(model).normalised(torch.from_numpy(pictures).float()))
    model.eval()
    facts = {"task": task, "size": SIZE, "taxonomy": ELEVEN.to_dict()}
    contract = contract_of(model, {**facts, "model": {"name": name}})
    return model, Bundle.from_bytes(write_metadata(to_onnx(model), contract), name)


def planes(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    picture = draw_picture(seed)[: size[0], : size[1]]
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)


PAIRS = [(f"yolov5_lite_{letter}", flavour) for letter in "escg" for flavour in TARGETS]
PAIRS += [("enet", flavour) for flavour in ("onnx", "openvino", "mnn")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "flavour"), PAIRS)
def test_every_flavour_computes_what_pytorch_computes(
    name: str, flavour: str, tmp_path: Path
) -> None:
    task = variant(name).task
    model, bundle = bundle_of(name, task)
    done = convert(bundle, flavour, tmp_path, SIZE)
    target = TARGETS[flavour]
    assert sorted(done.files) == sorted(path.name for path in tmp_path.iterdir())
    run = target.load(tmp_path, name, plain_graph(bundle, SIZE))
    x = planes(7)
    with torch.inference_mode():
        normal = input_spec_of(model).normalised(torch.from_numpy(x))
        want = model.raw_heads(normal) if task == "detection" else [model.head_logits(normal)]
    for a, b in zip(want, run(x), strict=True):
        assert np.abs(a.numpy() - b).max() <= 2 * target.tolerance * float(a.abs().max())
    facts = json.loads((tmp_path / f"{name}.json").read_text())
    assert facts["input"]["shape"] == [1, 3, *SIZE]
    assert len(facts["outputs"]) == (3 if task == "detection" else 1)
    if flavour == "tengine":
        model = onnx.load(tmp_path / f"{name}.onnx")
        assert [o.version for o in model.opset_import] == [11]
        assert broken_rules(model) == []


@pytest.mark.slow
@pytest.mark.parametrize("flavour", ["ncnn", "tengine"])
def test_unpooling_by_comparison_is_refused_where_it_is_lacking(
    flavour: str, tmp_path: Path
) -> None:
    _, bundle = bundle_of("enet", "segmentation")
    with pytest.raises(BundleError, match=r"lacks one of its layers|GreaterOrEqual"):
        convert(bundle, flavour, tmp_path, SIZE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("open_sizes", [False, True])
@pytest.mark.parametrize("flavour", ["onnx", "openvino"])
def test_suppression_inside_gives_the_detectors_boxes(
    flavour: str, open_sizes: bool, tmp_path: Path
) -> None:
    shipped = find("yolov5_lite_e")
    low = {"score": 0.03, "iou": 0.4}
    bundle = replace(shipped, contract=replace(shipped.contract, thresholds=low))
    size = (256, 320)
    street = [frame.image for frame in islice(Street(3, 640, 480, 2.0).frames(), 12)]
    done = convert(
        bundle, flavour, tmp_path, size, finish="boxes", open_sizes=open_sizes, pictures=street[::4]
    )
    assert done.boxes is not None
    assert done.boxes > 3
    model = plain_graph(bundle, None if open_sizes else size)
    run = TARGETS[flavour].load(tmp_path, bundle.name, model)
    detector = Detector(bundle, "onnxruntime", size=size)
    compared = 0
    for picture in street:
        box = Letterbox.plan(picture.shape[:2], size, auto=False)
        given = np.float32(box.apply(picture).transpose(2, 0, 1)[None])
        (rows,) = run(given)
        rows = rows[np.argsort(-rows[:, 5], kind="stable")]
        wanted = detector(picture)
        np.testing.assert_allclose(rows[:, 5], wanted.scores, atol=1e-4)
        np.testing.assert_allclose(box.to_picture(rows[:, 1:5]), wanted.boxes, atol=0.05)
        np.testing.assert_array_equal(rows[:, 6], wanted.classes)
        compared += len(rows)
    assert compared > 10


def test_a_detector_that_states_no_thresholds_gets_those_of_the_runtime(tmp_path: Path) -> None:
    shipped = find("yolov5_lite_e")
    bundle = replace(shipped, contract=replace(shipped.contract, thresholds={}))
    done = convert(bundle, "onnx", tmp_path, (64, 96), finish="boxes")
    facts = json.loads((done.folder / done.files[-1]).read_text())
    assert facts["thresholds"] == {"score": DEFAULT_SCORE, "iou": DEFAULT_IOU}


@pytest.mark.parametrize("flavour", ["onnx", "openvino"])
def test_open_sizes_stay_open_and_rows_are_decoded(flavour: str, tmp_path: Path) -> None:
    bundle = find("yolov5_lite_e")
    convert(bundle, flavour, tmp_path, (96, 128), finish="rows", open_sizes=True)
    run = TARGETS[flavour].load(tmp_path, bundle.name, plain_graph(bundle, None))
    for size in ((128, 64), (64, 192)):
        (rows,) = run(planes(3, size))
        cells = sum((size[0] // s) * (size[1] // s) for s in (8, 16, 32))
        assert rows.shape == (1, 3 * cells, 13)


@pytest.mark.slow
@pytest.mark.parametrize("flavour", ["onnx", "openvino"])
def test_integers_stay_what_they_are_in_the_same_runtime(flavour: str, tmp_path: Path) -> None:
    pictures = [draw_picture(seed) for seed in range(12)]
    made = quantize(find("yolov5_lite_e"), tmp_path / "int8.onnx", pictures)
    done = convert(made, flavour, tmp_path / flavour, (128, 160))
    assert done.difference <= 1e-4
    weights = sum((tmp_path / flavour / f).stat().st_size for f in done.files)
    assert weights < 0.6 * len(find("yolov5_lite_e").model)
    for other in ("ncnn", "mnn", "tengine"):
        with pytest.raises(
            BundleError, match=f"quantised, which is for onnx, openvino, not {other}"
        ):
            convert(made, other, tmp_path / other)
        assert not list((tmp_path / other).glob("*"))


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    detector, segmenter = find("yolov5_lite_e"), find("pp_liteseg_t")
    for bundle, flavour, options, message in (
        (detector, "ncnn", {"finish": "boxes"}, "is for detectors as onnx, openvino, not ncnn"),
        (segmenter, "onnx", {"finish": "rows"}, "is for detectors; pp_liteseg_t is none"),
        (detector, "mnn", {"open_sizes": True}, "takes one size"),
        (detector, "onnx", {"size": (100, 128)}, "multiple of 32, not 128×100"),
        (detector, "tflite", {}, "there is no flavour 'tflite'"),
        (find_two_pictures(), "onnx", {}, "takes 2 pictures"),
    ):
        with pytest.raises(BundleError, match=message):
            convert(bundle, flavour, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def find_two_pictures() -> Bundle:
    bundle = find("yolov5_lite_e")
    return replace(bundle, contract=replace(bundle.contract, pictures=2))


def test_a_bundle_is_not_written_over(tmp_path: Path) -> None:
    bundle = find("yolov5_lite_e")
    own = tmp_path / "yolov5_lite_e.onnx"
    own.write_bytes(bundle.model)
    for flavour in ("onnx", "tengine"):
        with pytest.raises(OutputError, match=r"yolov5_lite_e\.onnx is a bundle and would be lost"):
            convert(Bundle.open(own), flavour, tmp_path, (64, 64))
    assert own.read_bytes() == bundle.model
    assert list(tmp_path.iterdir()) == [own]


def test_what_says_how_to_use_the_files_is_not_replaced_by_that_of_another_format(
    tmp_path: Path,
) -> None:
    bundle = find("yolov5_lite_e")
    for finish in ("boxes", "heads"):  # the same format again is meant to replace
        convert(bundle, "onnx", tmp_path, (64, 64), finish=finish)
        facts = json.loads((tmp_path / "yolov5_lite_e.json").read_text("utf-8"))
        assert (facts["format"], facts["finish"]) == ("onnx", finish)
    with pytest.raises(OutputError, match=r"yolov5_lite_e\.json is for yolov5_lite_e\.onnx beside"):
        convert(bundle, "openvino", tmp_path, (64, 64))
    assert json.loads((tmp_path / "yolov5_lite_e.json").read_text("utf-8")) == facts


def test_a_runtime_that_computes_something_else_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(folder: Path, name: str, model: Any) -> Any:
        run = TARGETS["onnx"].load(folder, name, model)
        return lambda x: [y + np.float32(0.01) for y in run(x)]

    wrong = replace(TARGETS["onnx"], load=spoilt)
    monkeypatch.setattr("litescene.export.flavours.converting.TARGETS", {"onnx": wrong})
    earlier = tmp_path / "yolov5_lite_e.onnx"
    earlier.write_bytes(b"of an earlier export")
    with pytest.raises(ParityError, match="computes something else"):
        convert(find("yolov5_lite_e"), "onnx", tmp_path, (64, 64))
    assert list(tmp_path.iterdir()) == [earlier]
    assert earlier.read_bytes() == b"of an earlier export"
    absent = replace(wrong, packages=("no_such_package",))
    monkeypatch.setattr("litescene.export.flavours.converting.TARGETS", {"onnx": absent})
    with pytest.raises(MissingExtraError, match=r"no_such_package.*litescene\[deploy\]"):
        convert(find("yolov5_lite_e"), "onnx", tmp_path, (64, 64))


@pytest.mark.parametrize("finish", ["rows", "boxes"])
def test_scores_are_compared_by_their_own_size_and_not_by_that_of_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finish: Any
) -> None:
    column = 5 if finish == "boxes" else 4

    def spoilt(folder: Path, name: str, model: Any) -> Any:
        run = TARGETS["onnx"].load(folder, name, model)

        def shifted(x: np.ndarray) -> list[np.ndarray]:
            (found,) = run(x)
            found = found.copy()
            found[..., column] += np.float32(0.005)  # 2e-5 of 320 pixels
            return [found]

        return shifted

    wrong = replace(TARGETS["onnx"], load=spoilt)
    monkeypatch.setattr("litescene.export.flavours.converting.TARGETS", {"onnx": wrong})
    street = next(iter(Street(width=320, height=320, seconds=0.1).frames(0, 1))).image
    with pytest.raises(ParityError, match="computes something else"):
        convert(
            find("yolov5_lite_e"), "onnx", tmp_path, (320, 320), finish=finish, pictures=[street]
        )


def graph(nodes: list[Any], constants: dict[str, np.ndarray], out: list[int]) -> Any:
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
              for n, s in ((INPUT, [1, 4, 6, 8]), ("y", out))]  # fmt: skip
    model = helper.make_model(
        helper.make_graph(nodes, "g", values[:1], values[1:],
                          [constant(n, v) for n, v in constants.items()]),
        opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
    )  # fmt: skip
    onnx.checker.check_model(model)
    return onnx.shape_inference.infer_shapes(model)


def test_lowered_operators_compute_the_same() -> None:
    import onnxruntime

    nodes = [
        helper.make_node("HardSwish", [INPUT], ["a"]),
        helper.make_node("Split", ["a", "parts"], ["b", "c"], axis=1),
        helper.make_node("Concat", ["c", "b"], ["d"], axis=1),
        helper.make_node("Resize", ["d", "", "", "sizes"], ["e"], mode="linear",
                         coordinate_transformation_mode="half_pixel"),
        helper.make_node("Unsqueeze", ["e", "axis"], ["f"]),
        helper.make_node("Squeeze", ["f", "axis"], ["g"]),
        helper.make_node("ReduceSum", ["g", "axes"], ["h"], keepdims=1),
        helper.make_node("Reshape", ["h", "shape"], ["y"], allowzero=0),
    ]  # fmt: skip
    constants = {
        "parts": np.array([1, 3]), "sizes": np.array([1, 4, 12, 16]), "axis": np.array([0]),
        "axes": np.array([1]), "shape": np.array([1, 12, 16]),
    }  # fmt: skip
    model = graph(nodes, constants, [1, 12, 16])
    old = lowered(model)
    assert [o.version for o in old.opset_import] == [OPSET]
    assert broken_rules(old) == []
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 8)).astype(np.float32) * 4
    one, other = (
        onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
        .run(None, {INPUT: x})[0] for m in (model, old)
    )  # fmt: skip
    np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


def test_a_size_that_no_factor_hits_is_kept(tmp_path: Path) -> None:
    import onnxruntime

    for wanted in (13, 23, 45, 89):  # 23/6 and the like are no float32
        nodes = [helper.make_node("Resize", [INPUT, "", "", "sizes"], ["y"], mode="linear")]
        model = graph(
            nodes, {"sizes": np.array([1, 4, wanted, 2 * wanted])}, [1, 4, wanted, 2 * wanted]
        )
        x = np.random.default_rng(0).normal(size=(1, 4, 6, 8)).astype(np.float32)
        one, other = (
            onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
            .run(None, {INPUT: x})[0] for m in (model, lowered(model))
        )  # fmt: skip
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5)


def test_rules_name_what_old_converters_misread() -> None:
    sliced = helper.make_node("Slice", [INPUT, "from", "to", "axes", "steps"], ["y"], "picks")
    constants = {"from": np.array([0]), "to": np.array([6]), "axes": np.array([2]),
                 "steps": np.array([2])}  # fmt: skip
    found = broken_rules(graph([sliced], constants, [1, 4, 3, 8]))
    assert found == ["operator set 17", "a slice with a step (picks)"]
    open_graph = plain_graph(find("yolov5_lite_e"), None)
    assert f"{INPUT} has open sides" in broken_rules(open_graph)
    gelu = helper.make_node("Mish", [INPUT], ["y"])
    newer = graph([helper.make_node("Relu", [INPUT], ["y"])], {}, [1, 4, 6, 8])
    newer.graph.node[0].CopyFrom(gelu)
    with pytest.raises(BundleError, match="written in ONNX's set 11"):
        lowered(newer)


def test_mnns_converter_installs_nothing_and_calls_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command line fetches a package of its maker's by pip, and reports every conversion."""
    called = tmp_path / "called"
    fake = tmp_path / "bin" / "pip"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\ntouch {called}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent), prepend=os.pathsep)
    convert(find("yolov5_lite_e"), "mnn", tmp_path / "out", SIZE)
    assert not called.exists()
