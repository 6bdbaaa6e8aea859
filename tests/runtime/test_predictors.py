from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

import litescene
from litescene.core import BundleError, Frame, InputError, SegmentationMap, UnknownNameError
from litescene.media.fitting import resize
from litescene.runtime import Bundle, Detector, Segmenter, detection, load, network_size
from litescene.runtime.detection import box_agreement, find_boxes, stated_iou, stated_score
from litescene.runtime.engines import default_threads, installed
from litescene.runtime.segmentation import label_agreement
from tiny_bundles import segmentation_contract

ENGINE = "openvino-f32" if installed("openvino") else "onnxruntime"


def test_labels_have_the_pictures_size_and_the_cells_classes(
    segmentation_bundle: Bundle, picture: np.ndarray
) -> None:
    segmenter = Segmenter(segmentation_bundle, ENGINE)
    result = segmenter(picture)
    assert isinstance(result, SegmentationMap)
    assert result.labels.shape == picture.shape[:2]
    assert result.taxonomy == segmentation_bundle.contract.taxonomy
    logits = segmenter.logits(picture)
    # In the middle of a 16×16 patch lie the corners of two 8×8 logits cells of one colour.
    np.testing.assert_array_equal(result.labels[8::16, 8::16], logits.argmax(0)[1::2, 1::2])


def test_all_forms_of_a_picture_give_equal_labels(
    segmentation_bundle: Bundle, picture: np.ndarray, tmp_path: Path
) -> None:
    segmenter = Segmenter(segmentation_bundle, ENGINE)
    path = tmp_path / "p.png"
    cv2.imwrite(str(path), picture[..., ::-1])
    want = segmenter(picture).labels
    forms = [path, str(path), path.read_bytes(), PIL.Image.fromarray(picture), Frame(0, 0, picture)]
    for form in forms:
        np.testing.assert_array_equal(segmenter(form).labels, want)


@pytest.mark.parametrize(
    ("frame", "trained", "want"),
    [
        ((360, 480), (360, 480), (360, 480)),
        ((720, 960), (360, 480), (360, 480)),
        ((480, 640), (360, 480), (360, 480)),
        ((1080, 1920), (512, 1024), (544, 960)),
        ((1920, 1080), (512, 1024), (960, 544)),
        ((100, 4000), (360, 480), (64, 2624)),
    ],
)
def test_the_network_sees_its_trained_area_in_the_frames_shape(
    frame: tuple[int, int], trained: tuple[int, int], want: tuple[int, int]
) -> None:
    assert network_size(frame, trained) == want


def test_a_size_of_ones_own_is_used(segmentation_bundle: Bundle, picture: np.ndarray) -> None:
    segmenter = Segmenter(segmentation_bundle, ENGINE, size=(64, 64))
    assert segmenter.input_of(picture).shape == (1, 64, 64, 3)
    assert segmenter(picture).labels.shape == (96, 128)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (63, 40), (97, 131)])
def test_every_pixel_of_a_picture_of_any_size_gets_a_label(
    segmentation_bundle: Bundle, size: tuple[int, int]
) -> None:
    small = np.full((*size, 3), 90, np.uint8)
    segmenter = Segmenter(segmentation_bundle, ENGINE)
    assert min(segmenter.input_of(small).shape[1:3]) >= 64
    assert segmenter(small).labels.shape == size


def test_shrinking_averages_and_growing_interpolates() -> None:
    board = np.zeros((64, 64, 3), np.uint8)
    board[::2] = 200
    assert (resize(board, (32, 32)) == 100).all()
    grown = resize(board, (128, 128))
    assert set(np.unique(grown)) - {0, 200}


@pytest.mark.parametrize("size", [(45, 60), (37, 71), (90, 120), (180, 130)])
def test_resizing_keeps_every_point_in_its_place(size: tuple[int, int]) -> None:
    rows, columns = np.mgrid[:180, :240]
    ramp = np.stack([rows, columns, rows + 0 * columns], -1).astype(np.uint8)
    small = resize(ramp, size)
    middle_rows = (np.arange(size[0]) + 0.5) * 180 / size[0] - 0.5
    middle_columns = (np.arange(size[1]) + 0.5) * 240 / size[1] - 0.5
    inner = slice(2, -2)
    assert np.abs(small[inner, inner, 0] - middle_rows[inner, None]).max() <= 1.0
    assert np.abs(small[inner, inner, 1] - middle_columns[None, inner]).max() <= 1.0


def test_boxes_are_in_the_pictures_pixels(detection_bundle: Bundle, picture: np.ndarray) -> None:
    detector = Detector(detection_bundle, ENGINE)
    found = detector(picture)
    assert len(found) > 0
    assert (found.scores > 0.3).all()
    assert (np.diff(found.scores) <= 0).all()
    assert found.boxes.min() >= 0
    assert (found.boxes[:, [0, 2]] <= 128).all()
    assert (found.boxes[:, [1, 3]] <= 96).all()


def test_twice_the_picture_gives_twice_the_boxes(
    detection_bundle: Bundle, picture: np.ndarray
) -> None:
    large = np.ascontiguousarray(picture.repeat(2, 0).repeat(2, 1))
    detector = Detector(detection_bundle, ENGINE)
    one, two = detector(picture), detector(large)
    best = one.boxes[0]
    distance = np.abs(two.boxes / 2 - best).max(1).min()
    assert distance < 1.0


def test_thresholds_and_labels_are_those_that_were_asked_for(
    detection_bundle: Bundle, picture: np.ndarray
) -> None:
    assert (Detector(detection_bundle, ENGINE, score=0.6)(picture).scores > 0.6).all()
    few = Detector(detection_bundle, ENGINE, score=0.1)(picture)
    many = Detector(detection_bundle, ENGINE, score=0.1, multi_label=True)(picture)
    assert len(many) > len(few)


def test_the_engine_is_chosen_by_the_stated_thresholds_whatever_the_caller_asks_for(
    detection_bundle: Bundle, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(
        detection, "box_agreement", lambda one, other, contract, *limits: asked.append(limits)
    )
    for score in (None, 0.001):
        Detector(detection_bundle, score=score, iou=0.9)._agreement([], [])
    contract = detection_bundle.contract
    assert asked == [(stated_score(contract), stated_iou(contract))] * 2
    assert stated_score(contract) == contract.thresholds["score"]


def test_a_detectors_size_is_a_multiple_of_its_stride(detection_bundle: Bundle) -> None:
    with pytest.raises(InputError, match="multiple of 32, not 128×100"):
        Detector(detection_bundle, ENGINE, size=(100, 128))


def test_predictors_run_where_torch_and_onnx_cannot_be_imported(
    segmentation_bytes: bytes, detection_bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "labels.onnx").write_bytes(segmentation_bytes)
    (tmp_path / "boxes.onnx").write_bytes(detection_bundle.model)
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'onnx', 'pydantic', 'safetensors']))\n"
        "import litescene, numpy as np\n"
        "picture = np.zeros((96, 128, 3), np.uint8)\n"
        "for name in ('labels', 'boxes'):\n"
        f"    litescene.load(name + '.onnx', engine='{ENGINE}')(picture)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_auto_chooses_at_the_first_picture(
    segmentation_bundle: Bundle, detection_bundle: Bundle, picture: np.ndarray
) -> None:
    for predictor in (Segmenter(segmentation_bundle), Detector(detection_bundle, threads=1)):
        assert predictor.engine == "auto"
        predictor(picture)
        assert predictor.engine in ("openvino-f32", "openvino-bf16", "onnxruntime")


def test_load_opens_every_task(
    segmentation_bytes: bytes, detection_bundle: Bundle, tmp_path: Path
) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(segmentation_bytes)
    assert isinstance(litescene.load(path, engine=ENGINE), Segmenter)
    assert isinstance(load(detection_bundle, ENGINE, default_threads()), Detector)


def test_a_wrong_task_name_or_engine_is_said(segmentation_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="does segmentation, not detection"):
        Detector(segmentation_bundle)
    with pytest.raises(UnknownNameError, match="shipped model"):
        load("no_such_model")
    with pytest.raises(UnknownNameError, match="engine"):
        Segmenter(segmentation_bundle, "fastest")


def test_label_agreement_is_the_share_of_equal_pixels() -> None:
    one = np.zeros((2, 2, 4, 4), np.float32)
    one[:, 0] = 1
    other = one.copy()
    other[1] = other[1, ::-1]
    assert label_agreement([one], [one.copy()]) == 1.0
    assert label_agreement([one], [other]) == 0.5


def test_box_agreement_counts_boxes_of_one_class_and_place(detection_bundle: Bundle) -> None:
    contract = detection_bundle.contract
    rng = np.random.default_rng(0)
    heads = [
        rng.normal(0, 2, (1, 21, 128 // s, 128 // s)).astype(np.float32) for s in contract.strides
    ]
    assert len(find_boxes([h[0] for h in heads], contract, 0.7, 0.5)) > 5
    assert box_agreement(heads, [h + 1e-6 for h in heads], contract, 0.7, 0.5) == 1.0
    empty = [np.full_like(h, -20) for h in heads]
    assert box_agreement(heads, empty, contract, 0.3, 0.5) == 0.0
    assert box_agreement(empty, empty, contract, 0.3, 0.5) is None


def test_the_room_imports_nothing_heavy() -> None:
    heavy = ("torch", "onnx", "openvino", "onnxruntime", "numba", "cv2")
    code = (
        "import sys, litescene, litescene.runtime, litescene.runtime.catalog as c; c.shipped();"
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_exists() -> None:
    import litescene.runtime as room

    for name in room.__all__:
        assert getattr(room, name) is not None
    assert segmentation_contract().task == "segmentation"
