"""`segment` and `detect` over pictures, folders and videos."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import litescene
from litescene.core import Frame, OutputError
from litescene.media import VideoWriter, open_source, read_labels, read_picture
from litescene.media.sources import Source
from litescene.runtime import annotate


def test_segment_writes_the_labels_of_a_picture_and_an_overlay(
    call: Any, picture: Path, segmenter_file: Path, place: Path
) -> None:
    ended = call("segment", picture, "--model", segmenter_file, "--engine", "onnxruntime")
    assert ended.code == 0, ended.err
    expected = litescene.load(segmenter_file, "onnxruntime")(picture).labels
    np.testing.assert_array_equal(read_labels(place / "scene_labels.png"), expected)
    assert read_picture(place / "scene_overlay.png").shape == read_picture(picture).shape
    assert not (place / "summary.json").exists()


def test_segment_writes_labels_video_and_summary_of_a_folder(
    call: Any, pictures: Path, segmenter_file: Path, place: Path
) -> None:
    (pictures / "p3.png").write_bytes(b"no picture")
    ended = call("segment", pictures, "--model", segmenter_file, "--engine", "onnxruntime")
    assert ended.code == 0, ended.err
    out = place / "pictures_segment"
    assert sorted(p.name for p in (out / "labels").iterdir()) == ["p0.png", "p1.png", "p2.png"]
    with open_source(out / "overlay.mp4") as video:
        assert len(list(video)) == 3
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames"] == 3
    assert summary["complete"] is True
    assert [s["name"] for s in summary["skipped"]] == ["p3.png"]
    assert sum(summary["shares"].values()) == pytest.approx(1.0, abs=1e-4)
    assert "p3.png" in ended.out


def segment(call: Any, source: Path | str, model: Path, *more: str) -> Any:
    return call("segment", source, "--model", model, "--engine", "onnxruntime", *more)


def test_pictures_of_the_same_name_in_two_folders_get_label_files_of_their_own(
    call: Any, pictures: Path, segmenter_file: Path, place: Path
) -> None:
    (place / "other").mkdir()
    (place / "other" / "p1.png").write_bytes((pictures / "p2.png").read_bytes())
    ended = segment(call, "*/p1.png", segmenter_file, "--out", "o")
    assert ended.code == 0, ended.err
    lines = [json.loads(line) for line in (place / "o/labels.jsonl").read_text().splitlines()]
    assert [(line["frame"], line["name"]) for line in lines] == [(0, "p1"), (1, "p1_000001")]
    segmenter = litescene.load(segmenter_file, "onnxruntime")
    for line, source in zip(lines, ("other/p1.png", "pictures/p1.png"), strict=True):
        np.testing.assert_array_equal(
            read_labels(place / f"o/labels/{line['name']}.png"), segmenter(place / source).labels
        )


def test_segmenting_again_leaves_no_label_of_the_time_before(
    call: Any, pictures: Path, segmenter_file: Path, place: Path
) -> None:
    assert segment(call, pictures, segmenter_file).code == 0
    labels = place / "pictures_segment" / "labels"
    (labels / "mine.txt").write_text("not of a job")
    (pictures / "p1.png").unlink()
    assert segment(call, pictures, segmenter_file).code == 0
    assert sorted(p.name for p in labels.iterdir()) == ["mine.txt", "p0.png", "p2.png"]


def test_labels_that_segment_did_not_write_and_its_own_results_as_a_source_are_refused(
    call: Any, pictures: Path, segmenter_file: Path, place: Path
) -> None:
    mine = place / "o" / "labels" / "a.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"hours of work")
    ended = segment(call, pictures, segmenter_file, "--out", "o")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "no segment wrote" in ended.err
    assert mine.read_bytes() == b"hours of work"
    assert segment(call, pictures, segmenter_file, "--out", "own").code == 0
    ended = segment(call, "own/overlay.mp4", segmenter_file, "--out", "own")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "choose another folder" in ended.err
    assert (place / "own/overlay.mp4").is_file()


def test_detect_writes_one_line_of_objects_per_frame(
    call: Any, pictures: Path, detector_file: Path, place: Path
) -> None:
    ended = call(
        "detect", pictures, "--model", detector_file, "--engine", "onnxruntime", "--limit", "2",
        "--out", "boxes",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    lines = [json.loads(x) for x in (place / "boxes/detections.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["p0", "p1"]
    detector = litescene.load(detector_file, "onnxruntime")
    for line in lines:
        expected = detector(pictures / f"{line['name']}.png").to_dict()
        assert [(o["class"], o["box"]) for o in line["objects"]] == [
            (o["class"], o["box"]) for o in expected
        ]
    assert sum(len(line["objects"]) for line in lines) > 0


@pytest.fixture
def of_two_sizes(pictures: Path) -> Path:
    """Three pictures, the second one of another size and aspect."""
    whole = PIL.Image.open(pictures / "p1.png")
    whole.crop((0, 0, 64, 96)).save(pictures / "p1.png")
    return pictures


def test_pictures_of_different_sizes_are_segmented_each_at_its_own(
    call: Any, of_two_sizes: Path, segmenter_file: Path, place: Path
) -> None:
    ended = segment(call, of_two_sizes, segmenter_file, "--out", "o")
    assert ended.code == 0, ended.err
    segmenter = litescene.load(segmenter_file, "onnxruntime")
    for name in ("p0", "p1", "p2"):
        labels = read_labels(place / f"o/labels/{name}.png")
        np.testing.assert_array_equal(labels, segmenter(of_two_sizes / f"{name}.png").labels)
    with open_source(place / "o/overlay.mp4") as video:
        frames = [frame.image for frame in video]
    assert [image.shape for image in frames] == [(96, 128, 3)] * 3
    assert frames[1][:, :24].max() < 30 > frames[1][:, -24:].max(), "black beside the picture"
    assert frames[1][:, 40:88].mean() > 50
    summary = json.loads((place / "o/summary.json").read_text())
    assert (summary["size"], summary["complete"]) == ([128, 96], True)


@pytest.mark.parametrize("spec", ["pictures", "pictures/*.png"])
def test_objects_in_pictures_of_different_sizes_are_in_their_own_pixels(
    spec: str, call: Any, of_two_sizes: Path, detector_file: Path, place: Path
) -> None:
    words = ("detect", spec, "--model", detector_file, "--engine", "onnxruntime", "--out", "o")
    ended = call(*words, "--format", "coco")
    assert ended.code == 0, ended.err
    lines = [json.loads(x) for x in (place / "o/detections.jsonl").read_text().splitlines()]
    detector = litescene.load(detector_file, "onnxruntime")
    for line in lines:
        expected = detector(of_two_sizes / f"{line['name']}.png").to_dict()
        assert [o["box"] for o in line["objects"]] == [o["box"] for o in expected]
    assert lines[1]["objects"]
    whole = json.loads((place / "o/detections_coco.json").read_text())
    sizes = [(image["width"], image["height"]) for image in whole["images"]]
    assert sizes == [(128, 96), (64, 96), (128, 96)]
    with open_source(place / "o/overlay.mp4") as video:
        assert len(list(video)) == 3


def test_tracking_wants_pictures_of_one_size(
    call: Any, of_two_sizes: Path, detector_file: Path
) -> None:
    ended = call("detect", of_two_sizes, "--model", detector_file, "--engine", "onnxruntime",
                 "--track")  # fmt: skip
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "'p1.png' is 64×96, the frames before it are 128×96" in ended.err


def test_coco_names_pictures_by_their_files_and_frames_of_a_video_by_their_numbers(
    call: Any, pictures: Path, detector_file: Path, place: Path
) -> None:
    with VideoWriter(place / "in.mp4", 128, 96, rate=10) as video:
        for index in range(3):
            video.write(np.full((96, 128, 3), 90, np.uint8), index / 10)
    (pictures / "p1.png").rename(pictures / "p1.PNG")
    (place / "other").mkdir()
    (place / "other/p2.png").write_bytes((pictures / "p2.png").read_bytes())
    for source, files, names in (
        ("pictures", ["p0.png", "p1.PNG", "p2.png"], ["p0", "p1", "p2"]),
        ("*/p2.png", ["other/p2.png", "pictures/p2.png"], ["p2", "p2_000001"]),
        ("pictures/p0.png", ["p0.png"], ["p0"]),
        ("in.mp4", ["000000", "000001", "000002"], ["000000", "000001", "000002"]),
    ):
        ended = call("detect", source, "--model", detector_file, "--engine", "onnxruntime",
                     "--out", "o", "--format", "coco")  # fmt: skip
        assert ended.code == 0, ended.err
        stem = "p0_" if source.endswith("p0.png") else ""
        images = json.loads((place / f"o/{stem}detections_coco.json").read_text())["images"]
        assert [image["file_name"] for image in images] == files
        lines = (place / f"o/{stem}detections.jsonl").read_text().splitlines()
        assert [json.loads(line)["name"] for line in lines] == names


def test_tracked_objects_keep_their_ids_in_all_formats(
    call: Any, pictures: Path, detector_file: Path, place: Path
) -> None:
    for index in (1, 2):  # nothing moves
        (pictures / f"p{index}.png").write_bytes((pictures / "p0.png").read_bytes())
    words = ("detect", pictures, "--model", detector_file, "--engine", "onnxruntime", "--out", "o",
             "--score", "0.9")  # fmt: skip
    ended = call(*words, "--track", "--format", "coco", "--format", "mot")
    assert ended.code == 0, ended.err
    lines = [json.loads(x) for x in (place / "o/detections.jsonl").read_text().splitlines()]
    boxes: list[dict[int, list[float]]] = [
        {o["id"]: o["box"] for o in line["objects"] if o["id"] >= 0} for line in lines
    ]
    assert not boxes[0]
    assert len(boxes[1]) > 3
    stayed = [boxes[2].get(identity) == box for identity, box in boxes[1].items()]
    assert np.mean(stayed) > 0.9
    whole = json.loads((place / "o/detections_coco.json").read_text())
    assert [image["file_name"] for image in whole["images"]] == ["p0.png", "p1.png", "p2.png"]
    flat = [(line["frame"], o) for line in lines for o in line["objects"]]
    names = {c["id"]: c["name"] for c in whole["categories"]}
    mot = [x.split(",") for x in (place / "o/detections_mot.txt").read_text().splitlines()]
    assert len(flat) == len(whole["annotations"]) > 3
    for (frame, o), a in zip(flat, whole["annotations"], strict=True):
        assert (a["image_id"], names[a["category_id"]]) == (frame, o["class"])
        assert a["bbox"] == pytest.approx(sides(o["box"]), abs=0.03)
        assert a.get("track_id", -1) == o["id"]
    tracked = [(frame, o) for frame, o in flat if o["id"] >= 0]
    assert len(flat) > len(tracked) == len(mot) > 3, "those without an id are no tracks"
    for (frame, o), m in zip(tracked, mot, strict=True):
        assert (int(m[0]), int(m[1])) == (frame + 1, o["id"] + 1)
        assert [float(v) for v in m[2:6]] == pytest.approx(sides(o["box"]), abs=0.03)
    assert len({(m[0], m[1]) for m in mot}) == len(mot), "an id comes once in a frame"
    assert call(*words).code == 0
    assert not (place / "o/detections_mot.txt").exists(), "of the time before"
    assert "id" not in (place / "o/detections.jsonl").read_text()


def sides(box: list[float]) -> list[float]:
    """Left, top, width, height of a box x1, y1, x2, y2."""
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def test_untracked_boxes_are_all_in_the_mot_file_with_the_id_of_detections(
    call: Any, pictures: Path, detector_file: Path, place: Path
) -> None:
    ended = call("detect", pictures, "--model", detector_file, "--engine", "onnxruntime",
                 "--out", "o", "--format", "mot")  # fmt: skip
    assert ended.code == 0, ended.err
    lines = [json.loads(x) for x in (place / "o/detections.jsonl").read_text().splitlines()]
    mot = [x.split(",") for x in (place / "o/detections_mot.txt").read_text().splitlines()]
    assert len(mot) == sum(len(line["objects"]) for line in lines) > 0
    assert {m[1] for m in mot} == {"-1"}


def test_thresholds_and_suppression_are_the_users(
    call: Any, picture: Path, detector_file: Path, place: Path
) -> None:
    def found(*words: str) -> list[dict[str, Any]]:
        ended = call("detect", picture, "--model", detector_file, "--engine", "onnxruntime", *words)
        assert ended.code == 0, ended.err
        objects: list[dict[str, Any]] = json.loads((place / "scene_detections.jsonl").read_text())[
            "objects"
        ]
        return objects

    plain = found()
    assert found("--score", "0.8") == [o for o in plain if o["score"] > 0.8]
    strict = ("--score", "0.2", "--iou", "0.1")

    def overlapping(objects: list[dict[str, Any]]) -> set[bool]:
        """Whether pairs of boxes that overlap by more than the threshold are of one class."""
        boxes = np.array([o["box"] for o in objects])
        low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
        common = np.clip(high - low, 0, None).prod(2)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        over = common > 0.15 * (area[:, None] + area[None] - common)
        pairs = np.argwhere(np.triu(over, 1))
        return {objects[i]["class"] == objects[j]["class"] for i, j in pairs}

    # boxes are clipped to the picture after suppression, hence 0.1 and 0.15
    inside = [o for o in found(*strict) if min(o["box"][:2]) > 0]
    assert overlapping(inside) <= {False}
    assert overlapping(found("--score", "0.2")) == {False, True}
    every = [o for o in found(*strict, "--suppression", "all") if min(o["box"][:2]) > 0]
    assert overlapping(every) == set()
    soft = found("--suppression", "soft")
    assert soft[0] == plain[0]
    assert all(a["score"] >= b["score"] > 0.3 for a, b in pairwise(soft))
    for option in ("--score", "--iou"):
        ended = call("detect", picture, "--model", detector_file, option, "nan")
        assert ended.code == 2
        assert "nan is not a number" in ended.err
    ended = call("detect", picture, "--model", detector_file, "--score", "2")
    assert ended.code == 2
    assert "--score" in ended.err


@pytest.mark.parametrize(
    ("verb", "name"),
    [("segment", "labels.png"), ("detect", "detections.jsonl"), ("detect", "detections_mot.txt")],
)
def test_a_file_beside_a_picture_that_no_job_wrote_stays(
    verb: str,
    name: str,
    call: Any,
    segmenter_file: Path,
    detector_file: Path,
    place: Path,
) -> None:
    PIL.Image.new("RGB", (128, 96), (90, 90, 90)).save(place / "one.png")
    model = ("--model", segmenter_file if verb == "segment" else detector_file)
    (place / f"one_{name}").write_text("hours of work")
    ended = call(verb, "one.png", *model)
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert f"one_{name} is there, and no {verb} wrote it; choose another folder" in ended.err
    assert (place / f"one_{name}").read_text() == "hours of work"
    (place / f"one_{name}").unlink()
    for _ in range(2):  # its own may be replaced
        assert call(verb, "one.png", *model).code == 0


def test_detect_of_one_picture_names_its_files_after_it(
    call: Any, picture: Path, detector_file: Path, place: Path
) -> None:
    ended = call("detect", picture, "--model", detector_file, "--engine", "onnxruntime")
    assert ended.code == 0, ended.err
    assert (place / "scene_detections.jsonl").exists()
    assert (place / "scene_overlay.png").exists()


def test_ctrl_c_leaves_whole_files(pictures: Path, segmenter_file: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int | None) -> None:
        assert total == 3
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annotate.segment_source(
            pictures, tmp_path / "o", model=segmenter_file, engine="onnxruntime", on_frame=stop
        )
    summary = json.loads((tmp_path / "o/summary.json").read_text())
    assert (summary["frames"], summary["complete"]) == (2, False)
    with open_source(tmp_path / "o/overlay.mp4") as video:
        assert len(list(video)) == 2
    assert len(list((tmp_path / "o/labels").iterdir())) == 2


def test_the_home_folder_is_meant_by_a_tilde(
    pictures: Path, segmenter_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes((pictures / "p0.png").read_bytes())
    options = {"model": segmenter_file, "engine": "onnxruntime"}
    annotate.segment_source("~/a.png", "~/found", **options)
    assert (tmp_path / "found/a_labels.png").is_file()
    annotate.segment_source(pictures, "~/all", **options)
    assert (tmp_path / "all/overlay.mp4").is_file()
    with pytest.raises(OutputError, match="is a result in"):
        annotate.segment_source("~/all/overlay.mp4", tmp_path / "all", **options)
    assert (tmp_path / "all/overlay.mp4").is_file()
    assert not Path("~").exists()


class Camera(Source):
    """Gives a frame every two milliseconds, without waiting for anybody."""

    live = True

    def __init__(self) -> None:
        super().__init__("camera", None)
        self.newest = -1
        self._picture = np.zeros((96, 128, 3), np.uint8)
        self._describe(Frame(0, 0.0, self._picture), None, 500.0)

    def _frames(self) -> Iterator[Frame]:
        for index in range(200):
            time.sleep(0.002)
            self.newest = index
            yield Frame(index, index / 500, self._picture)


def test_of_a_camera_the_newest_frame_is_taken(
    segmenter_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera = Camera()
    monkeypatch.setattr(annotate, "open_source", lambda *_, **__: camera)
    asked = []

    def wait(done: int, total: int | None) -> None:
        end = camera.newest + 10
        while camera.newest < min(end, 199):
            time.sleep(0.001)
        asked.append(camera.newest)

    annotate.segment_source(
        "camera:0", tmp_path / "o", model=segmenter_file, engine="onnxruntime", on_frame=wait
    )
    lines = (tmp_path / "o/labels.jsonl").read_text().splitlines()
    taken = [json.loads(line)["frame"] for line in lines]
    assert len(taken) > 3
    for newest, frame in zip(asked, taken[1:], strict=False):
        assert frame >= newest - 1  # the newest may be on its way into the queue


def test_a_video_keeps_its_times_in_the_overlay(
    call: Any, segmenter_file: Path, place: Path
) -> None:
    with VideoWriter(place / "in.mp4", 128, 96, rate=10) as video:
        for moment in (0.0, 0.1, 0.35):
            video.write(np.full((96, 128, 3), 90, np.uint8), moment)
    ended = call("segment", place / "in.mp4", "--model", segmenter_file, "--engine", "onnxruntime")
    assert ended.code == 0, ended.err
    with open_source(place / "in_segment/overlay.mp4") as overlay:
        times = [frame.time for frame in overlay]
    np.testing.assert_allclose(np.subtract(times, times[0]), [0.0, 0.1, 0.35], atol=1e-4)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("segment", "absent.png"), "absent.png"),
        (("segment", "empty"), "no pictures"),
        (("segment", "text.mp4"), "text.mp4"),
    ],
)
def test_a_source_that_cannot_be_read_is_one_line(
    words: tuple[str, ...], said: str, call: Any, place: Path, segmenter_file: Path
) -> None:
    (place / "empty").mkdir()
    (place / "text.mp4").write_text("not a video\n")
    ended = call(*words, "--model", segmenter_file, "--engine", "onnxruntime")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert said in ended.err


def test_a_bundle_of_another_task_or_without_metadata_is_one_line(
    call: Any, picture: Path, detector_file: Path, place: Path, tiny: Any
) -> None:
    (place / "bare.onnx").write_bytes(tiny.segmentation_model())
    damaged = bytearray(detector_file.read_bytes())
    damaged[len(damaged) // 3] ^= 1
    (place / "damaged.onnx").write_bytes(damaged)
    for model, said in (
        (detector_file, "detection, not segmentation"),
        ("bare.onnx", "no litescene metadata"),
        ("damaged.onnx", "damaged.onnx"),
        ("absent.onnx", "absent.onnx"),
        ("pp_litesg", "there is no shipped model"),
    ):
        ended = call("segment", picture, "--model", model)
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert said in ended.err


def test_results_that_cannot_be_written_are_one_line(
    call: Any, picture: Path, segmenter_file: Path, place: Path
) -> None:
    (place / "file").write_text("in the way")
    ended = call("segment", picture, "--model", segmenter_file, "--out", "file/inside",
                 "--engine", "onnxruntime")  # fmt: skip
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "cannot write" in ended.err


def test_a_picture_of_any_mode_is_accepted(call: Any, segmenter_file: Path, place: Path) -> None:
    grey = PIL.Image.fromarray(np.arange(96 * 128, dtype=np.uint16).reshape(96, 128))
    grey.save(place / "grey.png")
    ended = call("segment", "grey.png", "--model", segmenter_file, "--engine", "onnxruntime")
    assert ended.code == 0, ended.err
