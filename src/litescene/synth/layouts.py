"""Writes a drive in the layouts of the data sets that the project reads, and as a video.

Every layout takes frame after frame; its tables (poses, boxes, lists) are written when it is
closed, which happens after Ctrl-C and errors too, for the frames that are there.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import (
    CAMVID,
    STREET_OBJECTS,
    Camera,
    OutputError,
    Trajectory,
    UnknownNameError,
)
from litescene.geometry import matrix_to_quaternion_wxyz
from litescene.media import VideoWriter, write_atomic, write_kitti, write_png_labels, write_tum
from litescene.media.pictures import encode_png
from litescene.synth.street import Street, StreetFrame

Layout = Literal["all", "camvid", "masks", "coco", "yolo", "kitti", "tum", "euroc", "video"]
TRAIN_SHARE = 0.8
"""Share of a drive (its beginning) that goes into `train` where a layout has splits; then `val`."""
TUM_DEPTH, KITTI_DEPTH = 5000.0, 256.0
"""Units per metre of 16-bit depth pictures."""


class LayoutWriter(Protocol):
    """What every layout can do."""

    def add(self, frame: StreetFrame) -> None:
        """Write one frame."""

    def close(self) -> None:
        """Write the tables of all frames added so far."""


def write_street(
    street: Street,
    out: Path | str,
    layout: Layout = "all",
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Render `street` and write it to the folder `out`; gives the number of frames written.

    `camvid`  train/, trainannot/, val/, valannot/: pictures and class indices (11 would be void)
    `masks`   images/ and masks/ (each with train/ and val/), classes.txt: the same
    `coco`    images/ and annotations/instances.json, boxes in STREET_OBJECTS
    `yolo`    images/, labels/ (each with train/ and val/) and data.yaml, boxes in STREET_OBJECTS
    `kitti`   image_0/ (grey), image_2/ (colour), calib.txt, times.txt, poses.txt
    `tum`     rgb/, depth/ (uint16, 5000 a metre, 0 beyond 13.1 m), rgb.txt, depth.txt,
              groundtruth.txt
    `euroc`   mav0/: cam0, imu0 (200 Hz), state_groundtruth_estimate0; body = camera axes
    `video`   drive.mp4, camera.yaml and the truth for scoring it: groundtruth.txt (TUM), labels/,
              depth/ (uint16, 256 a metre), detections.json (COCO), imu.csv (EuRoC)
    `all`     every one of them in a folder of its name

    `progress(done, total)` is called after every frame. Whatever ends the run, the frames done so
    far are complete and valid. Raises `UnknownNameError` and, if the disk is full or frames of
    another drive would be mixed with those of this one, `OutputError`.
    """
    if layout not in get_args(Layout):
        raise UnknownNameError("layout", layout, get_args(Layout))
    root = Path(out)
    names = list(_WRITERS) if layout == "all" else [layout]
    folders = {name: root / name if layout == "all" else root for name in names}
    for name, folder in folders.items():
        if name in _FRAMES:
            _refuse_others(street, folder, name)
    done = 0
    with ExitStack() as stack:
        writers: list[LayoutWriter] = []
        for name, folder in folders.items():
            writer = _WRITERS[name](street, folder)
            stack.callback(writer.close)
            writers.append(writer)
        for frame in street.frames():
            for writer in writers:
                writer.add(frame)
            done += 1
            if progress is not None:
                progress(done, len(street))
    return done


def _write_png(path: Path, picture: NDArray[Any]) -> None:
    write_atomic(path, encode_png(picture), sync=False)


def _gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def depth_units(depth: NDArray[np.float32], per_metre: float) -> NDArray[np.uint16]:
    """Depth as uint16; 0 where it is unknown or too far for 16 bits."""
    scaled = np.round(depth.astype(np.float64) * per_metre)
    return np.where(scaled <= 65535, scaled, 0).astype(np.uint16)


def _trajectory(frames: list[tuple[float, NDArray[np.float64]]]) -> Trajectory:
    times = np.array([t for t, _ in frames])
    return Trajectory(times, np.array([p for _, p in frames]).reshape(-1, 4, 4), "metric")


def _forget(folder: Path, seed: int) -> None:
    """Remove frames of an earlier drive, which was longer perhaps, or split elsewhere.

    Drives of other seeds in the folder stay: they make one set together.
    """
    for path in folder.glob(f"street{seed}_*"):
        path.unlink()


def _numbered(index: int, _time: float) -> str:
    return f"{index:06d}.png"


def _in_seconds(_index: int, time: float) -> str:
    return f"{time:.6f}.png"


def _in_nanoseconds(_index: int, time: float) -> str:
    return f"{round(time * 1e9)}.png"


_FRAMES: dict[str, tuple[Callable[[int, float], str], tuple[str, ...]]] = {
    "coco": (_numbered, ("images",)),
    "kitti": (_numbered, ("image_0", "image_2")),
    "tum": (_in_seconds, ("rgb", "depth")),
    "euroc": (_in_nanoseconds, ("mav0/cam0/data",)),
    "video": (_numbered, ("labels", "depth")),
}
"""How layouts that hold one drive name its frames, by index and time, and their folders."""


def _refuse_others(street: Street, root: Path, layout: str) -> None:
    """Raise `OutputError` where pictures of another drive would stay among those of this one."""
    name, folders = _FRAMES[layout]
    own = {name(index, time) for index, time in enumerate(street.times.tolist())}
    for folder in (root / inside for inside in folders):
        other = sorted(p.name for p in folder.glob("*.png") if p.name not in own)
        if other:
            raise OutputError(
                f"{folder / other[0]} is of another drive, whose frames would stay among those of "
                f"this one; remove {folder} or choose another folder"
            )


class _Labelled:
    """Pictures and their class indices, the beginning of the drive in `train`, its end in `val`."""

    pictures, labels = "{}", "{}annot"

    def __init__(self, street: Street, root: Path) -> None:
        self.root, self.split = root, int(np.ceil(TRAIN_SHARE * len(street)))
        self.seed = street.seed
        for folder, part in itertools.product((self.pictures, self.labels), ("train", "val")):
            _forget(root / folder.format(part), self.seed)

    def add(self, frame: StreetFrame) -> None:
        part = "train" if frame.index < self.split else "val"
        name = f"street{self.seed}_{frame.index:06d}.png"
        _write_png(self.root / self.pictures.format(part) / name, frame.image)
        write_png_labels(self.root / self.labels.format(part) / name, frame.labels)

    def close(self) -> None:
        """Nothing is left to write."""


class _Masks(_Labelled):
    pictures, labels = "images/{}", "masks/{}"

    def close(self) -> None:
        rows = zip(CAMVID.names, CAMVID.colors, strict=True)
        lines = [f"{name} {r} {g} {b}\n" for name, (r, g, b) in rows]
        write_atomic(self.root / "classes.txt", "".join(lines))


class _Boxes:
    """COCO records collected over frames."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def add(self, frame: StreetFrame, name: str) -> None:
        image = {
            "id": frame.index + 1,
            "file_name": name,
            "width": self.camera.width,
            "height": self.camera.height,
            "time": frame.time,
        }
        self.images.append(image)
        objects = frame.objects
        for k, box in enumerate(objects.boxes.tolist()):
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": frame.index + 1,
                    "category_id": int(objects.classes[k]) + 1,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": int(objects.pixels[k]),
                    "iscrowd": 0,
                    "track_id": int(objects.ids[k]),
                    "visible": round(float(objects.visible[k]), 4),
                    "truncated": round(float(objects.truncated[k]), 4),
                }
            )

    def write(self, path: Path) -> None:
        categories = [{"id": k + 1, "name": n} for k, n in enumerate(STREET_OBJECTS.names)]
        plain = {
            "info": {"description": "the built-in street"},
            "images": self.images,
            "annotations": self.annotations,
            "categories": categories,
        }
        write_atomic(path, json.dumps(plain))


class _Coco:
    def __init__(self, street: Street, root: Path) -> None:
        self.root, self.boxes = root, _Boxes(street.camera)

    def add(self, frame: StreetFrame) -> None:
        name = _numbered(frame.index, frame.time)
        _write_png(self.root / "images" / name, frame.image)
        self.boxes.add(frame, name)

    def close(self) -> None:
        self.boxes.write(self.root / "annotations" / "instances.json")


class _Yolo:
    def __init__(self, street: Street, root: Path) -> None:
        self.root, self.split = root, int(np.ceil(TRAIN_SHARE * len(street)))
        self.seed, self.camera = street.seed, street.camera
        for kind, part in itertools.product(("images", "labels"), ("train", "val")):
            _forget(root / kind / part, self.seed)

    def add(self, frame: StreetFrame) -> None:
        part = "train" if frame.index < self.split else "val"
        name = f"street{self.seed}_{frame.index:06d}"
        _write_png(self.root / "images" / part / f"{name}.png", frame.image)
        boxes = frame.objects.boxes.reshape(-1, 2, 2) / (self.camera.width, self.camera.height)
        lines = [
            f"{c} {cx:.6f} {cy:.6f} {w:.6f} {h:.6f}\n"
            for c, (cx, cy), (w, h) in zip(
                frame.objects.classes.tolist(),
                boxes.mean(1).tolist(),
                (boxes[:, 1] - boxes[:, 0]).tolist(),
                strict=True,
            )
        ]
        write_atomic(self.root / "labels" / part / f"{name}.txt", "".join(lines), sync=False)

    def close(self) -> None:
        names = ", ".join(STREET_OBJECTS.names)
        paths = "train: images/train\nval: images/val"
        write_atomic(self.root / "data.yaml", f"{paths}\nnames: [{names}]\n")


class _Kitti:
    def __init__(self, street: Street, root: Path) -> None:
        self.root, self.camera = root, street.camera
        self.frames: list[tuple[float, NDArray[np.float64]]] = []

    def add(self, frame: StreetFrame) -> None:
        name = _numbered(frame.index, frame.time)
        _write_png(self.root / "image_0" / name, _gray(frame.image))
        _write_png(self.root / "image_2" / name, frame.image)
        self.frames.append((frame.time, frame.pose))

    def close(self) -> None:
        projection = np.column_stack([self.camera.K, np.zeros(3)]).ravel().tolist()
        row = " ".join(f"{v:.12e}" for v in projection)
        write_atomic(self.root / "calib.txt", "".join(f"P{k}: {row}\n" for k in range(4)))
        if self.frames:
            # KITTI's world is the first camera
            first = np.linalg.inv(self.frames[0][1])
            seen = _trajectory([(t, first @ pose) for t, pose in self.frames])
            write_kitti(self.root / "poses.txt", seen, self.root / "times.txt")


class _Tum:
    def __init__(self, street: Street, root: Path) -> None:
        self.root = root
        self.frames: list[tuple[float, NDArray[np.float64]]] = []

    def add(self, frame: StreetFrame) -> None:
        name = _in_seconds(frame.index, frame.time)
        _write_png(self.root / "rgb" / name, frame.image)
        _write_png(self.root / "depth" / name, depth_units(frame.depth, TUM_DEPTH))
        self.frames.append((frame.time, frame.pose))

    def close(self) -> None:
        for kind in ("rgb", "depth"):
            lines = [f"{t:.6f} {kind}/{t:.6f}.png\n" for t, _ in self.frames]
            write_atomic(self.root / f"{kind}.txt", f"# timestamp filename\n{''.join(lines)}")
        write_tum(self.root / "groundtruth.txt", _trajectory(self.frames))


def imu_csv(street: Street) -> str:
    """The drive's inertial samples in EuRoC's table: ns, rad/s, m/s² in camera axes."""
    samples = street.imu()
    head = (
        "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],"
        "a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]\n"
    )
    values = np.hstack([samples.gyroscope, samples.accelerometer])
    return head + _rows(samples.times, values)


def _rows(times: NDArray[np.float64], values: NDArray[np.float64]) -> str:
    rows: Iterable[tuple[float, list[float]]] = zip(times.tolist(), values.tolist(), strict=True)
    return "".join(f"{round(t * 1e9)},{','.join(f'{v:.12g}' for v in row)}\n" for t, row in rows)


_IDENTITY = (
    "T_BS:\n  cols: 4\n  rows: 4\n  data: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]\n"
)


class _Euroc:
    def __init__(self, street: Street, root: Path) -> None:
        self.root, self.street = root / "mav0", street
        self.names: list[str] = []

    def add(self, frame: StreetFrame) -> None:
        name = _in_nanoseconds(frame.index, frame.time)
        _write_png(self.root / "cam0" / "data" / name, _gray(frame.image))
        self.names.append(name)

    def close(self) -> None:
        c = self.street.camera
        lines = "".join(f"{name.removesuffix('.png')},{name}\n" for name in self.names)
        write_atomic(self.root / "cam0" / "data.csv", f"#timestamp [ns],filename\n{lines}")
        rate = 1.0 / float(self.street.times[1]) if len(self.street) > 1 else 1.0
        write_atomic(
            self.root / "cam0" / "sensor.yaml",
            f"sensor_type: camera\n{_IDENTITY}rate_hz: {rate:g}\n"
            f"resolution: [{c.width}, {c.height}]\ncamera_model: pinhole\n"
            f"intrinsics: [{c.fx!r}, {c.fy!r}, {c.cx!r}, {c.cy!r}]\n"
            "distortion_model: radial-tangential\ndistortion_coefficients: [0, 0, 0, 0]\n",
        )
        write_atomic(self.root / "imu0" / "data.csv", imu_csv(self.street))
        write_atomic(
            self.root / "imu0" / "sensor.yaml", f"sensor_type: imu\n{_IDENTITY}rate_hz: 200\n"
        )
        write_atomic(self.root / "state_groundtruth_estimate0" / "data.csv", self._truth())

    def _truth(self) -> str:
        samples = self.street.imu()
        poses = samples.motion.poses
        head = (
            "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [],"
            " q_RS_y [], q_RS_z [], v_RS_R_x [m s^-1], v_RS_R_y [m s^-1], v_RS_R_z [m s^-1],"
            " b_w_RS_S_x [rad s^-1], b_w_RS_S_y [rad s^-1], b_w_RS_S_z [rad s^-1],"
            " b_a_RS_S_x [m s^-2], b_a_RS_S_y [m s^-2], b_a_RS_S_z [m s^-2]\n"
        )
        values = np.hstack(
            [
                poses[:, :3, 3],
                matrix_to_quaternion_wxyz(poses[:, :3, :3]),
                samples.motion.velocity,
                np.zeros((len(poses), 6)),
            ]
        )
        return head + _rows(samples.times, values)


def camera_yaml(camera: Camera) -> str:
    """A camera file in the form of ROS and OpenCV."""
    data = ", ".join(repr(float(v)) for v in camera.K.ravel())
    return (
        f"image_width: {camera.width}\nimage_height: {camera.height}\ncamera_name: street\n"
        f"camera_matrix:\n  rows: 3\n  cols: 3\n  data: [{data}]\n"
        "distortion_model: plumb_bob\n"
        "distortion_coefficients:\n  rows: 1\n  cols: 5\n  data: [0.0, 0.0, 0.0, 0.0, 0.0]\n"
    )


class _Video:
    def __init__(self, street: Street, root: Path) -> None:
        self.root, self.street = root, street
        root.mkdir(parents=True, exist_ok=True)
        rate = 1.0 / float(street.times[1]) if len(street) > 1 else 1.0
        camera = street.camera
        self.video = VideoWriter(root / "drive.mp4", camera.width, camera.height, rate)
        self.boxes = _Boxes(camera)
        self.frames: list[tuple[float, NDArray[np.float64]]] = []
        write_atomic(root / "camera.yaml", camera_yaml(camera))
        write_atomic(root / "imu.csv", imu_csv(street))

    def add(self, frame: StreetFrame) -> None:
        name = _numbered(frame.index, frame.time)
        write_png_labels(self.root / "labels" / name, frame.labels)
        _write_png(self.root / "depth" / name, depth_units(frame.depth, KITTI_DEPTH))
        self.video.write(frame.image, frame.time)
        self.boxes.add(frame, name)
        self.frames.append((frame.time, frame.pose))

    def close(self) -> None:
        with ExitStack() as stack:
            stack.callback(self.video.close)
            write_tum(self.root / "groundtruth.txt", _trajectory(self.frames))
            self.boxes.write(self.root / "detections.json")


_WRITERS: dict[str, Callable[[Street, Path], LayoutWriter]] = {
    "camvid": _Labelled,
    "masks": _Masks,
    "coco": _Coco,
    "yolo": _Yolo,
    "kitti": _Kitti,
    "tum": _Tum,
    "euroc": _Euroc,
    "video": _Video,
}
