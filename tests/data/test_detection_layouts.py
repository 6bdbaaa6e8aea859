"""Layouts in which published boxes lie, and pictures that are not what a line expects."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import STREET_OBJECTS, DataError
from litescene.core.errors import AbsentSplitError
from litescene.data.detection import open_detection
from litescene.media.pictures import read_picture


def picture(path: Path, orientation: int = 1) -> Path:
    """A picture that is stored 40 pixels wide and 30 high."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = PIL.Image.fromarray(np.full((30, 40, 3), 90, np.uint8))
    exif = stored.getexif()
    exif[0x0112] = orientation
    stored.save(path, exif=exif)
    return path


def official_annotations(root: Path) -> None:
    """The nine files of the published folder's kind: boxes, captions and key points."""
    (root / "annotations").mkdir(parents=True)
    for split in ("train2017", "val2017"):
        plain = {
            "images": [{"id": 1, "file_name": f"{split}.jpg"}],
            "categories": [{"id": 1, "name": "car"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        }
        for kind, content in (
            ("instances", plain),
            ("captions", {"images": []}),
            ("person_keypoints", {"images": []}),
        ):
            (root / "annotations" / f"{kind}_{split}.json").write_text(json.dumps(content))


@pytest.mark.parametrize("pictures", ["{split}", "images/{split}", "images", "."])
def test_the_official_coco_folder_opens_wherever_its_pictures_lie(
    tmp_path: Path, pictures: str
) -> None:
    official_annotations(tmp_path)
    for split in ("train2017", "val2017"):
        picture(tmp_path / pictures.format(split=split) / f"{split}.jpg")
    for split in ("train", "val"):
        (sample,) = open_detection(f"coco:{tmp_path}", split).samples
        assert sample.picture.name == f"{split}2017.jpg"
        np.testing.assert_array_equal(sample.boxes, [[1, 2, 4, 6]])


def test_a_coco_file_may_lie_with_its_pictures_in_a_folder_per_split(tmp_path: Path) -> None:
    for folder in ("train", "valid"):
        picture(tmp_path / folder / f"{folder}.jpg")
        plain = {
            "images": [{"id": 0, "file_name": f"{folder}.jpg"}],
            "categories": [{"id": 0, "name": "cells"}, {"id": 1, "name": "red"}],
            "annotations": [{"id": 0, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        }
        (tmp_path / folder / "_annotations.coco.json").write_text(json.dumps(plain))
    for split, folder in (("train", "train"), ("val", "valid")):
        (sample,) = open_detection(f"coco:{tmp_path}", split).samples
        assert sample.picture == tmp_path / folder / f"{folder}.jpg"
        np.testing.assert_array_equal(sample.boxes, [[1, 2, 4, 6]])
    with pytest.raises(AbsentSplitError, match=r"one JSON file for split 'test' .*, found none"):
        open_detection(f"coco:{tmp_path}", "test")


def test_boxes_of_a_table_stay_with_a_picture_of_another_ending(tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "sub/c.jpg"):
        picture(tmp_path / "images" / name)
    lines = ["image,xmin,ymin,xmax,ymax", "a.jpg,1,2,3,4", "./a.png,5,6,7,8", "sub/c.jpg,1,1,2,2"]
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    data = open_detection(f"boxcsv:{tmp_path}", "all", STREET_OBJECTS)
    found = {s.picture.name: s.boxes.tolist() for s in data.samples}
    assert found == {"a.png": [[1, 2, 3, 4], [5, 6, 7, 8]], "b.jpg": [], "c.jpg": [[1, 1, 2, 2]]}


@pytest.mark.parametrize("text", ["image,xmin,ymin,xmax,ymax\n", "image,xmin,ymin,xmax,ymax\na"])
def test_a_box_table_without_a_folder_of_pictures_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(DataError, match="expected the pictures in a folder"):
        open_detection(f"boxcsv:{tmp_path}", "all")


@pytest.mark.parametrize(("orientation", "size"), [(1, (40, 30)), (3, (40, 30)), (6, (30, 40))])
def test_yolo_shares_are_of_the_upright_picture(
    tmp_path: Path, orientation: int, size: tuple[int, int]
) -> None:
    stored = picture(tmp_path / "images" / "a.jpg", orientation)
    assert read_picture(stored).shape[1::-1] == size
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 1 1\n")
    (sample,) = open_detection(f"yolo:{tmp_path}", "all").samples
    np.testing.assert_allclose(sample.boxes, [[0, 0, *size]], atol=1e-5)


def test_a_yolo_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for folder, name in (("images", "a.jpg"), ("labels", "a.txt")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("0 0.5 0.5 1 1\n")
    with pytest.raises(DataError, match=r"a\.jpg: cannot be read as a picture"):
        open_detection(f"yolo:{tmp_path}", "all")
