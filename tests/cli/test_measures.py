"""`evaluate`, `trajectory`, `doctor` and `models`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import litescene
from litescene.core import CAMVID, Contract, Trajectory
from litescene.core.trained import BRIEF, COMMON, SHORT
from litescene.media.trajectory_files import write_tum
from litescene.models import list_models
from litescene.runtime import write_metadata
from litescene.runtime.catalog import shipped
from litescene.runtime.machine import inspect_machine

CLASSES = len(CAMVID)


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Two pictures in CamVid's layout; the lower half of the truth is void (11)."""
    root = tmp_path / "camvid"
    (root / "val").mkdir(parents=True)
    (root / "valannot").mkdir()
    rng = np.random.default_rng(3)
    for index in range(2):
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        PIL.Image.fromarray(small.repeat(16, 0).repeat(16, 1)).save(root / f"val/{index}.png")
        labels = rng.integers(0, CLASSES, (6, 8), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        labels[48:] = 11
        PIL.Image.fromarray(labels).save(root / f"valannot/{index}.png")
    return root


@pytest.fixture
def camvid_bundle(tiny: Any, tmp_path: Path) -> Path:
    contract = Contract("segmentation", "tiny", CAMVID, (96, 128), "upsample_argmax")
    path = tmp_path / "camvid.onnx"
    path.write_bytes(write_metadata(tiny.segmentation_model(CLASSES), contract))
    return path


def test_evaluate_counts_the_pixels_of_the_data_set(
    call: Any, camvid: Path, camvid_bundle: Path, place: Path
) -> None:
    ended = call("evaluate", camvid_bundle, "--data", f"camvid:{camvid}", "--engine",
                 "onnxruntime", "--json", "result.json")  # fmt: skip
    assert ended.code == 0, ended.err
    record = json.loads((place / "result.json").read_text())
    segmenter = litescene.load(camvid_bundle, "onnxruntime")
    found, truth = [], []
    for index in range(2):
        found.append(segmenter(camvid / f"val/{index}.png").labels[:48].ravel())
        truth.append(np.array(PIL.Image.open(camvid / f"valannot/{index}.png"))[:48].ravel())
    a, b = np.concatenate(found), np.concatenate(truth)
    ious = [((a == c) & (b == c)).sum() / ((a == c) | (b == c)).sum() for c in range(CLASSES)]
    assert record["metrics"]["mean_iou"] == pytest.approx(np.mean(ious), abs=1e-12)
    assert record["metrics"]["pixels"] == a.size
    assert record["engine"] == "onnxruntime"
    assert {"date", "commit", "processor", "packages"} <= set(record)
    assert "mean IoU" in ended.out


def test_evaluate_refuses_data_with_other_classes(
    call: Any, camvid: Path, segmenter_file: Path
) -> None:
    ended = call("evaluate", segmenter_file, "--data", f"camvid:{camvid}", "--engine",
                 "onnxruntime")  # fmt: skip
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "camvid11" in ended.err


def test_evaluate_finds_the_boxes_that_a_detector_finds(
    call: Any, detector_file: Path, place: Path
) -> None:
    """Boxes that the detector itself gives with a high score are all found again: AP50 is high."""
    (place / "set/images").mkdir(parents=True)
    (place / "set/labels").mkdir()
    detector = litescene.load(detector_file, "onnxruntime")
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = np.ascontiguousarray(small.repeat(16, 0).repeat(16, 1))
    PIL.Image.fromarray(image).save(place / "set/images/a.png")
    found = detector(image)
    assert len(found) > 0
    lines = []
    for (x1, y1, x2, y2), c in zip(found.boxes[:1].astype(float), found.classes, strict=False):
        cx, cy, w, h = (x1 + x2) / 256, (y1 + y2) / 192, (x2 - x1) / 128, (y2 - y1) / 96
        lines.append(f"{c} {cx:.6f} {cy:.6f} {w:.6f} {h:.6f}")
    (place / "set/labels/a.txt").write_text("\n".join(lines))
    (place / "set/data.yaml").write_text("names: [class0, class1]\n")
    ended = call("evaluate", detector_file, "--data", "yolo:set", "--split", "all", "--engine",
                 "onnxruntime", "--json", "r.json")  # fmt: skip
    assert ended.code == 0, ended.err
    metrics = json.loads((place / "r.json").read_text())["metrics"]
    assert (metrics["pictures"], metrics["boxes"]) == (1, 1)
    assert metrics["ap50"] == pytest.approx(1.0)


def test_an_unknown_format_is_one_line_with_the_known_ones(call: Any, segmenter_file: Path) -> None:
    ended = call("evaluate", segmenter_file, "--data", "camvd:x")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "cityscapes" in ended.err


def circle(count: int, scale: float = 1.0) -> Trajectory:
    angle = np.linspace(0, 2, count)
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3], poses[:, 1, 3] = scale * np.cos(angle), scale * np.sin(angle)
    return Trajectory(np.arange(count) / 10, poses, "metric")


def test_trajectory_recovers_the_scale_and_writes_json(call: Any, place: Path) -> None:
    write_tum(place / "truth.txt", circle(30))
    write_tum(place / "estimate.txt", circle(30, 0.25))
    ended = call("trajectory", "estimate.txt", "truth.txt", "--align", "sim3", "--json", "s.json")
    assert ended.code == 0, ended.err
    scores = json.loads((place / "s.json").read_text())
    assert scores["scale"] == pytest.approx(4.0, rel=1e-6)
    assert scores["ate"]["rmse"] < 1e-6
    ended = call("trajectory", "estimate.txt", "truth.txt", "--align", "none", "--json", "s.json")
    assert json.loads((place / "s.json").read_text())["ate"]["rmse"] == pytest.approx(0.75)


def test_a_run_that_never_saw_the_camera_move_has_no_trajectory_to_measure(
    call: Any, place: Path
) -> None:
    truth = Trajectory(np.arange(4.0), np.tile(np.eye(4), (4, 1, 1)), "metric")
    write_tum(place / "truth.txt", truth)
    write_tum(place / "none.txt", Trajectory(truth.times[:0], truth.poses[:0], "arbitrary"))
    ended = call("trajectory", "none.txt", "truth.txt")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "none.txt holds no poses; a run writes none when" in ended.err


def test_a_trajectory_that_cannot_be_read_is_one_line(call: Any, place: Path) -> None:
    (place / "bad.txt").write_text("0 1 2\n")
    write_tum(place / "truth.txt", circle(5))
    for name in ("bad.txt", "absent.txt"):
        ended = call("trajectory", name, "truth.txt")
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert name in ended.err


def test_doctor_counts_pixels_per_class_and_names_unreadable_files(call: Any, camvid: Path) -> None:
    (camvid / "val/2.png").write_bytes(b"broken")
    PIL.Image.fromarray(np.zeros((96, 128), np.uint8)).save(camvid / "valannot/2.png")
    ended = call("doctor", "--data", f"camvid:{camvid}", "--json")
    assert ended.code == 2
    report = json.loads(ended.out)
    (split,) = report["data"]["splits"]
    truth = [np.array(PIL.Image.open(camvid / f"valannot/{i}.png")) for i in range(2)]
    assert split["classes"]["road"] == sum(int((t == 3).sum()) for t in truth)
    assert split["void"] == 2 * 48 * 128
    assert split["sizes"] == {"128×96": 2}
    assert "2.png" in split["unreadable"][0]
    assert set(report["data"]["absent"]) == {"train", "test"}
    assert report["ok"] is False


def test_doctor_counts_boxes_per_class(call: Any, place: Path) -> None:
    (place / "set/images").mkdir(parents=True)
    (place / "set/labels").mkdir()
    PIL.Image.fromarray(np.zeros((96, 128, 3), np.uint8)).save(place / "set/images/a.png")
    (place / "set/labels/a.txt").write_text("0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n1 .3 .3 .1 .1\n")
    (place / "set/data.yaml").write_text("names: [cat, dog]\n")
    ended = call("doctor", "--data", "yolo:set", "--json")
    (split,) = json.loads(ended.out)["data"]["splits"]
    assert split["classes"] == {"cat": 1, "dog": 2}


def test_doctor_of_a_set_without_one_usable_box_says_what_is_wrong(call: Any, place: Path) -> None:
    (place / "set/images").mkdir(parents=True)
    PIL.Image.fromarray(np.zeros((96, 128, 3), np.uint8)).save(place / "set/images/a.png")
    (place / "set/boxes.csv").write_text("image,xmin,ymin,xmax,ymax,class\na.png,1,x,3,4,cat\n")
    ended = call("doctor", "--data", "boxcsv:set")
    assert ended.code == 2
    assert "no usable box of any class" in ended.out
    assert "boxes.csv, line 2: expected a number of pixels, not 'x'" in ended.out


def packaged(folder: Path, name: str, data: bytes, digest: str) -> None:
    entry = {"file": f"{name}.onnx", "sha256": digest, "task": "segmentation"}
    (folder / f"{name}.onnx").write_bytes(data)
    (folder / "index.json").write_text(json.dumps({name: entry}))


def test_the_machine_check_verifies_shipped_bundles(segmenter_file: Path, tmp_path: Path) -> None:
    data = segmenter_file.read_bytes()
    packaged(tmp_path, "good", data, hashlib.sha256(data).hexdigest())
    states = {c.name: c.state for c in inspect_machine(tmp_path)}
    assert states["bundle good"] == "ok"
    assert states["python"] == "ok"
    packaged(tmp_path, "bad", data, "0" * 64)
    assert {c.name: c.state for c in inspect_machine(tmp_path)}["bundle bad"] == "problem"


def test_a_cache_folder_that_cannot_be_written_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path / "file" / "cache"))
    checks = {c.name: c for c in inspect_machine()}
    assert checks["cache"].state == "note"


def test_models_lists_what_ships_and_what_can_be_trained(call: Any) -> None:
    listed = json.loads(call("models", "--json").out)
    assert {entry["name"] for entry in listed["shipped"]} == set(shipped())
    assert {"pp_liteseg_t", "pp_liteseg_b"} <= {entry["name"] for entry in listed["networks"]}
    only = json.loads(call("models", "--task", "detection", "--json").out)
    assert {entry["task"] for entry in only["networks"]} == {"detection"}
    assert "pp_liteseg_t" in call("models").out


def test_models_shows_what_training_reached(call: Any, place: Path) -> None:
    (place / "results/segmentation").mkdir(parents=True)
    runs = [{"protocol": COMMON, "mean_iou": 0.615}, {"protocol": "long", "mean_iou": 0.7}]
    text = json.dumps({"name": "pp_liteseg_b", "runs": runs})
    (place / "results/segmentation/pp_liteseg_b.json").write_text(text)
    words = ("models", "--task", "segmentation", "--results", "results")
    (line,) = [x for x in call(*words).out.splitlines() if x.startswith("pp_liteseg_b")]
    assert line.split()[1:4] == ["0.615", "-", "0.700"]
    listed = {e["name"]: e["trained"] for e in json.loads(call(*words, "--json").out)["networks"]}
    assert listed["pp_liteseg_b"] == {COMMON: 0.615, "long": 0.7}
    assert listed["pp_liteseg_t"] == {}
    for name, protocols in (("enet", {BRIEF: 0.4}), ("cgnet", {BRIEF: 0.4, SHORT: 0.5})):
        plain = [{"protocol": p, "mean_iou": v} for p, v in protocols.items()]
        text = json.dumps({"name": name, "runs": plain})
        (place / f"results/segmentation/{name}.json").write_text(text)
    cells = {line.split()[0]: line.split() for line in call(*words).out.splitlines() if line}
    assert [cells[name][2] for name in ("enet", "cgnet")] == ["0.400*", "0.500"]


def test_models_names_every_network_in_lines_that_fit_a_terminal(call: Any) -> None:
    lines = call("models", "--task", "segmentation").out.splitlines()
    assert {line.split()[0] for line in lines if line} >= set(list_models(task="segmentation"))
    assert max(map(len, lines)) <= 110


@pytest.mark.parametrize(
    ("name", "parameters"), [("yolov5_lite_s", "1,649,853"), ("fast_scnn", "1,137,019")]
)
def test_models_counts_networks_with_training_heads_and_without(
    call: Any, name: str, parameters: str
) -> None:
    ended = call("models", "--layers", name)
    assert ended.code == 0, ended.err
    assert f"{parameters} parameters" in ended.out


def test_models_counts_the_layers_of_a_network(call: Any) -> None:
    counts = json.loads(call("models", "--layers", "pp_liteseg_t", "--json").out)
    assert counts["macs"] == sum(layer["macs"] for layer in counts["layers"])
    assert f"{counts['macs']:,} MACs" in call("models", "--layers", "pp_liteseg_t").out
    ended = call("models", "--layers", "pp_litseg_t")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
