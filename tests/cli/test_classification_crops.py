"""`benchmarks/classification_crops.py`: where crops are cut, which are taken, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import classification_crops as crops
from classification_crops import Box, chosen, crop, kind_of
from litescene.data import open_classification
from litescene.media import read_picture
from real_data import DataSet


def box(kind: str, split: str, name: str, source: str = "road_signs", side: float = 40.0) -> Box:
    image = np.full((80, 100, 3), 90, np.uint8)
    return Box(source, split, kind, name, image, (10.0, 10.0, 10.0 + side, 25.0))


def test_a_crop_is_the_square_around_a_box_with_a_fifth_of_margin() -> None:
    rows, columns = np.mgrid[:100, :120]
    image = np.stack([columns, rows, 0 * rows], axis=2).astype(np.uint8)
    part = crop(image, (40.0, 30.0, 80.0, 50.0), 48)  # 48 = 1.2·40: nothing is resized
    np.testing.assert_array_equal(part, image[16:64, 36:84])


def test_outside_of_the_picture_its_border_is_repeated() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    part = crop(image, (0.0, 0.0, 20.0, 20.0), 24)
    np.testing.assert_array_equal(part, np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge"))


@pytest.mark.parametrize(
    ("source", "name", "kind"),
    [
        ("coco", "traffic light", "traffic_light"),
        ("coco", "bus", "truck_bus"),
        ("coco", "giraffe", "other_thing"),
        ("penn", "PASpersonWalking", "person"),
        ("camvid", "pedestrian", "person"),
        ("camvid", "bicyclist", "bicycle"),
        ("blood_cells", "RBC", "rbc"),
        ("road_signs", "speedlimit", "speed_limit"),
    ],
)
def test_one_class_has_one_name_whatever_its_source_calls_it(
    source: str, name: str, kind: str
) -> None:
    assert kind_of(source, name) == kind


def test_small_boxes_and_classes_go_and_large_ones_are_limited() -> None:
    boxes = [box("car", "train", f"a{i}") for i in range(300)]
    boxes += [box("car", "train", f"b{i}", source="camvid") for i in range(50)]
    boxes += [box("car", "val", f"c{i}") for i in range(12)]
    boxes += [box("car", "val", f"small{i}", side=15.0) for i in range(30)]
    boxes += [box("rare", "train", f"d{i}") for i in range(100)]
    boxes += [box("rare", "val", f"e{i}") for i in range(9)]
    kept = chosen(boxes)
    assert crops.counted(kept) == {
        "car": {"train": {"road_signs": 250, "camvid": 50}, "val": {"road_signs": 12}}
    }
    assert {b.name for b in chosen(boxes[::-1])} == {b.name for b in kept}


def test_the_set_is_written_as_it_is_described(tmp_path: Path) -> None:
    boxes = [box("car", "train", "1"), box("sign", "train", "2"), box("car", "val", "3")]
    boxes += [box("sign", "val", "4")]
    contents = crops.build(tmp_path / "set", boxes, 64)
    data = open_classification(f"imagefolder:{tmp_path / 'set'}", "train")
    assert data.counts() == {"car": 1, "sign": 1}
    assert contents["crops"] == {"train": 2, "val": 2}
    assert read_picture(tmp_path / "set/val/car/road_signs_3.png").shape == (64, 64, 3)
    assert crops.build(tmp_path / "again", boxes[::-1], 64)["digest"] == contents["digest"]


def test_a_folder_that_is_there_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        crops.main([str(tmp_path)])
    assert "is there already" in capsys.readouterr().err


def test_without_its_sources_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITESCENE_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit, match="2"):
        crops.main([str(tmp_path / "set")])
    assert "road_signs" in capsys.readouterr().err
    assert list(tmp_path.glob("set*")) == []


@pytest.mark.data
@pytest.mark.slow
def test_no_picture_has_crops_on_both_sides_of_the_split(
    data_set: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("LITESCENE_DATA", str(data_set("road_signs").parent))
    for source in crops.DETECTION:
        found = list(crops.annotated(source))
        sides = [{b.picture for b in found if b.split == split} for split in crops.SPLITS]
        assert all(sides), source
        assert not sides[0] & sides[1], source
    cars = list(crops.annotated("road_cars"))
    numbers = {s: {int(b.picture.stem.split("_")[-1]) for b in cars if b.split == s}
               for s in crops.SPLITS}  # fmt: skip
    assert max(numbers["train"]) < min(numbers["val"])
    out = tmp_path / "set"
    crops.main([str(out), "--without", "street", "--without", "camvid"])
    contents = json.loads((out / "contents.json").read_text())
    assert f"{len(contents['classes'])} classes" in capsys.readouterr().out
    for split in crops.SPLITS:
        counts = open_classification(f"imagefolder:{out}", split).counts()
        assert counts == {k: sum(by[split].values()) for k, by in contents["classes"].items()}
        assert sum(counts.values()) == contents["crops"][split]
