"""The check of a data set tells what is missing from what is damaged, and always reports."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import DataError
from litescene.data.doctor import check_data
from litescene.data.doctor_page import SHOWN, Gallery, render_page


def camvid(root: Path, *splits: str) -> Path:
    for split in splits:
        own = np.full((8, 6, 3), len(split))
        for folder, values in ((split, own), (f"{split}annot", np.ones((8, 6)))):
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


def test_every_picture_without_labels_is_named_and_the_others_are_counted(tmp_path: Path) -> None:
    root = camvid(tmp_path, "train", "val")
    for name in ("b.png", "c.png"):
        (root / "val" / name).write_bytes((root / "val" / "a.png").read_bytes())
    report = check_data(f"camvid:{root}")
    train, val = report.splits
    assert [problem.split(" has no labels")[0] for problem in val.unreadable] == [
        str(root / "val" / name) for name in ("b.png", "c.png")
    ]
    assert train.unreadable == []
    assert val.classes == train.classes
    assert sum(val.classes.values()) > 0
    assert not report.sound


def test_a_set_without_splits_is_read_as_a_whole(tmp_path: Path) -> None:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>4</xmax><ymax>5</ymax></bndbox>"
    text = f"<annotation><object><name>dog</name>{box}</object></annotation>"
    report = check_data(f"voc:{voc(tmp_path, text)}")
    # The name of its one picture says in which split that is; the other has none, as has test.
    assert [(s.split, s.classes) for s in report.splits] == [("train", {"dog": 1})]
    assert set(report.absent) == {"val", "test"}
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


def yolo(root: Path, **labels: str) -> Path:
    """A picture of its own for every name, `SPLIT_NAME`, with this label text."""
    for index, (name, text) in enumerate(labels.items()):
        split, stem = name.split("_")
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        pixels = np.full((20, 40, 3), 10 * index, np.uint8)
        PIL.Image.fromarray(pixels).save(root / "images" / split / f"{stem}.png")
        (root / "labels" / split / f"{stem}.txt").write_text(text)
    (root / "data.yaml").write_text("names: [cat, dog]\n")
    return root


def test_every_wrong_box_is_found_and_the_rest_is_still_counted(tmp_path: Path) -> None:
    root = yolo(
        tmp_path,
        train_good="0 0.5 0.5 0.2 0.2\n",
        train_class="7 0.5 0.5 0.2 0.2\n",
        train_word="0 0.5 half 0.2 0.2\n",
        train_few="0 0.5 0.5\n",
        train_flat="1 0.5 0.5 0.0 0.2\n0 0.2 0.2 0.1 0.1\n",
        train_outside="1 0.95 0.5 0.5 0.2\n",
        train_twice="0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.201 0.2\n",
        val_one="0 0.5 0.5 0.2 0.2\n",
    )
    report = check_data(f"yolo:{root}")
    train, val = report.splits
    assert not report.sound
    assert train.classes == {"cat": 4, "dog": 2}
    assert val.classes == {"cat": 1, "dog": 0}
    unknown, few, word = train.unreadable
    assert "class.txt, line 1: expected a class (0 to 1), not 7" in unknown
    assert "few.txt, line 1: expected 5 columns" in few
    assert "word.txt, line 1: expected 'class cx cy w h' as shares of 1, not 'half'" in word
    flat, outside, twice = train.notes
    assert "flat.txt, line 1: the box (20, 8, 20, 12)" in flat
    assert "has no area and is left out" in flat
    assert "outside.png: dog (28, 8, 48, 12) reaches out of the picture, which is 40×20" in outside
    assert "twice.png: cat is there twice, boxes 1 and 3" in twice
    json.dumps(report.to_dict())


def test_every_wrong_line_of_a_file_is_found(tmp_path: Path) -> None:
    good = "0 .5 .5 .2 .2\n"
    lines = f"7 .5 .5 .2 .2\n{good}0 .5 .5\n\n{good}1 .5 half .2 .2\n1 .5 .5 -.2 .2"
    (split,) = check_data(f"yolo:{yolo(tmp_path, train_a=lines)}").splits
    assert split.classes == {"cat": 2, "dog": 0}
    said = [one.partition("a.txt")[2] for one in split.unreadable]
    assert [one[:27] for one in said] == [
        ", line 1: expected a class ",
        ", line 3: expected 5 column",
        ", line 6: expected 'class c",
        ", line 7: coordinates are s",
    ]


def test_every_wrong_object_of_a_voc_file_is_found(tmp_path: Path) -> None:
    def thing(name: str, x1: str) -> str:
        box = f"<bndbox><xmin>{x1}</xmin><ymin>1</ymin><xmax>4</xmax><ymax>5</ymax></bndbox>"
        return f"<object><name>{name}</name>{box}</object>"

    objects = (
        thing("dog", "1"),
        thing("", "1"),
        thing("cat", "one"),
        thing("dog", "2"),
        thing("dog", "9"),
        thing("dog", "5"),
    )
    root = voc(tmp_path, f"<annotation>{''.join(objects)}</annotation>")
    (split,) = check_data(f"voc:{root}").splits
    assert split.classes == {"dog": 2}
    nameless, worded, turned, other = split.unreadable
    assert "a.xml, object 2: expected a <name>" in nameless
    assert "a.xml, object 3: expected a number in <xmin>, not 'one'" in worded
    assert "a.xml, object 5: the box is (9, 1, 4, 5); expected x1 < x2" in turned
    assert "a.xml, object 6: the box is (5, 1, 4, 5); expected x1 < x2" in other


def test_texts_without_a_picture_and_pictures_without_any_text_are_problems(
    tmp_path: Path,
) -> None:
    root = yolo(tmp_path, train_a="0 0.5 0.5 0.2 0.2\n", train_b="", val_c="")
    (root / "images" / "train" / "b.png").unlink()
    (root / "labels" / "train" / "sub").mkdir()
    (root / "labels" / "train" / "sub" / "d.txt").write_text("")
    (root / "labels" / "train" / "classes.txt").write_text("cat\ndog\n")  # of LabelImg
    (root / "labels" / "val" / "c.txt").unlink()
    report = check_data(f"yolo:{root}")
    train, val = report.splits
    lonely, deep = train.unreadable
    assert lonely == (
        f"{root / 'labels/train/b.txt'}: there is no picture {root / 'images/train/b.*'}; "
        "add it, or remove the text"
    )
    assert "sub/d.txt: there is no picture" in deep
    (none,) = val.unreadable
    assert none == (
        f"{root / 'labels/val'}: none of the 1 pictures has a text file; looked for "
        f"{root / 'labels/val/c.txt'} and its like"
    )
    assert not report.sound


def test_texts_beside_the_pictures_and_of_other_splits_are_no_problem(tmp_path: Path) -> None:
    root = yolo(tmp_path, train_a="0 0.5 0.5 0.2 0.2\n", train_b="")
    (root / "images" / "train").rename(root / "pool")
    for text in (root / "labels" / "train").iterdir():
        text.rename(root / "pool" / text.name)
    (root / "pool" / "readme.txt").write_text("mine")
    (root / "a.txt").write_text("pool/a.png\n")
    (root / "b.txt").write_text("pool/b.png\n")
    (root / "images").rmdir()
    (root / "data.yaml").write_text("names: [cat, dog]\ntrain: a.txt\nval: b.txt\n")
    report = check_data(f"yolo:{root}")
    assert [split.unreadable for split in report.splits] == [[], []]
    assert report.sound


def test_a_box_wholly_outside_of_its_picture_is_a_problem(tmp_path: Path) -> None:
    boxes = ([40, 5, 3, 3], [-9, 1, 9, 4], [39, 1, 9, 4], [1, 1, 2, 2], [1])
    coco = {
        "categories": [{"id": 1, "name": "cat"}],
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": box} for i, box in enumerate(boxes)
        ],
    }
    PIL.Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "instances_train.json").write_text(json.dumps(coco))
    report = check_data(f"coco:{tmp_path}")
    (split,) = report.splits
    bad, right, left = split.unreadable
    assert "instances_train.json, annotation 4: bbox is [1]" in bad
    assert "a.png: cat (40, 5, 43, 8) lies outside of the picture, which is 40×20" in right
    assert "a.png: cat (-9, 1, 0, 5) lies outside" in left
    (note,) = split.notes
    assert "a.png: cat (39, 1, 48, 5) reaches out of the picture" in note
    assert not report.sound


def test_odd_boxes_alone_are_no_problem(tmp_path: Path) -> None:
    root = yolo(tmp_path, train_a="1 .5 .5 0 .2\n1 .5 .5 .2 .2\n", val_b="0 .99 .5 .1 .2\n")
    report = check_data(f"yolo:{root}")
    assert [len(split.notes) for split in report.splits] == [1, 1]
    assert report.sound


def test_a_picture_that_is_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    root = yolo(tmp_path, train_a="", train_b="", val_c="")
    with PIL.Image.open(root / "images" / "train" / "b.png") as same:
        same.save(root / "images" / "val" / "other.bmp")  # another file of the same pixels
    report = check_data(f"yolo:{root}")
    assert report.leaks == ["other.bmp of val is the same picture as b.png of train"]
    assert not report.sound
    (root / "images" / "val" / "other.bmp").rename(root / "images" / "train" / "other.bmp")
    report = check_data(f"yolo:{root}")
    assert report.splits[0].notes[0] == "other.bmp is the same picture as b.png"
    assert report.sound


def test_a_missing_picture_of_a_list_is_found_by_its_line(tmp_path: Path) -> None:
    root = voc(tmp_path, "<annotation><object><name>a</name></object></annotation>")
    (root / "JPEGImages" / "a.jpg").unlink()
    coco = {
        "categories": [{"id": 1, "name": "cat"}],
        "images": [{"id": 1, "file_name": "gone.png"}, {"id": 2, "file_name": "there.png"}],
        "annotations": [
            {"id": 3, "image_id": 2, "category_id": 1, "bbox": [1, 1, 2, 2]},
            {"id": 4, "image_id": 9, "category_id": 1, "bbox": [1, 1, 2, 2]},
        ],
    }
    other = tmp_path / "coco"
    (other / "images").mkdir(parents=True)
    (other / "annotations").mkdir()
    PIL.Image.fromarray(np.zeros((8, 6, 3), np.uint8)).save(other / "images" / "there.png")
    (other / "annotations" / "instances_train.json").write_text(json.dumps(coco))
    (split,) = check_data(f"coco:{other}").splits
    assert split.classes == {"cat": 1}
    assert "annotation 4 names picture 9" in split.unreadable[0]
    assert "there is no picture" in split.unreadable[1]
    assert "gone.png" in split.unreadable[1]


def test_the_page_shows_pictures_with_their_boxes_and_what_is_wrong(tmp_path: Path) -> None:
    root = yolo(tmp_path, train_a="0 0.5 0.5 0.5 0.5\n", train_b="1 0.95 0.5 0.5 0.2\n",
                val_c="9 0.5 0.5 0.2 0.2\n", val_d="")  # fmt: skip
    gallery = Gallery()
    report = check_data(f"yolo:{root}", None, gallery)
    page = render_page(report, gallery)
    pictures = re.findall(r"src='data:image/jpeg;base64,([^']+)'", page)
    assert len(pictures) == 4
    with PIL.Image.open(io.BytesIO(base64.b64decode(pictures[0]))) as opened:
        shown = np.asarray(opened.convert("RGB")).astype(int)
    assert shown.shape == (20, 40, 3)
    assert np.ptp(shown[15], axis=-1).max() > 100  # the lower edge of the box has a colour
    assert np.ptp(shown[18], axis=-1).max() < 60
    for said in ("reaches out of the picture", "expected a class (0 to 1), not 9", "<td>dog"):
        assert said in page
    assert "<script" not in page


def test_the_page_is_proof_against_names_with_markup(tmp_path: Path) -> None:
    root = yolo(tmp_path, train_a="0 0.5 0.5 0.5 0.5\n")
    (root / "data.yaml").write_text("names: ['<b>cat</b>', dog]\n")
    gallery = Gallery()
    page = render_page(check_data(f"yolo:{root}", None, gallery), gallery)
    assert "<b>" not in page
    assert "&lt;b&gt;cat" in page


@pytest.mark.parametrize("total", [1, 5, 24, 25, 100, 1001])
def test_a_gallery_takes_evenly_spread_pictures(total: int) -> None:
    wanted = [i for i in range(total) if Gallery().wants(i, total)]
    assert len(wanted) == min(total, SHOWN)
    assert wanted[0] == 0
    gaps = np.diff([*wanted, total])
    assert gaps.max() - gaps.min() <= 1


def coco_file(folder: Path, names: tuple[str, ...]) -> Path:
    """A COCO file of these pictures, each with one box; the pictures are to be made."""
    (folder / "annotations").mkdir(parents=True)
    boxes = {"category_id": 1, "bbox": [1, 1, 2, 2]}
    file = folder / "annotations" / "instances_train.json"
    file.write_text(
        json.dumps(
            {
                "categories": [{"id": 1, "name": "cat"}],
                "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
                "annotations": [{"id": i, "image_id": i, **boxes} for i in range(len(names))],
            }
        )
    )
    return file


def test_a_coco_file_that_is_named_is_checked_once(tmp_path: Path) -> None:
    file = coco_file(tmp_path, ("a.png", "b.png"))
    for i, name in enumerate("ab"):
        image = PIL.Image.fromarray(np.full((8, 6, 3), i, np.uint8))
        image.save(tmp_path / f"{name}.png")
    report = check_data(f"coco:{file}")
    assert [(split.split, split.pictures) for split in report.splits] == [("all", 2)]
    assert report.sound


@pytest.mark.parametrize("first", ["gone.png", "images/train/b.png"])
def test_the_folder_of_a_coco_files_pictures_is_not_that_of_the_first_alone(
    tmp_path: Path, first: str
) -> None:
    names = ("b.png", "c.png", "d.png")
    coco_file(tmp_path, (first, *names[1:]))
    (tmp_path / "images" / "train").mkdir(parents=True)
    for i, name in enumerate(names):
        image = PIL.Image.fromarray(np.full((8, 6, 3), i, np.uint8))
        image.save(tmp_path / "images" / "train" / name)
    (split,) = check_data(f"coco:{tmp_path}").splits
    assert split.pictures == 2
    (missing,) = split.unreadable
    assert first in missing


def test_a_split_without_any_box_is_noted(tmp_path: Path) -> None:
    report = check_data(f"yolo:{yolo(tmp_path, train_a='', train_b='', val_c='0 .5 .5 .2 .2')}")
    assert [split.notes for split in report.splits] == [
        ["none of the 2 pictures has a box; training needs some"], []
    ]  # fmt: skip
