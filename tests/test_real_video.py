"""What ships, on real data: the networks' accuracy on val, and the main job's files and path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import litescene
from litescene.core import CAMVID, Image, SegmentationMap, Taxonomy
from litescene.data import open_detection, open_segmentation
from litescene.media import open_source, read_labels, read_picture, read_ply, read_trajectory
from litescene.metrics import BoxTruth, evaluate_trajectory
from litescene.runtime import Detector, Segmenter
from litescene.runtime.evaluation import (
    EVALUATION_IOU,
    EVALUATION_SCORE,
    evaluate_detector,
    evaluate_segmenter,
)
from real_data import DataSet

pytestmark = [pytest.mark.slow, pytest.mark.data, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test touches the user's cache; the tests here share what they compile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LITESCENE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def labelled(spec: str) -> Iterator[tuple[Image, SegmentationMap]]:
    data = open_segmentation(spec, "val")
    for index in range(len(data)):
        image, labels = data.load(index)
        yield image, SegmentationMap(labels, data.taxonomy)


def boxed(spec: str, taxonomy: Taxonomy) -> Iterator[tuple[Image, BoxTruth]]:
    for sample in open_detection(spec, "val", taxonomy).samples:
        truth = BoxTruth(sample.boxes, sample.classes, sample.crowd, known=sample.known)
        yield read_picture(sample.picture), truth


def test_the_shipped_segmenter_has_a_mean_iou_of_70_percent_on_camvid_val(
    data_set: DataSet,
) -> None:
    segmenter = litescene.load("pp_liteseg_t")
    assert isinstance(segmenter, Segmenter)
    scores = evaluate_segmenter(segmenter, labelled(f"camvid:{data_set('camvid')}"))
    assert len(scores["iou"]) == 11
    assert scores["mean_iou"] >= 0.70


@pytest.mark.parametrize(
    ("reader", "name", "least"),
    [
        ("voc", "road_signs", 0.70),
        ("boxcsv", "road_cars", 0.85),
        ("penn", "penn_pedestrians", 0.55),
    ],
)
def test_the_shipped_detector_has_its_ap50_on_val(
    data_set: DataSet, reader: str, name: str, least: float
) -> None:
    detector = Detector(
        "yolov5_lite_s", score=EVALUATION_SCORE, iou=EVALUATION_IOU, multi_label=True
    )
    samples = boxed(f"{reader}:{data_set(name)}", detector.taxonomy)
    assert evaluate_detector(detector, samples)["ap50"] >= least


def refuse(word: str) -> None:
    raise AssertionError(f"{word} is not JSON")


def rows_of(path: Path) -> list[list[str]]:
    """The lines of a COLMAP text file that are no comments, empty ones included."""
    lines = path.read_text("utf-8").splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


def check_frames(out: Path, frames: int, size: tuple[int, int]) -> None:
    """`frames.jsonl`, `labels/` and `overlay.mp4`: one of each per frame, of the frames' size."""
    lines = (out / "frames.jsonl").read_text("utf-8").splitlines()
    records = [json.loads(line, parse_constant=refuse) for line in lines]
    assert [record["frame"] for record in records] == list(range(frames))
    assert (np.diff([record["time"] for record in records]) > 0).all()
    assert {p.stem for p in (out / "labels").iterdir()} == {record["name"] for record in records}
    for record in records:
        pose = record["T_world_camera"]
        assert (record["state"] == "tracking") == (pose is not None)
        assert pose is None or np.shape(pose) == (4, 4)
        assert all({"class", "score", "box", "id"} <= set(found) for found in record["objects"])
        labels = read_labels(out / "labels" / f"{record['name']}.png")
        assert labels.shape == size[::-1]
        assert labels.max() < len(CAMVID)
    with open_source(out / "overlay.mp4") as overlay:
        assert len(list(overlay)) == frames
    with av.open(str(out / "overlay.mp4")) as video:
        assert video.streams.video[0].codec_context.name == "h264"


def check_map(out: Path, summary: dict[str, Any]) -> None:
    """`map.ply`, `map/` and `trajectory.txt` agree with the summary."""
    scene_map = read_ply(out / "map.ply")
    assert len(scene_map) == summary["map"]["points"] > 1000
    assert np.isfinite(scene_map.points).all()
    assert scene_map.labels.max() < len(CAMVID)
    assert scene_map.confidence.min() > 0
    assert len(rows_of(out / "map/cameras.txt")) == 1
    images = rows_of(out / "map/images.txt")
    assert len(images) == 2 * summary["keyframes"]
    assert {len(row) for row in images[::2]} == {10}
    points = rows_of(out / "map/points3D.txt")
    assert len(points) == summary["landmarks"] > 100
    assert all(len(row) >= 8 + 2 * 2 for row in points)  # seen by two keyframes at least
    path = read_trajectory(out / "trajectory.txt")
    assert len(path) == summary["trajectory"]["poses"]


def check_results(scene: litescene.scene.SceneResult, frames: int, size: tuple[int, int]) -> None:
    """All that a run writes is there, can be read, and agrees."""
    out = scene.out
    summary = json.loads((out / "summary.json").read_text("utf-8"), parse_constant=refuse)
    assert summary == json.loads(json.dumps(scene.summary))
    assert (summary["frames"], summary["frames_dropped"], summary["complete"]) == (frames, 0, True)
    assert summary["states"]["lost"] == 0
    assert summary["scale"] == "arbitrary"
    assert {"segment", "detect", "engines", "digests", "lens"} <= set(summary["settings"])
    assert {"litescene", "python", "numpy"} <= set(summary["versions"])
    stages = {"segmentation", "detection", "odometry", "depth", "fusion", "elapsed"}
    assert stages <= set(summary["milliseconds"])
    check_frames(out, frames, size)
    check_map(out, summary)
    report = (out / "report.html").read_text("utf-8")
    assert report.count("data:image/") >= 3
    assert "src=http" not in report.replace('"', "").replace("'", "")
    assert not [path for path in out.rglob("*") if path.suffix == ".part"]


def test_the_motorway_gives_everything(data_set: DataSet, tmp_path: Path) -> None:
    source = data_set("video/solidWhiteRight.mp4")
    scene = litescene.run(source, out=tmp_path, camera="fov=60", limit=60)
    check_results(scene, 60, (960, 540))


def test_the_camvid_clip_gives_everything(data_set: DataSet, tmp_path: Path) -> None:
    scene = litescene.run(data_set("camvid/val"), out=tmp_path, camera="fov=60", limit=40)
    check_results(scene, 40, (480, 360))


def test_kitti_07_gives_everything_and_the_path_that_was_driven(
    data_set: DataSet, tmp_path: Path
) -> None:
    folder = data_set("kitti07_160")
    scene = litescene.run(folder / "image_0", out=tmp_path, camera=str(folder / "calib.txt"))
    check_results(scene, 160, (1226, 370))
    lines = (tmp_path / "frames.jsonl").read_text("utf-8").splitlines()
    states = [json.loads(line)["state"] for line in lines]
    start = states.index("tracking")
    assert states[start:] == ["tracking"] * (160 - start)
    scores = evaluate_trajectory(
        read_trajectory(tmp_path / "trajectory.txt"), read_trajectory(folder / "poses.txt"), "sim3"
    )
    assert scores.matches == 160 - start
    assert scores.ate.rmse <= 1.0
    assert scores.rpe_rotation_degrees.mean <= 0.10
