"""A split is held in memory once, or refused before it is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import DataError
from litescene.data import memory, segmentation
from litescene.data.memory import available_memory
from litescene.data.segmentation import open_segmentation


@pytest.fixture
def split(tmp_path: Path) -> segmentation.SegmentationData:
    for index in range(3):
        for folder, shape in (("train", (8, 6, 3)), ("trainannot", (8, 6))):
            (tmp_path / folder).mkdir(exist_ok=True)
            values = np.full(shape, index, np.uint8)
            PIL.Image.fromarray(values).save(tmp_path / folder / f"{index}.png")
    return open_segmentation(f"camvid:{tmp_path}", "train")


def test_all_pictures_are_loaded_in_order(split: segmentation.SegmentationData) -> None:
    images, labels = split.load_all()
    assert images.shape == (3, 8, 6, 3)
    for index in range(3):
        image, marked = split.load(index)
        np.testing.assert_array_equal(images[index], image)
        np.testing.assert_array_equal(labels[index], marked)


def test_a_split_that_does_not_fit_names_the_bytes_it_needs(
    split: segmentation.SegmentationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = 3 * 8 * 6 * 4
    monkeypatch.setattr(segmentation, "available_memory", lambda: needed)
    split.load_all()
    monkeypatch.setattr(segmentation, "available_memory", lambda: needed - 1)
    with pytest.raises(DataError, match=r"3 pictures of 6×8 need 576 bytes.*575 are available"):
        split.load_all()


def test_pictures_of_two_sizes_in_one_split_are_refused(
    split: segmentation.SegmentationData,
) -> None:
    for path, shape in zip(split.pairs[1], ((4, 6, 3), (4, 6)), strict=True):
        PIL.Image.fromarray(np.zeros(shape, np.uint8)).save(path)
    with pytest.raises(DataError, match=r"1\.png: 6×4, but the split began with 6×8"):
        split.load_all()


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="the system tells no such figure")
def test_available_memory_is_some_of_the_machines() -> None:
    free = available_memory()
    assert free is not None
    assert 2**20 < free < 2**46


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 4 GiB available, and a program in the group /box/job."""
    (tmp_path / "meminfo").write_text("MemTotal: 8388608 kB\nMemAvailable: 4194304 kB\n")
    (tmp_path / "cgroup").write_text("1:cpu:/else\n0::/box/job\n")
    monkeypatch.setattr(memory, "_SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_OWN_GROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    return tmp_path


def limit(group: Path, most: str, used: int, files: int = 0) -> None:
    group.mkdir(parents=True, exist_ok=True)
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 5\ninactive_file {files}\nactive_file 7\n")


@pytest.mark.parametrize("place", ["box/job", "box", "."])
def test_a_container_has_no_more_than_is_left_of_its_limit(place: str, system: Path) -> None:
    assert available_memory() == 2**32
    limit(system / "groups" / "box", "max", 2**20)
    assert available_memory() == 2**32
    limit(system / "groups" / place, str(2**31), used=2**30 + 2**20, files=2**20)
    assert available_memory() == 2**30
    limit(system / "groups" / place, str(2**20), used=2**21)
    assert available_memory() == 0


def test_a_system_that_tells_nobody_is_believed_to_have_enough(system: Path) -> None:
    (system / "meminfo").unlink()
    assert available_memory() is None
    memory.require_reserve("after 3 pictures", "take fewer")
