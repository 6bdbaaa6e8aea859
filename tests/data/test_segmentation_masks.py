"""Masks of classes of one's own: values, colours, lists of classes, splits, and what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import IGNORE, DataError
from litescene.core.errors import AbsentSplitError
from litescene.data import check_data
from litescene.data.segmentation import open_segmentation
from litescene.data.splitting import named_split

FLOOR, STAIRS, EDGE = (10, 20, 30), (200, 0, 0), (224, 224, 192)


def save(path: Path, pixels: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def save_palette(path: Path, places: object, colors: list[tuple[int, int, int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PIL.Image.fromarray(np.asarray(places, np.uint8))
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(colors)] = colors
    picture.putpalette(palette.ravel().tolist())
    picture.save(path)


def a_set(root: Path, classes: str, mask: object, listed: str = "classes.txt") -> Path:
    """One picture of 4×1 in train."""
    save(root / "images/train/a.jpg", np.full((1, 4, 3), 90))
    save(root / "masks/train/a.png", mask)
    (root / listed).write_text(classes)
    return root


def labels(root: Path) -> list[list[int]]:
    data = open_segmentation(f"masks:{root}", "train")
    return [list(map(int, row)) for row in data.load(0)[1]]


def test_values_are_the_places_of_the_classes_in_their_list(tmp_path: Path) -> None:
    root = a_set(tmp_path / "mine", "floor\n\nflight of stairs\nperson\n", [[0, 2, 1, 255]])
    assert labels(root) == [[0, 2, 1, IGNORE]]
    taxonomy = open_segmentation(f"masks:{root}", "train").taxonomy
    assert taxonomy.names == ("floor", "flight of stairs", "person")
    assert taxonomy.name == "mine"
    assert len(set(taxonomy.colors)) == 3


def test_a_value_that_is_no_class_is_ignored_and_the_others_move_up(tmp_path: Path) -> None:
    root = a_set(tmp_path, "- 0 0 0\nfloor 10 20 30\n- 9 9 9\nstairs 200 0 0\n", [[0, 1, 2, 3]])
    assert labels(root) == [[IGNORE, 0, IGNORE, 1]]
    taxonomy = open_segmentation(f"masks:{root}", "train").taxonomy
    assert taxonomy.names == ("floor", "stairs")
    assert taxonomy.colors == (FLOOR, STAIRS)


def test_lines_of_one_name_are_one_class(tmp_path: Path) -> None:
    classes = "person 1 1 1\nfloor 10 20 30\nperson 2 2 2\nfloor 3 3 3\nstairs 200 0 0\n"
    root = a_set(tmp_path, classes, [[3, 4, 2, 1]])
    assert labels(root) == [[1, 2, 0, 1]]
    taxonomy = open_segmentation(f"masks:{root}", "train").taxonomy
    assert taxonomy.names == ("person", "floor", "stairs")
    assert taxonomy.colors == ((1, 1, 1), FLOOR, STAIRS)
    save(root / "masks/train/a.png", [[(3, 3, 3), STAIRS, (1, 1, 1), (2, 2, 2)]])
    assert labels(root) == [[1, 2, 0, 0]]


def test_masks_may_have_the_colours_of_the_classes(tmp_path: Path) -> None:
    classes = "floor 10 20 30\nstairs 200 0 0\n- 224 224 192\n"
    root = a_set(tmp_path, classes, [[STAIRS, FLOOR, EDGE, STAIRS]])
    assert labels(root) == [[1, 0, IGNORE, 1]]


def test_a_palette_is_for_the_eye_beside_a_list_of_names(tmp_path: Path) -> None:
    root = a_set(tmp_path, "floor 10 20 30\nstairs 200 0 0\n", [[0, 0, 0, 0]])
    save_palette(root / "masks/train/a.png", [[1, 0, 255, 1]], [(0, 0, 0), (128, 0, 0)])
    assert labels(root) == [[1, 0, IGNORE, 1]]


def cvat(root: Path) -> Path:
    """The folders and the label map of CVAT's "segmentation mask 1.1"."""
    save(root / "JPEGImages/a.png", np.zeros((1, 4, 3)))
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nfloor:10,20,30::\nstairs:200,0,0::\n"
    )
    lists = root / "ImageSets/Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    return root


def test_an_export_of_cvat_is_read_as_it_is(tmp_path: Path) -> None:
    root = cvat(tmp_path)
    mask = root / "SegmentationClass/a.png"
    save(mask, [[STAIRS, FLOOR, (0, 0, 0), STAIRS]])
    assert labels(root) == [[2, 1, 0, 2]]
    save_palette(mask, [[1, 2, 0, 1]], [(0, 0, 0), STAIRS, FLOOR])
    assert labels(root) == [[2, 1, 0, 2]]
    save(mask, [[2, 1, 0, 2]])  # one channel: the lines of the label map
    assert labels(root) == [[2, 1, 0, 2]]
    taxonomy = open_segmentation(f"masks:{root}", "train").taxonomy
    assert taxonomy.names == ("background", "floor", "stairs")
    assert taxonomy.colors[1:] == (FLOOR, STAIRS)


def test_an_export_of_labelme_is_read_as_it_is(tmp_path: Path) -> None:
    for stem in ("a", "b", "c", "d", "e", "f"):
        save(tmp_path / f"JPEGImages/{stem}.jpg", np.zeros((1, 2, 3)))
        save_palette(
            tmp_path / f"SegmentationClass/{stem}.png", [[1, 255]], [(0, 0, 0), (128, 0, 0)]
        )
    (tmp_path / "class_names.txt").write_text("_background_\nchair\n")
    found = {s: open_segmentation(f"masks:{tmp_path}", s) for s in ("train", "val")}
    for split, data in found.items():
        names = [picture.name for picture, _ in data.pairs]
        assert names == [
            f"{s}.jpg" for s in "abcdef" if named_split("JPEGImages", f"{s}.jpg") == split
        ]
        assert names
        assert data.labels(0).tolist() == [[1, IGNORE]]
        assert data.taxonomy.names == ("_background_", "chair")


def test_folders_of_splits_are_read_with_those_inside_of_them(tmp_path: Path) -> None:
    root = a_set(tmp_path, "floor\n", [[0, 0, 0, 0]])
    save(root / "images/train/drive.1/b.c.png", np.zeros((1, 1, 3)))
    save(root / "masks/train/drive.1/b.c.png", np.zeros((1, 1)))
    data = open_segmentation(f"masks:{root}", "train")
    assert [p.relative_to(root).as_posix() for p, _ in data.pairs] == [
        "images/train/a.jpg",
        "images/train/drive.1/b.c.png",
    ]
    with pytest.raises(AbsentSplitError, match="no folder 'val' beside train"):
        open_segmentation(f"masks:{root}", "val")


def test_lists_of_splits_and_names_that_they_lack(tmp_path: Path) -> None:
    root = cvat(tmp_path)
    save(root / "SegmentationClass/a.png", [[FLOOR] * 4])
    save(root / "JPEGImages/b.png", np.zeros((1, 4, 3)))  # without a mask, and on no list
    assert len(open_segmentation(f"masks:{root}", "train")) == 1
    with pytest.raises(AbsentSplitError, match=r"no val\.txt beside train\.txt"):
        open_segmentation(f"masks:{root}", "val")
    (root / "ImageSets/Segmentation/val.txt").write_text("b\nc\n")
    with pytest.raises(DataError, match=r"val\.txt: 'c' has no picture in .*JPEGImages"):
        open_segmentation(f"masks:{root}", "val")
    (root / "ImageSets/Segmentation/val.txt").write_text("b\n")
    with pytest.raises(
        DataError, match=r"b\.png has no labels: expected .*SegmentationClass/b\.png"
    ):
        open_segmentation(f"masks:{root}", "val")


@pytest.mark.parametrize(
    ("classes", "mask", "said"),
    [
        (
            "floor\nstairs\n",
            [[0, 1, 2, 7]],
            r"a\.png: unknown label value 2, 7; known are 0-1, 255",
        ),
        (
            "floor 10 20 30\nstairs 200 0 0\n",
            [[FLOOR, EDGE, EDGE, FLOOR]],
            r"a\.png: unknown label colour \(224, 224, 192\), first at 1, 0",
        ),
        ("floor\nstairs\n", [[FLOOR] * 4], r"a\.png is a colour picture, and .*classes\.txt says"),
    ],
)
def test_masks_that_do_not_fit_their_list_are_named(
    classes: str, mask: object, said: str, tmp_path: Path
) -> None:
    root = a_set(tmp_path, classes, mask)
    with pytest.raises(DataError, match=said):
        labels(root)
    report = check_data(f"masks:{root}")
    assert not report.sound
    assert "a.png" in report.splits[0].unreadable[0]


@pytest.mark.parametrize(
    ("listed", "classes", "said"),
    [
        ("classes.txt", "", "has no class"),
        ("classes.txt", "-\n", "has no class"),
        ("classes.txt", "floor 1 2 3\nstairs 1 2 3\n", r"two lines have the colour \(1, 2, 3\)"),
        ("classes.txt", "floor 1 2 3\nstairs\n", "'floor 1 2 3' has a colour, 'stairs' has none"),
        ("classes.txt", "floor 1 2 300\n", "colours go from 0 to 255"),
        ("classes.txt", "\n".join(map(str, range(256))), "256 classes; a mask has values for 255"),
        ("labelmap.txt", "# remark\nfloor\n", "line 2 is 'floor'; expected name:r,g,b::"),
        ("labelmap.txt", "floor:1,2::\n", "line 1 is"),
        ("names.txt", "floor\n", r"expected a file classes\.txt"),
    ],
)
def test_lists_that_make_no_classes_are_refused(
    listed: str, classes: str, said: str, tmp_path: Path
) -> None:
    root = a_set(tmp_path, classes, [[0, 0, 0, 0]], listed)
    with pytest.raises(DataError, match=said):
        open_segmentation(f"masks:{root}", "train")


def test_missing_folders_and_splits_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a folder named images or JPEGImages"):
        open_segmentation(f"masks:{tmp_path}", "train")
    save(tmp_path / "images/a.png", np.zeros((1, 1, 3)))
    with pytest.raises(DataError, match="a folder named masks or SegmentationClass"):
        open_segmentation(f"masks:{tmp_path}", "train")
    save(tmp_path / "masks/a.png", np.zeros((1, 1)))
    (tmp_path / "classes.txt").write_text("floor\n")
    with pytest.raises(AbsentSplitError, match="no 'test'"):
        open_segmentation(f"masks:{tmp_path}", "test")
    other = "val" if named_split("images", "a.png") == "train" else "train"
    with pytest.raises(AbsentSplitError, match=f"none of its 1 pictures is in split '{other}'"):
        open_segmentation(f"masks:{tmp_path}", other)
