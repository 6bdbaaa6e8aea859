"""Every written layout is read back by a simple reader of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from litescene.core import CAMVID, STREET_OBJECTS, OutputError, UnknownNameError
from litescene.media import read_camera, read_trajectory
from litescene.synth import Street, StreetFrame, write_street

SIZE = (96, 72)


@pytest.fixture(scope="module")
def street() -> Street:
    return Street(seed=4, width=SIZE[0], height=SIZE[1], seconds=0.2)


@pytest.fixture(scope="module")
def frames(street: Street) -> list[StreetFrame]:
    return list(street.frames())


@pytest.fixture(scope="module")
def root(street: Street, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("street")
    calls: list[tuple[int, int]] = []
    assert write_street(street, root, "all", lambda done, total: calls.append((done, total))) == 4
    assert calls == [(k, 4) for k in range(1, 5)]
    return root


def rgb(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None, path
    return picture[..., ::-1] if picture.ndim == 3 else picture


def rotation_of_xyzw(q: np.ndarray) -> np.ndarray:
    x, y, z, w = q
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def test_camvid_has_pictures_and_index_labels_split_by_time(
    root: Path, frames: list[StreetFrame]
) -> None:
    pictures = sorted((root / "camvid").glob("*/*.png"))
    assert len(pictures) == 2 * len(frames)
    assert len(list((root / "camvid" / "train").iterdir())) == 4
    for frame in frames:
        name = f"street4_{frame.index:06d}.png"
        assert np.array_equal(rgb(root / "camvid" / "train" / name), frame.image)
        labels = rgb(root / "camvid" / "trainannot" / name)
        assert np.array_equal(labels, frame.labels)
        assert labels.max() < len(CAMVID)


def test_masks_are_the_same_labels_beside_a_list_of_their_classes(
    root: Path, frames: list[StreetFrame]
) -> None:
    folder = root / "masks"
    listed = [line.rsplit(" ", 3)[0] for line in (folder / "classes.txt").read_text().splitlines()]
    assert tuple(listed) == CAMVID.names
    for frame in frames:
        name = f"street4_{frame.index:06d}.png"
        assert np.array_equal(rgb(folder / "images/train" / name), frame.image)
        assert np.array_equal(rgb(folder / "masks/train" / name), frame.labels)


def test_yolo_boxes_are_the_frames_objects_as_shares(root: Path, frames: list[StreetFrame]) -> None:
    config = (root / "yolo" / "data.yaml").read_text()
    assert f"names: [{', '.join(STREET_OBJECTS.names)}]" in config
    boxes = 0
    for frame in frames:
        name = f"street4_{frame.index:06d}"
        assert np.array_equal(rgb(root / "yolo" / "images" / "train" / f"{name}.png"), frame.image)
        text = (root / "yolo" / "labels" / "train" / f"{name}.txt").read_text()
        rows = np.array([line.split() for line in text.splitlines()], float).reshape(-1, 5)
        assert rows[:, 0].tolist() == frame.objects.classes.tolist()
        height, width = frame.image.shape[:2]
        centre, sides = rows[:, 1:3] * (width, height), rows[:, 3:] * (width, height)
        found = np.concatenate((centre - sides / 2, centre + sides / 2), axis=1)
        assert np.allclose(found, frame.objects.boxes.reshape(-1, 4), atol=1e-3)
        boxes += len(rows)
    assert boxes


def test_coco_boxes_are_the_frames_objects(root: Path, frames: list[StreetFrame]) -> None:
    plain = json.loads((root / "coco" / "annotations" / "instances.json").read_text())
    names = {c["id"]: c["name"] for c in plain["categories"]}
    assert tuple(names[k + 1] for k in range(len(names))) == STREET_OBJECTS.names
    for frame, image in zip(frames, plain["images"], strict=True):
        assert np.array_equal(rgb(root / "coco" / "images" / image["file_name"]), frame.image)
        mine = [a for a in plain["annotations"] if a["image_id"] == image["id"]]
        assert len(mine) == len(frame.objects)
        for a, box, kind in zip(mine, frame.objects.boxes, frame.objects.classes, strict=True):
            x, y, w, h = a["bbox"]
            assert [x, y, x + w, y + h] == box.tolist()
            assert names[a["category_id"]] == STREET_OBJECTS.names[kind]
    assert len({a["id"] for a in plain["annotations"]}) == len(plain["annotations"])


def test_kitti_poses_are_relative_to_the_first_camera(
    root: Path, street: Street, frames: list[StreetFrame]
) -> None:
    folder = root / "kitti"
    poses = np.loadtxt(folder / "poses.txt").reshape(-1, 3, 4)
    for pose, frame in zip(poses, frames, strict=True):
        expected = np.linalg.inv(frames[0].pose) @ frame.pose
        assert np.abs(pose - expected[:3]).max() < 1e-8
    assert np.allclose(np.loadtxt(folder / "times.txt"), street.times, atol=1e-9)
    row = (folder / "calib.txt").read_text().splitlines()[0].split()
    assert row[0] == "P0:"
    p = np.array(row[1:], float).reshape(3, 4)
    assert np.allclose(p[:, :3], street.camera.K)
    gray = rgb(folder / "image_0" / "000001.png")
    assert gray.shape == (SIZE[1], SIZE[0])
    assert np.array_equal(rgb(folder / "image_2" / "000001.png"), frames[1].image)
    assert np.abs(gray - frames[1].image @ [0.299, 0.587, 0.114]).max() < 1.0


def test_tum_lists_pictures_depths_and_poses(root: Path, frames: list[StreetFrame]) -> None:
    folder = root / "tum"
    lines = [x.split() for x in (folder / "depth.txt").read_text().splitlines() if x[0] != "#"]
    for (stamp, name), frame in zip(lines, frames, strict=True):
        assert float(stamp) == pytest.approx(frame.time, abs=1e-6)
        stored = rgb(folder / name)
        assert stored.dtype == np.uint16
        known = stored > 0
        assert np.abs(stored[known] / 5000.0 - frame.depth[known]).max() < 2e-4
        assert np.array_equal(known, (frame.depth > 0) & (frame.depth < 65535.5 / 5000))
    table = np.loadtxt(folder / "groundtruth.txt")
    for row, frame in zip(table, frames, strict=True):
        assert np.abs(row[1:4] - frame.pose[:3, 3]).max() < 1e-6
        assert np.abs(rotation_of_xyzw(row[4:]) - frame.pose[:3, :3]).max() < 1e-6
    assert len(list((folder / "rgb").iterdir())) == len(frames)


def test_euroc_has_imu_and_truth_at_200_hertz(root: Path, street: Street) -> None:
    folder = root / "euroc" / "mav0"
    imu = np.loadtxt(folder / "imu0" / "data.csv", delimiter=",")
    truth = np.loadtxt(folder / "state_groundtruth_estimate0" / "data.csv", delimiter=",")
    samples = street.imu()
    assert np.array_equal(np.diff(imu[:, 0]), np.full(len(imu) - 1, 5e6))
    assert np.allclose(imu[:, 1:4], samples.gyroscope, atol=1e-10)
    assert np.allclose(imu[:, 4:7], samples.accelerometer, atol=1e-9)
    assert truth.shape == (len(imu), 17)
    for row, pose in zip(truth, samples.motion.poses, strict=True):
        w, x, y, z = row[4:8]
        assert np.abs(rotation_of_xyzw(np.array([x, y, z, w])) - pose[:3, :3]).max() < 1e-8
        assert np.abs(row[1:4] - pose[:3, 3]).max() < 1e-8
    images = [x.split(",") for x in (folder / "cam0" / "data.csv").read_text().splitlines()[1:]]
    assert [int(stamp) for stamp, _ in images] == [0, 50_000_000, 100_000_000, 150_000_000]
    assert all((folder / "cam0" / "data" / name).exists() for _, name in images)
    camera = read_camera(str(folder / "cam0" / "sensor.yaml"), *SIZE)
    assert np.allclose(camera.K, street.camera.K)


def test_the_video_comes_with_camera_and_truth(
    root: Path, street: Street, frames: list[StreetFrame]
) -> None:
    folder = root / "video"
    with av.open(str(folder / "drive.mp4")) as container:
        decoded = [(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    assert [t for t, _ in decoded] == pytest.approx(street.times.tolist(), abs=1e-4)
    assert np.abs(decoded[2][1].astype(float) - frames[2].image).mean() < 12
    assert np.allclose(read_camera(str(folder / "camera.yaml"), *SIZE).K, street.camera.K)
    assert np.allclose(
        read_trajectory(folder / "groundtruth.txt").poses, street.poses.poses, atol=1e-6
    )
    assert np.array_equal(rgb(folder / "labels" / "000003.png"), frames[3].labels)
    depth = rgb(folder / "depth" / "000003.png") / 256.0
    near = (frames[3].depth > 0) & (frames[3].depth < 255)
    assert np.abs(depth - frames[3].depth)[near].max() < 0.002 + 1e-6
    assert len(json.loads((folder / "detections.json").read_text())["images"]) == len(frames)
    assert (folder / "imu.csv").read_text().count("\n") == len(street.imu().times) + 1


@pytest.mark.parametrize(
    ("layout", "folder"),
    [
        ("camvid", "train"),
        ("masks", "images/train"),
        ("masks", "masks/train"),
        ("yolo", "images/train"),
        ("yolo", "labels/train"),
    ],
)
def test_a_drive_replaces_that_of_its_seed_in_a_set_and_no_other(
    layout: Any, folder: str, street: Street, tmp_path: Path
) -> None:
    ending = "txt" if folder.startswith("labels") else "png"
    longer, other = (
        tmp_path / folder / f"street{name}.{ending}" for name in ("4_000400", "40_000400")
    )
    longer.parent.mkdir(parents=True)
    longer.touch()
    other.touch()
    write_street(street, tmp_path, layout)
    found = {path.name for path in longer.parent.iterdir()}
    assert found == {other.name, *(f"street4_{k:06d}.{ending}" for k in range(4))}


@pytest.mark.parametrize("layout", ["coco", "kitti", "tum", "euroc", "video"])
def test_frames_of_a_longer_drive_are_not_mixed_with_those_of_a_shorter_one(
    street: Street, root: Path, tmp_path: Path, layout: Any
) -> None:
    shutil.copytree(root / layout, tmp_path / "out" / layout)
    shutil.copytree(root / "camvid", tmp_path / "out" / "camvid")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    shorter = Street(seed=4, width=SIZE[0], height=SIZE[1], seconds=0.1)
    for name, place in ((layout, tmp_path / "out" / layout), ("all", tmp_path / "out")):
        with pytest.raises(OutputError, match=r"is of another drive.*remove .*choose another"):
            write_street(shorter, place, name)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")} == before
    write_street(street, tmp_path / "out" / layout, layout)  # the same drive again


def test_what_was_written_before_an_interruption_is_valid(street: Street, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_street(street, tmp_path, "video", interrupt)
    with av.open(str(tmp_path / "drive.mp4")) as container:
        assert len(list(container.decode(video=0))) == 2
    assert len(read_trajectory(tmp_path / "groundtruth.txt")) == 2
    assert len(json.loads((tmp_path / "detections.json").read_text())["images"]) == 2


def test_an_unknown_layout_is_refused_with_the_known_ones(street: Street, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="layout"):
        write_street(street, tmp_path, "nuscenes")  # type: ignore[arg-type]
