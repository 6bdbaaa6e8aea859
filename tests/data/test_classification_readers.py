"""Folders of pictures and of clips, good and damaged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import DataError
from litescene.core.errors import AbsentSplitError
from litescene.data import check_data, open_classification
from litescene.data.classification import Clip
from litescene.data.splitting import named_split
from litescene.media import VideoWriter


def picture(path: Path, value: int = 90, size: tuple[int, int] = (20, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.full((*size, 3), value, np.uint8)).save(path)


def split_set(root: Path) -> Path:
    """Two classes in train and val; pictures of train hold their class as grey value."""
    for split, count in (("train", 3), ("val", 1)):
        for label, name in enumerate(("dog", "cat")):
            for i in range(count):
                picture(root / split / name / f"{i}.png", 100 * label + i)
    return root


def video(path: Path, frames: int) -> None:
    """Frame i is uniformly grey of 10·i."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, 64, 48, rate=10) as writer:
        for i in range(frames):
            writer.write(np.full((48, 64, 3), 10 * i, np.uint8), i / 10)


def greys(images: list[np.ndarray]) -> list[int]:
    """Which frames of `video` these are."""
    return [round(float(image.mean()) / 10) for image in images]


def test_classes_are_the_folders_in_alphabetical_order(tmp_path: Path) -> None:
    root = split_set(tmp_path / "pets")
    picture(root / "train" / "cat" / "inner" / "deep.JPG")
    (root / "train" / "cat" / "notes.txt").write_text("no picture")
    picture(root / "train" / "cat" / ".hidden.png")
    data = open_classification(f"imagefolder:{root}", "train")
    assert data.taxonomy.names == ("cat", "dog")
    assert data.taxonomy.name == "pets"
    assert data.counts() == {"cat": 4, "dog": 3}
    assert [f.name for f in data.files] == ["0.png", "1.png", "2.png", "deep.JPG",
                                            "0.png", "1.png", "2.png"]  # fmt: skip
    assert data.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert int(data.picture(1).mean()) == 101
    assert len(open_classification(f"imagefolder:{root}", "val")) == 2


def test_a_folder_without_splits_is_split_by_the_names_of_its_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        for i in range(60):
            picture(tmp_path / name / f"{i}.png")
    parts = {s: open_classification(f"imagefolder:{tmp_path}", s) for s in ("train", "val", "all")}
    train, val = set(parts["train"].files), set(parts["val"].files)
    assert train | val == set(parts["all"].files)
    assert not train & val
    assert 12 <= len(val) <= 36
    for file in val:  # the rule as the documentation has it
        digest = hashlib.sha256(f"{file.parent.name}/{file.name}".encode()).digest()
        assert digest[0] < 52
    assert named_split("a", "0.png") == ("val" if tmp_path / "a" / "0.png" in val else "train")


@pytest.mark.parametrize("split", ["test", "all"])
def test_a_split_without_its_folder_is_absent(split: str, tmp_path: Path) -> None:
    with pytest.raises(AbsentSplitError, match=split):
        open_classification(f"imagefolder:{split_set(tmp_path)}", split)


def test_a_folder_without_splits_has_no_test(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "0.png")
    with pytest.raises(AbsentSplitError, match="all, train, val"):
        open_classification(f"imagefolder:{tmp_path}", "test")


def test_damaged_sets_are_refused_by_name(tmp_path: Path) -> None:
    root = split_set(tmp_path / "pets")
    spec = f"imagefolder:{root}"
    with pytest.raises(DataError, match="no split 'valid'"):
        open_classification(spec, "valid")
    (root / "train" / "fish").mkdir()
    with pytest.raises(DataError, match="fish is empty"):
        open_classification(spec, "train")
    with pytest.raises(DataError, match="only in train: fish"):
        open_classification(spec, "val")
    picture(root / "val" / "bird" / "0.png")
    with pytest.raises(DataError, match="only in val: bird; only in train: fish"):
        open_classification(spec, "val")
    (tmp_path / "flat").mkdir()
    picture(tmp_path / "flat" / "0.png")
    with pytest.raises(DataError, match="no folders; expected one for each class"):
        open_classification(f"imagefolder:{tmp_path / 'flat'}", "all")
    picture(tmp_path / "few" / "cat" / "1.png")
    with pytest.raises(DataError, match="none of its 1 files belongs to split 'val'"):
        open_classification(f"imagefolder:{tmp_path / 'few'}", "val")


def test_half_of_the_folders_of_splits_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "val" / "cat" / "0.png")
    with pytest.raises(DataError, match="'val' and no folder 'train'"):
        open_classification(f"imagefolder:{tmp_path / 'a'}", "val")
    picture(tmp_path / "b" / "train" / "0.png")  # meant as a class of vehicles
    with pytest.raises(DataError, match="a folder called train is a split"):
        open_classification(f"imagefolder:{tmp_path / 'b'}", "train")


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    root = split_set(tmp_path)
    (root / "train" / "cat" / "1.png").write_bytes(b"no picture")
    data = open_classification(f"imagefolder:{root}", "train")
    with pytest.raises(DataError, match=r"cat/1\.png"):
        data.picture(1)
    report = check_data(f"imagefolder:{root}")
    assert not report.sound
    train, val = report.splits
    assert len(train.unreadable) == 1
    assert val.classes == {"cat": 1, "dog": 1}
    assert val.sizes == {"30×20": 2}
    assert (report.unit, set(report.absent)) == ("files", {"test"})


@pytest.mark.parametrize(
    ("frames", "stride", "place", "wanted"),
    [
        (4, 2, 0.0, [0, 2, 4, 6]),
        (4, 2, 1.0, [13, 15, 17, 19]),
        (4, 2, 0.5, [6, 8, 10, 12]),
        (20, 1, 0.5, list(range(20))),
        (1, 5, 1.0, [19]),
    ],
)
def test_a_clip_has_the_frames_of_its_place(
    frames: int, stride: int, place: float, wanted: list[int], tmp_path: Path
) -> None:
    video(tmp_path / "walk" / "0.mp4", 20)
    data = open_classification(f"clipfolder:{tmp_path}", "all")
    assert data.has_clips
    assert greys(list(data.clip(0, Clip(frames, stride), place))) == wanted


def test_a_video_that_is_too_short_goes_on_with_its_last_frame(tmp_path: Path) -> None:
    video(tmp_path / "walk" / "0.mp4", 5)
    data = open_classification(f"clipfolder:{tmp_path}", "all")
    assert greys(list(data.clip(0, Clip(6, 2)))) == [0, 2, 4, 4, 4, 4]


def test_an_unreadable_clip_is_named(tmp_path: Path) -> None:
    (tmp_path / "walk").mkdir()
    (tmp_path / "walk" / "0.mp4").write_bytes(b"no video")
    data = open_classification(f"clipfolder:{tmp_path}", "all")
    with pytest.raises(DataError, match=r"0\.mp4"):
        list(data.clip(0, Clip(2)))
    report = check_data(f"clipfolder:{tmp_path}")
    assert not report.sound


def test_a_folder_of_clips_has_no_pictures_and_the_other_way_round(tmp_path: Path) -> None:
    video(tmp_path / "walk" / "0.mp4", 2)
    with pytest.raises(DataError, match=r"walk is empty; expected files that end in \.bmp"):
        open_classification(f"imagefolder:{tmp_path}", "all")
