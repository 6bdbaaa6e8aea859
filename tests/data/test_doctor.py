"""The check of a data set tells what is missing from what is damaged, and always reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import DataError
from litescene.data.doctor import check_data


def camvid(root: Path, *splits: str) -> Path:
    for split in splits:
        for folder, values in ((split, np.zeros((8, 6, 3))), (f"{split}annot", np.ones((8, 6)))):
            (root / folder).mkdir(parents=True)
            PIL.Image.fromarray(values.astype(np.uint8)).save(root / folder / "a.png")
    return root


def voc(root: Path, text: str) -> Path:
    (root / "Annotations").mkdir(parents=True)
    (root / "JPEGImages").mkdir()
    PIL.Image.fromarray(np.zeros((8, 6, 3), np.uint8)).save(root / "JPEGImages" / "a.jpg")
    (root / "Annotations" / "a.xml").write_text(text)
    return root


def test_a_split_that_a_copy_lacks_is_absent_and_no_problem(tmp_path: Path) -> None:
    report = check_data(f"camvid:{camvid(tmp_path, 'train', 'val')}")
    assert [s.split for s in report.splits] == ["train", "val"]
    assert set(report.absent) == {"test"}
    assert report.sound
    json.dumps(report.to_dict())


def test_a_split_without_its_labels_is_malformed(tmp_path: Path) -> None:
    root = camvid(tmp_path, "train", "val")
    (root / "valannot" / "a.png").unlink()
    report = check_data(f"camvid:{root}")
    assert [s.split for s in report.splits] == ["train"]
    assert "has no labels" in report.malformed["val"]
    assert not report.sound
    assert report.to_dict()["malformed"] == report.malformed


def test_a_set_without_splits_is_read_as_a_whole(tmp_path: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>5</ymax></bndbox>"
    text = f"<annotation><object><name>dog</name>{box}</object></annotation>"
    report = check_data(f"voc:{voc(tmp_path, text)}")
    assert [(s.split, s.classes) for s in report.splits] == [("all", {"dog": 1})]
    assert set(report.absent) == {"train", "val"}
    assert report.sound


@pytest.mark.parametrize("text", ["<annotation><object>", "<annotation><object/></annotation>"])
def test_damaged_annotations_end_in_a_report(tmp_path: Path, text: str) -> None:
    report = check_data(f"voc:{voc(tmp_path, text)}")
    assert report.splits == []
    assert "a.xml" in report.malformed["train"]
    assert not report.sound


def test_label_pictures_that_cannot_be_read_end_in_a_report(tmp_path: Path) -> None:
    root = camvid(tmp_path, "train", "val")
    (root / "trainannot" / "a.png").write_bytes(b"no picture")
    report = check_data(f"camvid-boxes:{root}")
    assert "a.png" in report.malformed["train"]
    assert [s.split for s in report.splits] == ["val"]


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; give the right path"):
        check_data(f"camvid:{tmp_path / 'nothing'}")
