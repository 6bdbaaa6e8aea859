"""Cameras from a calibration file in any of the usual formats, or from a word.

    fov=90                  horizontal field of view in degrees, square pixels
    K=fx,fy,cx,cy           intrinsics in pixels
    calib.yaml              OpenCV or ROS, Kalibr camchain, EuRoC sensor.yaml
    calib.txt:2             KITTI: projection matrix P2 (default P0)
    cameras.txt:1           COLMAP: camera id 1 (default the first)

Pixel centres are integers inside; COLMAP's half-pixel shift is taken off here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from litescene.core import Camera, CameraError, DistortionModel
from litescene.media.yaml_subset import parse_yaml

_ASPECT_TOLERANCE = 0.01
_RADTAN = {"plumb_bob", "radtan", "radial-tangential", "rational_polynomial", "rational"}
_FISHEYE = {"equidistant", "equi", "fisheye", "kannala_brandt4"}
_RADTAN_COUNTS = (4, 5, 8)
_KITTI_LINE = re.compile(r"^P(\d+):(.*)$", re.MULTILINE)
_COLMAP_LINE = re.compile(r"^\s*(\d+)\s+([A-Z][A-Z_]+)\s+(\d+)\s+(\d+)\s+(.+)$", re.MULTILINE)

_Pinhole = tuple[float, float, float, float]
_COLMAP: dict[str, tuple[int, Callable[..., _Pinhole], DistortionModel]] = {
    "SIMPLE_PINHOLE": (3, lambda f, cx, cy: (f, f, cx, cy), "none"),
    "PINHOLE": (4, lambda fx, fy, cx, cy: (fx, fy, cx, cy), "none"),
    "SIMPLE_RADIAL": (4, lambda f, cx, cy, *_: (f, f, cx, cy), "radtan"),
    "RADIAL": (5, lambda f, cx, cy, *_: (f, f, cx, cy), "radtan"),
    "OPENCV": (8, lambda fx, fy, cx, cy, *_: (fx, fy, cx, cy), "radtan"),
    "FULL_OPENCV": (12, lambda fx, fy, cx, cy, *_: (fx, fy, cx, cy), "radtan"),
    "OPENCV_FISHEYE": (8, lambda fx, fy, cx, cy, *_: (fx, fy, cx, cy), "fisheye"),
}
"""Number of parameters, how the first of them give fx, fy, cx, cy, distortion model."""


def read_camera(spec: str, width: int, height: int) -> Camera:
    """The camera of pictures of `width`×`height` pixels, from a word or a calibration file.

    A calibration of pictures of another size is resized when the aspect ratio agrees within
    1 %. Formats without a picture size (KITTI, `K=`) are taken as made for these pictures; their
    principal point must lie inside. Raises `CameraError` for everything that does not fit.
    """
    word, _, value = spec.partition("=")
    if word == "fov":
        return Camera.from_fov(width, height, _numbers(value, 1, f"'{spec}'", "fov=90")[0])
    if word == "K":
        fx, fy, cx, cy = _numbers(value, 4, f"'{spec}'", "K=fx,fy,cx,cy")
        return _sized(spec, Camera(width, height, fx, fy, cx, cy))
    path, choice = _split_choice(spec)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a text file"
        raise CameraError(
            f"cannot read camera '{spec}': {reason}; give a calibration file, fov=DEGREES or "
            "K=fx,fy,cx,cy"
        ) from error
    if _KITTI_LINE.search(text):
        return _sized(spec, _read_kitti(text, spec, choice or 0, width, height))
    if _COLMAP_LINE.search(text):
        return fit_camera(spec, _read_colmap(text, spec, choice), width, height)
    return fit_camera(spec, _read_yaml(text, spec, choice), width, height)


def _split_choice(spec: str) -> tuple[Path, int | None]:
    match = re.fullmatch(r"(.+):(\d+)", spec)
    if match is None or Path(spec).exists():
        return Path(spec), None
    return Path(match[1]), int(match[2])


def _sized(spec: str, camera: Camera) -> Camera:
    if not (-0.5 <= camera.cx < camera.width and -0.5 <= camera.cy < camera.height):
        raise CameraError(
            f"camera '{spec}' has its principal point at ({camera.cx:g}, {camera.cy:g}), outside "
            f"pictures of {camera.width}×{camera.height}; was it made for another picture size?"
        )
    return camera


def fit_camera(spec: str, camera: Camera, width: int, height: int) -> Camera:
    """The camera resized to pictures of `width`×`height`; `CameraError` at another aspect ratio.

    `spec` is how messages call it.
    """
    if (camera.width, camera.height) == (width, height):
        return camera
    if abs(width * camera.height / (height * camera.width) - 1) > _ASPECT_TOLERANCE:
        raise CameraError(
            f"camera '{spec}' is for pictures of {camera.width}×{camera.height}, but these are "
            f"{width}×{height} with another aspect ratio; calibrate at this size or crop alike"
        )
    return camera.resized(width, height)


def _numbers(text: str, count: int, where: str, example: str) -> list[float]:
    try:
        values = [float(v) for v in text.replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) != count:
        raise CameraError(f"{where} must hold {count} number(s), as in '{example}'")
    return values


def _read_kitti(text: str, spec: str, index: int, width: int, height: int) -> Camera:
    lines = {int(number): rest for number, rest in _KITTI_LINE.findall(text)}
    if index not in lines:
        known = ", ".join(f"P{i}" for i in sorted(lines))
        raise CameraError(f"camera file '{spec}' has no P{index}; it has {known}")
    P = _numbers(lines[index], 12, f"P{index} of camera file '{spec}'", "fx 0 cx 0 0 fy cy ...")
    return Camera(width, height, P[0], P[5], P[2], P[6])


def _read_colmap(text: str, spec: str, identifier: int | None) -> Camera:
    cameras = {int(m[1]): m for m in _COLMAP_LINE.finditer(text)}
    if identifier is None:
        identifier = next(iter(cameras))
    if identifier not in cameras:
        known = ", ".join(map(str, cameras))
        raise CameraError(f"camera file '{spec}' has no camera {identifier}; it has {known}")
    _, model, width, height, rest = cameras[identifier].groups()
    if model not in _COLMAP:
        raise CameraError(
            f"camera file '{spec}' uses COLMAP model {model}; supported: {', '.join(_COLMAP)}"
        )
    count, intrinsics, distortion_model = _COLMAP[model]
    values = _numbers(rest, count, f"camera {identifier} of '{spec}'", f"{count} for {model}")
    fx, fy, cx, cy = intrinsics(*values)
    distortion = values[3 if model in ("SIMPLE_RADIAL", "RADIAL") else 4 :]
    if distortion_model == "radtan":
        distortion += [0.0] * max(0, 4 - len(distortion))
    return _camera(
        spec, int(width), int(height), (fx, fy, cx - 0.5, cy - 0.5), distortion_model, distortion
    )


def _read_yaml(text: str, spec: str, choice: int | None) -> Camera:
    try:
        plain = parse_yaml(text)
    except ValueError as error:
        raise CameraError(f"camera file '{spec}', {error}") from error
    if not isinstance(plain, Mapping):
        raise CameraError(
            f"camera file '{spec}' is none of OpenCV/ROS, Kalibr or EuRoC YAML, KITTI calib.txt, "
            "COLMAP cameras.txt"
        )
    chain = f"cam{choice or 0}"
    if isinstance(plain.get(chain), Mapping):
        plain = plain[chain]
    elif choice is not None:
        raise CameraError(f"camera file '{spec}' has no camera '{chain}'")
    if "intrinsics" in plain:
        return _from_sensor(plain, spec)
    return _from_opencv(plain, spec)


def _from_sensor(plain: Mapping[str, Any], spec: str) -> Camera:
    """Kalibr's camchain and EuRoC's sensor.yaml."""
    kind = plain.get("camera_model", "pinhole")
    if kind != "pinhole":
        raise CameraError(f"camera file '{spec}' has camera model '{kind}'; supported: pinhole")
    fx, fy, cx, cy = _list(plain, "intrinsics", spec, 4)
    width, height = _list(plain, "resolution", spec, 2)
    name = "distortion_coeffs" if "distortion_coeffs" in plain else "distortion_coefficients"
    distortion = _list(plain, name, spec) if name in plain else []
    model = _model(str(plain.get("distortion_model", "none")), spec)
    return _camera(spec, int(width), int(height), (fx, fy, cx, cy), model, distortion)


def _from_opencv(plain: Mapping[str, Any], spec: str) -> Camera:
    """ROS camera_info files and OpenCV's calibration samples (whose keys may be capital)."""
    lower = {str(key).lower(): value for key, value in plain.items()}
    K = _list(lower, "camera_matrix", spec, 9)
    width, height = (_list(lower, f"image_{side}", spec, 1)[0] for side in ("width", "height"))
    distortion = (
        _list(lower, "distortion_coefficients", spec) if "distortion_coefficients" in lower else []
    )
    fisheye = lower.get("fisheye_model") in (1, True)
    name = str(lower.get("distortion_model") or ("fisheye" if fisheye else "plumb_bob"))
    intrinsics = (K[0], K[4], K[2], K[5])
    return _camera(spec, int(width), int(height), intrinsics, _model(name, spec), distortion)


def _list(plain: Mapping[str, Any], key: str, spec: str, count: int | None = None) -> list[float]:
    if key not in plain:
        raise CameraError(f"camera file '{spec}' has no '{key}'")
    value = plain[key]
    if isinstance(value, Mapping):
        value = value.get("data")
    try:
        numbers = [float(v) for v in np.ravel(np.asarray(value, np.float64))]
    except (TypeError, ValueError) as error:
        raise CameraError(f"camera file '{spec}': '{key}' must hold numbers only") from error
    if count is not None and len(numbers) != count:
        raise CameraError(f"camera file '{spec}': '{key}' must hold {count} number(s)")
    return numbers


def _model(name: str, spec: str) -> DistortionModel:
    if name in _RADTAN:
        return "radtan"
    if name in _FISHEYE:
        return "fisheye"
    if name in ("none", "None"):
        return "none"
    known = ", ".join(sorted(_RADTAN | _FISHEYE | {"none"}))
    raise CameraError(f"camera file '{spec}' has distortion model '{name}'; known: {known}")


def _camera(
    spec: str,
    width: int,
    height: int,
    intrinsics: Sequence[float],
    model: DistortionModel,
    distortion: Sequence[float],
) -> Camera:
    fx, fy, cx, cy = intrinsics
    values = tuple(distortion)
    if model == "radtan":
        # Terms beyond the longest supported model may be there as long as they are zero.
        while len(values) > 4 and (values[-1] == 0 and len(values) not in _RADTAN_COUNTS):
            values = values[:-1]
        if not any(values):
            model, values = "none", ()
    try:
        return Camera(width, height, fx, fy, cx, cy, model, () if model == "none" else values)
    except CameraError as error:
        raise CameraError(f"camera file '{spec}': {error}") from error
