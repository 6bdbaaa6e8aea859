from pathlib import Path

import cv2
import numpy as np
import pytest

from litescene.core import Camera, CameraError
from litescene.media.camera_files import read_camera
from real_data import DataSet

K = [[500.0, 0.0, 321.0], [0.0, 510.0, 243.0], [0.0, 0.0, 1.0]]
D4 = (-0.28, 0.07, 2e-4, -1e-5)

ROS = """\
image_width: 640
image_height: 480
camera_name: cam
camera_matrix:
  rows: 3
  cols: 3
  data: [500, 0, 321, 0, 510, 243, 0, 0, 1]
distortion_model: {model}
distortion_coefficients:
  rows: 1
  cols: {count}
  data: {data}
projection_matrix:
  rows: 3
  cols: 4
  data: [400, 0, 300, 0, 0, 400, 200, 0, 0, 0, 1, 0]
"""
KALIBR = """\
cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [-0.28, 0.07, 0.0002, -0.00001]
  distortion_model: radtan
  intrinsics: [500.0, 510.0, 321.0, 243.0]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
cam1:
  T_cn_cnm1:
  - [1.0, 0.0, 0.0, -0.1]
  - [0.0, 1.0, 0.0, 0.0]
  - [0.0, 0.0, 1.0, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  camera_model: pinhole
  distortion_coeffs: [0.01, -0.02, 0.003, -0.004]
  distortion_model: equidistant
  intrinsics: [300.0, 301.0, 320.0, 240.0]
  resolution: [640, 480]
"""
KITTI = "".join(
    f"P{i}: 7.07e+02 0 6.018e+02 {-380.0 * i} 0 {707.0 + i} 1.831e+02 0 0 0 1 0\n" for i in range(4)
)


def _write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def _camera(model: str, distortion: tuple[float, ...]) -> Camera:
    return Camera(640, 480, 500, 510, 321, 243, model, distortion)  # type: ignore[arg-type]


def test_words_give_ideal_cameras() -> None:
    camera = read_camera("fov=90", 640, 480)
    assert (camera.fx, camera.cx, camera.cy) == (pytest.approx(320.0), 319.5, 239.5)
    assert read_camera("K=500,510,321,243", 640, 480) == _camera("none", ())


@pytest.mark.parametrize(
    ("model", "data", "expected"),
    [
        ("plumb_bob", [*D4, 0.03], _camera("radtan", (*D4, 0.03))),
        ("plumb_bob", [0, 0, 0, 0, 0], _camera("none", ())),
        ("plumb_bob", [], _camera("none", ())),
        (
            "rational_polynomial",
            [*D4, 0.1, 0.2, 0.3, 0.4],
            _camera("radtan", (*D4, 0.1, 0.2, 0.3, 0.4)),
        ),
        ("rational_polynomial", [*D4, 0.1, 0.2, 0.3, 0.4] + [0] * 6, None),
        ("equidistant", list(D4), _camera("fisheye", D4)),
        ("fisheye", [0, 0, 0, 0], _camera("fisheye", (0.0, 0.0, 0.0, 0.0))),
    ],
)
def test_ros_files_are_read_in_all_their_models(
    tmp_path: Path, model: str, data: list[float], expected: Camera | None
) -> None:
    path = _write(tmp_path, "c.yaml", ROS.format(model=model, count=len(data), data=data))
    expected = expected or _camera("radtan", (*D4, 0.1, 0.2, 0.3, 0.4))
    assert read_camera(path, 640, 480) == expected


@pytest.mark.parametrize("size", [4, 5, 8, 14])
def test_what_opencv_writes_is_read(tmp_path: Path, size: int) -> None:
    distortion = np.zeros((1, size))
    distortion[0, : min(size, 8)] = np.linspace(-0.3, 0.2, min(size, 8))
    path = str(tmp_path / "camera.yml")
    storage = cv2.FileStorage(path, cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", np.array(K))
    storage.write("distortion_coefficients", distortion)
    storage.release()
    assert Path(path).read_text().startswith("%YAML")
    camera = read_camera(path, 640, 480)
    np.testing.assert_allclose(camera.K, K)
    assert camera.model == "radtan"
    np.testing.assert_allclose(camera.distortion, distortion[0, : min(size, 8)], rtol=1e-15)


def test_opencvs_fisheye_flag_is_heeded(tmp_path: Path) -> None:
    text = ROS.format(model="", count=4, data=list(D4)) + "fisheye_model: 1\n"
    assert read_camera(_write(tmp_path, "c.yaml", text), 640, 480) == _camera("fisheye", D4)


def test_kalibr_chains_are_read_camera_by_camera(tmp_path: Path) -> None:
    path = _write(tmp_path, "camchain.yaml", KALIBR)
    assert read_camera(path, 640, 480) == _camera("radtan", D4)
    second = read_camera(path + ":1", 640, 480)
    assert (second.model, second.fx, second.fy) == ("fisheye", 300.0, 301.0)
    assert second.distortion == (0.01, -0.02, 0.003, -0.004)
    with pytest.raises(CameraError, match="no camera 'cam2'"):
        read_camera(path + ":2", 640, 480)


def test_kitti_cameras_are_chosen_by_suffix(tmp_path: Path) -> None:
    path = _write(tmp_path, "calib.txt", KITTI)
    assert read_camera(path, 1226, 370) == Camera(1226, 370, 707, 707, 601.8, 183.1)
    assert read_camera(path + ":2", 1226, 370).fy == 709
    with pytest.raises(CameraError, match="no P7; it has P0, P1, P2, P3"):
        read_camera(path + ":7", 1226, 370)


@pytest.mark.parametrize("text", [KITTI, ROS.format(model="equidistant", count=4, data=list(D4))])
def test_files_may_begin_with_a_byte_order_mark(tmp_path: Path, text: str) -> None:
    plain, marked = _write(tmp_path, "a.txt", text), _write(tmp_path, "b.txt", "\ufeff" + text)
    assert read_camera(marked, 640, 480) == read_camera(plain, 640, 480)


@pytest.mark.parametrize(
    ("line", "model", "distortion"),
    [
        ("SIMPLE_PINHOLE 640 480 500 321.5 243.5", "none", ()),
        ("PINHOLE 640 480 500 510 321.5 243.5", "none", ()),
        ("SIMPLE_RADIAL 640 480 500 321.5 243.5 0.1", "radtan", (0.1, 0, 0, 0)),
        ("RADIAL 640 480 500 321.5 243.5 0.1 0.2", "radtan", (0.1, 0.2, 0, 0)),
        ("OPENCV 640 480 500 510 321.5 243.5 .1 .2 .3 .4", "radtan", (0.1, 0.2, 0.3, 0.4)),
        (
            "FULL_OPENCV 640 480 500 510 321.5 243.5 1 2 3 4 5 6 7 8",
            "radtan",
            (1, 2, 3, 4, 5, 6, 7, 8),
        ),
        (
            "OPENCV_FISHEYE 640 480 500 510 321.5 243.5 .1 .2 .3 .4",
            "fisheye",
            (0.1, 0.2, 0.3, 0.4),
        ),
    ],
)
def test_colmap_models_lose_their_half_pixel(
    tmp_path: Path, line: str, model: str, distortion: tuple[float, ...]
) -> None:
    path = _write(tmp_path, "cameras.txt", f"# Camera list\n3 {line}\n7 PINHOLE 64 48 9 9 32 24\n")
    camera = read_camera(path, 640, 480)
    assert (camera.fx, camera.cx, camera.cy) == (500, 321, 243)
    assert camera.fy == (510 if line.split()[0].endswith(("OPENCV", "FISHEYE")) else camera.fy)
    assert (camera.model, camera.distortion) == (model, distortion)
    assert read_camera(path + ":7", 64, 48).cx == 31.5
    with pytest.raises(CameraError, match="no camera 5; it has 3, 7"):
        read_camera(path + ":5", 64, 48)


def test_a_calibration_of_a_larger_picture_is_resized(tmp_path: Path) -> None:
    path = _write(tmp_path, "cameras.txt", "1 OPENCV 1280 960 1000 1000 640 480 .1 .2 .3 .4\n")
    camera = read_camera(path, 640, 480)
    assert (camera.width, camera.height, camera.fx, camera.cx) == (640, 480, 500, 319.5)
    assert camera.distortion == (0.1, 0.2, 0.3, 0.4)
    assert read_camera(path, 640, 483).height == 483  # within 1 %


def test_another_aspect_ratio_is_refused_with_both_sizes(tmp_path: Path) -> None:
    path = _write(tmp_path, "cameras.txt", "1 PINHOLE 1280 960 1000 1000 640 480\n")
    with pytest.raises(CameraError, match=r"1280×960.*640×360"):
        read_camera(path, 640, 360)


@pytest.mark.parametrize("spec", ["K=500,500,900,240", "K=500,500,320,-2", "calib"])
def test_a_principal_point_outside_the_picture_is_refused(tmp_path: Path, spec: str) -> None:
    if spec == "calib":
        spec = _write(tmp_path, "calib.txt", KITTI) + ":0"
    with pytest.raises(CameraError, match="outside pictures of 480×360"):
        read_camera(spec, 480, 360)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello world\n", "is none of OpenCV/ROS"),
        ("a: [1\n", "line 1: a bracket"),
        ("a: 1\n", "has no 'camera_matrix'"),
        (ROS.format(model="omni", count=4, data=list(D4)), "distortion model 'omni'"),
        (ROS.format(model="plumb_bob", count=3, data=[0.1, 0.2, 0.3]), "coefficients"),
        (ROS.format(model="plumb_bob", count=4, data="[a, b, c, d]"), "numbers only"),
        (KALIBR.replace("pinhole", "omni"), "camera model 'omni'"),
        (KALIBR.replace("243.0]", "243.0, 1]"), "'intrinsics' must hold 4"),
        ("P0: 1 2 3\n", "P0 of camera file"),
        ("1 PINHOLE 640 480 500 500 320\n", "camera 1 of"),
        ("1 THIN_PRISM 640 480 500 500 320 240\n", "COLMAP model THIN_PRISM"),
        ("\n", "is none of OpenCV/ROS"),
    ],
)
def test_wrong_files_are_refused_with_a_reason(tmp_path: Path, text: str, message: str) -> None:
    path = _write(tmp_path, "camera.yaml", text)
    with pytest.raises(CameraError) as error:
        read_camera(path, 640, 480)
    assert message in str(error.value)
    assert "camera.yaml" in str(error.value)


@pytest.mark.parametrize("spec", ["fov=", "fov=wide", "fov=200", "K=1,2,3", "K=0,0,1,1", "none"])
def test_wrong_words_are_refused(spec: str) -> None:
    with pytest.raises(CameraError):
        read_camera(spec, 640, 480)


def test_a_picture_given_as_camera_is_refused(tmp_path: Path) -> None:
    (tmp_path / "camera.png").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(CameraError, match="not a text file"):
        read_camera(str(tmp_path / "camera.png"), 640, 480)


@pytest.mark.data
def test_a_real_calibration_of_kitti_is_read(data_set: DataSet) -> None:
    kitti = read_camera(str(data_set("kitti07_160/calib.txt")), 1226, 370)
    assert (kitti.fx, kitti.fy, kitti.cx, kitti.cy) == (707.0912, 707.0912, 601.8873, 183.1104)


@pytest.mark.data
def test_a_real_calibration_of_euroc_is_read(data_set: DataSet) -> None:
    euroc = read_camera(str(data_set("euroc_v101_imu_static/cam0_sensor.yaml")), 752, 480)
    assert (euroc.fx, euroc.fy, euroc.cx, euroc.cy) == (458.654, 457.296, 367.215, 248.375)
    assert euroc.model == "radtan"
    assert euroc.distortion == (-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05)
