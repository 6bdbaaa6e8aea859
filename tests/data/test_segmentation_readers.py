"""Readers of labelled pixels: tiny sets in their published encodings, damage, and real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import CAMVID, CITYSCAPES, IGNORE, DataError
from litescene.data.location import data_root
from litescene.data.segmentation import open_segmentation
from real_data import DataSet


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.asarray(pixels, np.uint8)).save(path)


def camvid(
    root: Path, labels: np.ndarray, split: str = "val", size: tuple[int, int] = (1, 4)
) -> Path:
    save(root / split / "a.png", np.full((*size, 3), 90))
    save(root / f"{split}annot" / "a.png", labels)
    return root


def test_camvids_eleven_indices_stay_and_void_is_ignored(tmp_path: Path) -> None:
    data = open_segmentation(f"camvid:{camvid(tmp_path, np.array([[0, 10, 11, 255]]))}", "val")
    image, labels = data.load(0)
    assert image.shape == (1, 4, 3)
    assert labels.tolist() == [[0, 10, IGNORE, IGNORE]]
    assert data.taxonomy == CAMVID


@pytest.mark.parametrize(
    ("color", "name"),
    [
        ((128, 64, 128), "road"),
        ((128, 0, 192), "road"),  # lane markings
        ((0, 0, 192), "pavement"),
        ((64, 0, 128), "car"),
        ((192, 128, 192), "car"),  # truck, bus
        ((0, 128, 192), "bicyclist"),
        ((64, 64, 0), "pedestrian"),
        ((0, 64, 64), "sign_symbol"),  # traffic light
        ((128, 128, 0), "tree"),
        ((128, 128, 128), "sky"),
        ((0, 0, 0), None),
    ],
)
def test_camvids_published_colours_become_its_eleven_classes(
    color: tuple[int, int, int], name: str | None, tmp_path: Path
) -> None:
    save(tmp_path / "train" / "0001TP_1.png", np.zeros((2, 3, 3)))
    save(tmp_path / "train_labels" / "0001TP_1_L.png", np.full((2, 3, 3), color))
    labels = open_segmentation(f"camvid32:{tmp_path}", "train").labels(0)
    expected = IGNORE if name is None else CAMVID.names.index(name)
    np.testing.assert_array_equal(labels, np.full((2, 3), expected))


def test_cityscapes_ids_become_train_ids_over_all_cities(tmp_path: Path) -> None:
    for city in ("ulm", "bonn"):
        stem = f"{city}_000001_000019"
        save(tmp_path / "leftImg8bit/val" / city / f"{stem}_leftImg8bit.png", np.zeros((1, 34, 3)))
        ids = np.arange(34)[None]
        save(tmp_path / "gtFine/val" / city / f"{stem}_gtFine_labelIds.png", ids)
    data = open_segmentation(f"cityscapes:{tmp_path}", "val")
    assert len(data) == 2
    assert data.taxonomy == CITYSCAPES
    labels = data.labels(0)[0]
    evaluated = [7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33]
    assert labels[evaluated].tolist() == list(range(19))
    assert set(np.delete(labels, evaluated).tolist()) == {IGNORE}
    assert CITYSCAPES.names[labels[26]] == "car"


def test_values_and_colours_that_nobody_defined_name_the_file(tmp_path: Path) -> None:
    root = camvid(tmp_path / "eleven", np.array([[0, 12, 200, 1]]))
    with pytest.raises(DataError, match=r"valannot/a\.png: unknown label value 12, 200"):
        open_segmentation(f"camvid:{root}", "val").labels(0)
    save(tmp_path / "colours/val/b.png", np.zeros((1, 1, 3)))
    save(tmp_path / "colours/val_labels/b_L.png", np.full((1, 1, 3), 7))
    with pytest.raises(DataError, match=r"b_L\.png: unknown label colour"):
        open_segmentation(f"camvid32:{tmp_path / 'colours'}", "val").labels(0)


def test_pictures_without_labels_and_labels_of_another_size_are_named(tmp_path: Path) -> None:
    root = camvid(tmp_path, np.zeros((2, 4)))
    with pytest.raises(DataError, match=r"a\.png: labels are 4×2, the picture is 4×1"):
        open_segmentation(f"camvid:{root}", "val").load(0)
    (root / "valannot" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png has no labels: expected"):
        open_segmentation(f"camvid:{root}", "val")


def test_splits_and_formats_that_are_not_there_are_said(tmp_path: Path) -> None:
    root = camvid(tmp_path, np.zeros((1, 4)))
    for spec, split, said in (
        (f"camvid:{root}", "train", "is this split part of your copy"),
        (f"camvid:{root}", "all", "there is no split 'all'"),
        (f"kitti:{root}", "val", "no known format"),
        ("camvid:nowhere", "val", "neither nowhere nor"),
    ):
        with pytest.raises(DataError, match=said):
            open_segmentation(spec, split)


def test_a_relative_path_is_looked_up_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    camvid(tmp_path / "sets" / "mine", np.zeros((1, 4)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITESCENE_DATA", str(tmp_path / "sets"))
    assert len(open_segmentation("camvid:mine", "val")) == 1
    monkeypatch.setenv("LITESCENE_DATA", "")
    assert data_root() == Path("../shared/data")


def test_a_split_held_in_memory_has_one_size(tmp_path: Path) -> None:
    root = camvid(tmp_path, np.zeros((1, 4)))
    data = open_segmentation(f"camvid:{root}", "val")
    images, labels = data.load_all()
    assert (images.shape, labels.shape) == ((1, 1, 4, 3), (1, 1, 4))
    save(root / "val" / "b.png", np.zeros((2, 4, 3)))
    save(root / "valannot" / "b.png", np.zeros((2, 4)))
    with pytest.raises(DataError, match=r"b\.png: 4×2, but the split began with 4×1"):
        open_segmentation(f"camvid:{root}", "val").load_all()


@pytest.mark.data
def test_camvids_train_and_val_are_read_whole(data_set: DataSet) -> None:
    for split, count in (("train", 367), ("val", 101)):
        data = open_segmentation(f"camvid:{data_set('camvid')}", split)
        assert len(data) == count
        image, labels = data.load(count - 1)
        assert image.shape == (*labels.shape, 3) == (360, 480, 3)
