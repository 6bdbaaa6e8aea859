"""`bundle`: metadata onto somebody else's model, proved by a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import litescene
from litescene.core import CAMVID, CITYSCAPES, BundleError, InputError
from litescene.core.contract import FINISH_OF_TASK, Contract
from litescene.runtime.adopt import adopt as adopt_model
from litescene.runtime.adopt import read_taxonomy


@pytest.fixture
def foreign(tiny: Any, place: Path) -> Path:
    path = place / "theirs.onnx"
    path.write_bytes(tiny.segmentation_model(classes=4))
    return path


def adopt(call: Any, model: Path, *more: str) -> Any:
    return call("bundle", model, "-o", "ours.onnx", "--size", "128x96", *more)


def test_an_adopted_segmenter_runs_with_the_given_classes(
    call: Any, foreign: Path, place: Path
) -> None:
    (place / "names.txt").write_text("road\nsky\nred car\ntree\n")
    ended = adopt(call, foreign, "--task", "segmentation", "--labels", "names.txt")
    assert ended.code == 0, ended.err
    segmenter = litescene.load(place / "ours.onnx", "onnxruntime")
    assert segmenter.taxonomy.names == ("road", "sky", "red car", "tree")
    assert segmenter(np.zeros((96, 128, 3), np.uint8)).labels.shape == (96, 128)


def test_a_wrong_number_of_classes_is_refused_and_nothing_is_written(
    call: Any, foreign: Path, place: Path
) -> None:
    ended = adopt(call, foreign, "--task", "segmentation", "--labels", "cityscapes19")
    assert ended.code == 2
    said = ended.err.splitlines()[-1]  # after what the engine says about compiling
    assert "1×4×12×16" in said
    assert "1×19×h×w" in said
    assert not (place / "ours.onnx").exists()


def test_a_network_of_one_fixed_size_is_refused(call: Any, foreign: Path, place: Path) -> None:
    """As most exports of other programs are; it would fail at the first frame of another aspect."""
    (place / "names.txt").write_text("road\nsky\nred car\ntree\n")
    model = onnx.load(foreign)
    for dimension, value in zip(
        model.graph.input[0].type.tensor_type.shape.dim, (1, 96, 128, 3), strict=True
    ):
        dimension.dim_value = value
    onnx.save(model, foreign)
    ended = adopt(call, foreign, "--task", "segmentation", "--labels", "names.txt")
    assert ended.code == 2
    said = ended.err.splitlines()[-1]
    assert "does not take uint8 1×64×64×3 pictures; export it with free height and width" in said
    assert not (place / "ours.onnx").exists()


def test_networks_that_restore_pictures_are_not_adopted(
    call: Any, foreign: Path, place: Path
) -> None:
    ended = adopt(call, foreign, "--task", "restoration", "--labels", "camvid11")
    assert ended.code == 2
    assert "'restoration' is not one of 'segmentation'" in " ".join(ended.err.split())
    contract = Contract("restoration", "x", CAMVID, (96, 128), FINISH_OF_TASK["restoration"])
    with pytest.raises(InputError, match="cannot be adopted"):
        adopt_model(foreign, contract, place / "ours.onnx")
    assert not (place / "ours.onnx").exists()


def test_an_adopted_detector_needs_its_anchors(call: Any, tiny: Any, place: Path) -> None:
    model = place / "boxes.onnx"
    model.write_bytes(tiny.detection_model())
    (place / "names.txt").write_text("a\nb\n")
    words = ("--task", "detection", "--labels", "names.txt")
    assert "--anchors" in adopt(call, model, *words).err
    (place / "anchors.json").write_text(
        json.dumps({"strides": [8, 16, 32], "anchors": tiny.ANCHORS})
    )
    made = ("bundle", model, "-o", "ours.onnx", *words, "--anchors", "anchors.json", "--size")
    ended = call(*made, "128x100")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "a detector's size is a multiple of 32, not 128×100" in ended.err
    ended = call(*made, "128x128")
    assert ended.code == 0, ended.err
    assert litescene.load(place / "ours.onnx", "onnxruntime").contract.strides == (8, 16, 32)


@pytest.mark.parametrize(
    "text",
    [
        '{"strides": [8, 16, 0], "anchors": [[[1, 2]], [[3, 4]], [[5, 6]]]}',
        '{"strides": [8, 16, 32], "anchors": [[[1, 2]], [[3, -4]], [[5, 6]]]}',
        '{"strides": [8, 16, 32], "anchors": [[[1, 2]], [[3, NaN]], [[5, 6]]]}',
        '{"strides": [8, 16, Infinity], "anchors": [[[1, 2]], [[3, 4]], [[5, 6]]]}',
        '{"strides": [8, 16], "anchors": [[[1, 2]], [[3, 4]], [[5, 6]]]}',
        '{"strides": [8, 16, 32], "anchors": [[[1, 2]], [3, 4], [[5, 6]]]}',
    ],
)
def test_anchors_that_decode_no_box_are_one_line(
    text: str, call: Any, tiny: Any, place: Path
) -> None:
    (place / "boxes.onnx").write_bytes(tiny.detection_model())
    (place / "names.txt").write_text("a\nb\n")
    (place / "anchors.json").write_text(text)
    ended = call("bundle", "boxes.onnx", "-o", "ours.onnx", "--task", "detection", "--labels",
                 "names.txt", "--size", "128x128", "--anchors", "anchors.json")  # fmt: skip
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert "anchors" in ended.err
    assert not (place / "ours.onnx").exists()


def test_a_stride_of_nothing_is_refused(tiny: Any) -> None:
    contract = tiny.detection_contract()
    with pytest.raises(BundleError, match="stride is at least 1"):
        replace(contract, stride=0)
    with pytest.raises(BundleError, match="strides are whole numbers from 1"):
        replace(contract, strides=(8, 0, 32))


@pytest.mark.parametrize("size", ["96", "0x128", "96x", "axb", "128x32"])
def test_a_size_that_is_none_is_one_line(size: str, call: Any, foreign: Path) -> None:
    ended = call("bundle", foreign, "-o", "o.onnx", "--task", "segmentation", "--labels",
                 "camvid11", "--size", size)  # fmt: skip
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "WIDTHxHEIGHT" in ended.err


def test_a_file_that_is_no_onnx_is_one_line(call: Any, place: Path) -> None:
    (place / "text.onnx").write_text("hello")
    ended = adopt(call, place / "text.onnx", "--task", "segmentation", "--labels", "camvid11")
    assert (ended.code, ended.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_labels_may_bring_their_colours(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("traffic light 250 170 30\nsky 70 130 180\n", encoding)
    taxonomy = read_taxonomy(str(path))
    assert taxonomy.names == ("traffic light", "sky")
    assert taxonomy.colors == ((250, 170, 30), (70, 130, 180))
    assert read_taxonomy("cityscapes19") is CITYSCAPES


@pytest.mark.parametrize("text", ["", "sky\nsky\n", "sky 1 2 300\nroad 1 2 3\n"])
def test_labels_that_make_no_taxonomy_are_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=r"labels\.txt"):
        read_taxonomy(str(path))
