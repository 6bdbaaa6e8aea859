"""The shared words: validation, conversions, messages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from litescene.core import (
    CAMVID,
    CITYSCAPES,
    MOVERS,
    SKY,
    STREET_OBJECTS,
    BundleError,
    Camera,
    CameraError,
    Contract,
    DepthMap,
    Detections,
    Frame,
    LitesceneError,
    MissingExtraError,
    SceneMap,
    SegmentationMap,
    Taxonomy,
    Trajectory,
    UnknownNameError,
    distinct_colors,
)
from litescene.core import errors as tree


def test_every_error_has_one_root_and_an_exit_code() -> None:
    kinds = [k for k in vars(tree).values() if isinstance(k, type) and issubclass(k, Exception)]
    assert len(kinds) > 10
    assert all(issubclass(k, LitesceneError) and k.exit_code in (1, 2) for k in kinds)


def test_an_unknown_name_offers_near_ones_or_all() -> None:
    assert "did you mean openvino" in str(UnknownNameError("engine", "openvin", ["openvino"]))
    assert "known: a, b" in str(UnknownNameError("engine", "zzz", ["b", "a"]))
    assert "pip install 'litescene[synth]'" in str(MissingExtraError("the street", "synth"))


def test_a_frame_takes_rgb_bytes_only() -> None:
    frame = Frame(0, 0.5, np.zeros((4, 6, 3), np.uint8))
    assert (frame.height, frame.width) == (4, 6)
    with pytest.raises(ValueError, match="H×W×3 uint8"):
        Frame(0, 0.0, np.zeros((4, 6), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        Frame(0, 0.0, np.zeros((4, 6, 3)))


def test_field_of_view_gives_the_focal_length() -> None:
    camera = Camera.from_fov(640, 480, 90)
    assert camera.fx == pytest.approx(320)
    assert (camera.cx, camera.cy) == (319.5, 239.5)
    np.testing.assert_array_equal(camera.K @ [0, 0, 1], [319.5, 239.5, 1])


def test_resizing_keeps_half_pixel_centres() -> None:
    camera = Camera(100, 80, 50, 60, 49.5, 39.5)
    half = camera.resized(50, 40)
    # the centre of the picture stays its centre
    assert (half.cx, half.cy, half.fx, half.fy) == (24.5, 19.5, 25, 30)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "size must be positive"),
        ({"fx": float("nan")}, "finite"),
        ({"fy": 0.0}, "zero"),
        ({"model": "radtan", "distortion": (0.1,)}, "coefficients"),
        ({"model": "spherical"}, "unknown distortion model"),
    ],
)
def test_an_impossible_camera_is_refused(change: dict, message: str) -> None:
    good = {"width": 10, "height": 10, "fx": 5.0, "fy": 5.0, "cx": 4.5, "cy": 4.5}
    with pytest.raises(CameraError, match=message):
        Camera(**{**good, **change})
    with pytest.raises(CameraError, match="fov"):
        Camera.from_fov(10, 10, 200)


@pytest.mark.parametrize("taxonomy", [CAMVID, CITYSCAPES, STREET_OBJECTS])
def test_taxonomies_survive_json(taxonomy: Taxonomy) -> None:
    again = Taxonomy.from_dict(json.loads(json.dumps(taxonomy.to_dict())))
    assert again == taxonomy
    assert taxonomy.palette.shape == (256, 3)
    assert len(set(taxonomy.colors)) == len(taxonomy)


def test_files_may_have_more_classes_than_a_byte_and_pixels_may_not() -> None:
    many = Taxonomy("many", tuple(f"c{i}" for i in range(300)), distinct_colors(300))
    assert many.palette.shape == (300, 3)
    assert many.palette[299].tolist() == list(many.colors[299])
    with pytest.raises(ValueError, match="1 to 255 classes, not 300"):
        SegmentationMap(np.zeros((2, 2), np.uint8), many)
    with pytest.raises(ValueError, match="no class"):
        Taxonomy("none", (), ())


def test_a_taxonomy_finds_indices_and_refuses_nonsense() -> None:
    assert CAMVID.indices({"car", "sky", "unicorn"}) == (0, 8)
    with pytest.raises(ValueError, match="repeat"):
        Taxonomy("x", ("a", "a"), ((0, 0, 0), (1, 1, 1)))
    with pytest.raises(ValueError, match="colours"):
        Taxonomy("x", ("a",), ())
    with pytest.raises(ValueError, match=r"colours are red, green and blue of 0 to 255, not -1"):
        Taxonomy("x", ("a",), ((0, -1, 0),))


def test_labels_of_one_taxonomy_are_those_of_another_but_for_void() -> None:
    plain = Taxonomy("p", ("a", "b"), distinct_colors(2))
    with_void = Taxonomy("v", ("void", "a", "b"), distinct_colors(3))
    table = with_void.labels_in(plain)
    assert table is not None
    assert table[[0, 1, 2, 3, 255]].tolist() == [255, 0, 1, 255, 255]
    same = plain.labels_in(Taxonomy("other", ("a", "b"), distinct_colors(2)))
    assert same is not None
    assert same[[0, 1, 2]].tolist() == [0, 1, 255]
    own = with_void.labels_in(with_void)
    assert own is not None
    assert own[[0, 1, 2]].tolist() == [0, 1, 2]
    assert plain.labels_in(with_void) is None
    assert plain.labels_in(Taxonomy("turned", ("b", "a"), distinct_colors(2))) is None


def test_distinct_colours_are_distinct() -> None:
    colors = distinct_colors(80)
    assert len(set(colors)) == 80
    assert all(0 <= v <= 255 for c in colors for v in c)


def test_class_shares_sum_to_the_labelled_part() -> None:
    labels = np.array([[0, 0, 3], [3, 255, 10]], np.uint8)
    shares = SegmentationMap(labels, CAMVID).shares()
    assert shares["sky"] == pytest.approx(2 / 6)
    assert sum(shares.values()) == pytest.approx(5 / 6)
    with pytest.raises(ValueError, match="labels must be n×n uint8"):
        SegmentationMap(labels.astype(np.int64), CAMVID)


def test_detections_check_their_arrays() -> None:
    one = Detections(
        np.array([[1, 2, 3, 4]], np.float32),
        np.array([0.5], np.float32),
        np.array([2], np.int32),
        STREET_OBJECTS,
    )
    assert one.to_dict() == [{"class": "car", "score": 0.5, "box": [1.0, 2.0, 3.0, 4.0], "id": -1}]
    assert len(Detections.empty(STREET_OBJECTS)) == 0
    with pytest.raises(ValueError, match="scores"):
        Detections(one.boxes, np.zeros(2, np.float32), one.classes, STREET_OBJECTS)


def test_depth_refuses_nan_and_negative_values() -> None:
    depth = np.array([[0, 2.0]], np.float32)
    assert DepthMap(depth, "metric").to_dict()["known"] == 0.5
    for bad in (np.nan, -1.0, np.inf):
        with pytest.raises(ValueError, match="finite"):
            DepthMap(np.array([[bad]], np.float32), "metric")


def test_a_trajectory_measures_its_path() -> None:
    poses = np.tile(np.eye(4), (3, 1, 1))
    poses[1:, 2, 3] = 2.0
    poses[2, 0, 3] = 3.0
    path = Trajectory(np.arange(3.0), poses, "metric")
    assert path.length == pytest.approx(5.0)
    assert path.to_dict() == {"poses": 3, "span": [0.0, 2.0], "length": 5.0, "scale": "metric"}


def test_a_map_counts_points_per_class() -> None:
    n = 3
    scene_map = SceneMap(
        np.zeros((n, 3), np.float32),
        np.zeros((n, 3), np.uint8),
        np.array([3, 3, 255], np.uint8),
        np.zeros(n, np.float32),
        np.zeros(n, np.int32),
        np.ones(n, np.int32),
        CAMVID,
        "arbitrary",
    )
    assert scene_map.to_dict()["classes"]["road"] == 2


def contract() -> dict:
    return Contract("segmentation", "x", CAMVID, (360, 480), "upsample_argmax").to_dict()


def test_a_contract_survives_json() -> None:
    plain = json.loads(json.dumps(contract()))
    assert Contract.from_dict(plain).to_dict() == contract()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 9}, "schema 9"),
        ({"colour": 1}, "unknown fields: colour"),
        ({"size": 3}, "incomplete"),
        ({"size": [0, 480]}, "size is 1 pixel or more each way, not 480×0"),
        ({"stride": 0}, "stride is at least 1, not 0"),
        ({"thresholds": {"score": 1.5}}, "threshold 'score' is 0 to 1, not 1.5"),
        ({"thresholds": {"iou": float("nan")}}, "threshold 'iou' is 0 to 1, not nan"),
        ({"thresholds": {"iou": "much"}}, "threshold 'iou' is 0 to 1, not much"),
        ({"thresholds": [0.5]}, "incomplete"),
        ({"taxonomy": {"name": "x", "names": ["a"], "colors": [[0, 0, 256]]}}, "0 to 255"),
        ({"task": "detection"}, "does not end with"),
        ({"task": "detection", "finish": "decode_nms"}, "anchors and strides"),
    ],
)
def test_a_wrong_contract_is_refused(change: dict, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Contract.from_dict({**contract(), **change})


def test_importing_litescene_loads_nothing_heavy() -> None:
    code = "import sys, litescene; print([m for m in ('cv2','numba','torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_of_data_lists_the_names_that_a_run_leaves_out() -> None:
    page = (Path(__file__).parent.parent.parent / "docs/data.md").read_text("utf-8")
    (listed,) = re.findall(r"call such classes as in this list: (.*?)\.\n", page, re.DOTALL)
    assert {*re.findall(r"`(\w+)`", listed)} == MOVERS | SKY
