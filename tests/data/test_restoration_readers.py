"""Readers of videos, triplets and pictures: small sets are written and read, whole and damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from litescene.core import DataError
from litescene.core.errors import AbsentSplitError
from litescene.data import check_data, memory, open_restoration
from litescene.data.restoration import as_sample, cut_sample
from litescene.data.restoration_clips import View
from litescene.media import VideoWriter

RATE = 60


def grey(value: int, width: int = 96, height: int = 80) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def write_video(
    path: Path, frames: int, rate: float = RATE, size: tuple[int, int] = (96, 80)
) -> None:
    """Frame i is grey of 20 + 5·i."""
    with VideoWriter(path, *size, rate) as video:
        for index in range(frames):
            video.write(grey(20 + 5 * index, *size), index / rate)


def numbers(spec: str, split: str, pictures: int) -> list[tuple[int, ...]]:
    """The frames of all windows by their greys."""
    found = open_restoration(spec, split, pictures).windows()
    return [tuple(round((float(i.mean()) - 20) / 5) for i in window) for window in found]


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    path = tmp_path / "drive.mp4"
    write_video(path, 20)
    return path


def test_a_video_is_divided_by_time_and_every_second_frame_of_val_is_truth(drive: Path) -> None:
    assert numbers(f"video:{drive}", "train", 2) == [(i, i + 1, i + 2) for i in range(14)]
    assert numbers(f"video:{drive}", "val", 2) == [(16, 17, 18)]
    assert numbers(f"video:{drive}", "train", 1) == [(i,) for i in range(16)]
    assert numbers(f"video:{drive}", "val", 1) == [(i,) for i in range(16, 20)]
    with pytest.raises(AbsentSplitError, match="no split test"):
        open_restoration(f"video:{drive}", "test")


def test_a_folder_of_videos_takes_the_end_of_each_for_val(tmp_path: Path) -> None:
    for name, count in (("a10.mp4", 10), ("a9.mp4", 5)):
        write_video(tmp_path / name, count)
    (tmp_path / "notes.txt").write_text("no video")
    assert numbers(f"video:{tmp_path}", "val", 1) == [(4,), (8,), (9,)]
    assert numbers(f"video:{tmp_path}", "train", 2)[:3] == [(0, 1, 2), (1, 2, 3), (0, 1, 2)]


def test_folders_called_train_and_val_are_the_splits(tmp_path: Path) -> None:
    for split, count in (("train", 4), ("val", 5)):
        (tmp_path / split).mkdir()
        write_video(tmp_path / split / "clip.mp4", count)
    assert numbers(f"video:{tmp_path}", "train", 2) == [(0, 1, 2), (1, 2, 3)]
    assert numbers(f"video:{tmp_path}", "val", 2) == [(0, 1, 2), (2, 3, 4)]
    with pytest.raises(AbsentSplitError, match="no folder test"):
        open_restoration(f"video:{tmp_path}", "test")


def write_pictures(folder: Path, names: list[str], size: tuple[int, int] = (96, 80)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), grey(20 + 5 * index, *size))


def test_a_folder_of_numbered_frames_is_a_video_too(tmp_path: Path) -> None:
    write_pictures(tmp_path / "frames", [f"f{i}.png" for i in range(12)])
    spec = f"video:{tmp_path / 'frames'}"
    assert numbers(spec, "train", 2)[-1] == (7, 8, 9)
    assert numbers(spec, "val", 1) == [(10,), (11,)]
    with pytest.raises(DataError, match="no rate to lower"):
        open_restoration(f"{spec}@30fps", "train")


def test_pictures_are_for_super_resolution_alone(tmp_path: Path) -> None:
    write_pictures(tmp_path / "set", [f"{i}.png" for i in range(10)])
    assert numbers(f"pictures:{tmp_path / 'set'}", "val", 1) == [(8,), (9,)]
    assert len(open_restoration(f"pictures:{tmp_path / 'set'}", "train").held()) == 8
    with pytest.raises(DataError, match="frames between need a video"):
        open_restoration(f"pictures:{tmp_path / 'set'}", "train", 2)


@pytest.mark.parametrize(
    ("rate", "frames"),
    [
        (60, list(range(13))),
        (30, [0, 2, 4, 6, 8, 10, 12]),
        (15, [0, 4, 8, 12]),
        (24, [0, 3, 5, 8, 10]),
        (50, [0, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12]),
    ],
)
def test_each_tick_of_a_lower_rate_takes_the_first_frame_that_is_not_before_it(
    tmp_path: Path, rate: int, frames: list[int]
) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "val").mkdir()
    write_video(tmp_path / "train" / "clip.mp4", 13)
    assert numbers(f"video:{tmp_path}@{rate}fps", "train", 1) == [(i,) for i in frames]


def test_a_view_averages_frames_over_areas(drive: Path) -> None:
    (window, *_) = open_restoration(f"video:{drive}@48x40", "train").windows()
    assert window[0].shape == (40, 48, 3)
    with pytest.raises(DataError, match=r"drive.mp4 is 96×80, smaller than the 640×360"):
        list(open_restoration(f"video:{drive}@nHD", "train").windows())
    with pytest.raises(DataError, match="60 frames a second, not 120"):
        list(open_restoration(f"video:{drive}@120fps", "train").windows())


@pytest.mark.parametrize("view", ["", "8K", "nHD@HD", "0fps", "fps", "30fps@15fps", "0x10"])
def test_what_is_no_view_is_refused(drive: Path, view: str) -> None:
    with pytest.raises(DataError, match="is no view of a video"):
        open_restoration(f"video:{drive}@{view}", "train")


def test_views_have_the_sizes_of_inter4k() -> None:
    found = {n: View.parse(n).size for n in ("UHD", "QHD", "FHD", "HD", "qHD", "nHD")}
    widths = {"UHD": 3840, "QHD": 2560, "FHD": 1920, "HD": 1280, "qHD": 960, "nHD": 640}
    assert found == {name: (width * 9 // 16, width) for name, width in widths.items()}


def test_a_folder_with_an_at_sign_is_no_view(tmp_path: Path) -> None:
    (tmp_path / "me@home").mkdir()
    write_video(tmp_path / "me@home" / "x.mp4", 5)
    assert len(numbers(f"video:{tmp_path}/me@home/x.mp4@48x40", "train", 1)) == 4


@pytest.fixture
def inter4k(tmp_path: Path) -> Path:
    """Three clips at 640×360 and 60 a second, with lists in three ways of writing."""
    root = tmp_path / "Inter4K"
    for name, count in (("1", 5), ("2", 4), ("13", 6)):
        write_video(root / "60fps" / "nHD" / f"{name}.mp4", count, 60, (640, 360))
    (root / "train.txt").write_text("1\n13.mp4\n\n")
    (root / "val.csv").write_text("60fps/UHD/2.mp4,2\n")
    (root / "test.txt").write_text("1\n7\n")
    return root


def test_inter4k_follows_its_lists(inter4k: Path) -> None:
    found = numbers(f"inter4k:{inter4k}@nHD", "train", 2)
    assert found == [(0, 1, 2), (1, 2, 3), (2, 3, 4), *((i, i + 1, i + 2) for i in range(4))]
    assert numbers(f"inter4k:{inter4k}@nHD", "val", 2) == [(0, 1, 2)]
    assert numbers(f"inter4k:{inter4k}@nHD@30fps", "train", 1)[:4] == [(0,), (2,), (4,), (0,)]
    with pytest.raises(DataError, match=r"test.txt, line 2: there is no clip .*7.mp4"):
        open_restoration(f"inter4k:{inter4k}@nHD", "test")
    with pytest.raises(DataError, match=r"has no clips in .*UHD"):
        open_restoration(f"inter4k:{inter4k}@HD", "train")
    (inter4k / "train.txt").unlink()
    with pytest.raises(AbsentSplitError, match="no list of split train"):
        open_restoration(f"inter4k:{inter4k}@nHD", "train")


def test_inter4k_has_a_folder_of_its_own_for_a_derived_rate(inter4k: Path) -> None:
    write_video(inter4k / "30fps" / "nHD" / "2.mp4", 3, 30, (640, 360))
    assert numbers(f"inter4k:{inter4k}@nHD@30fps", "val", 1) == [(0,), (1,), (2,)]


@pytest.fixture
def vimeo(tmp_path: Path) -> Path:
    root = tmp_path / "vimeo_triplet"
    names = [f"{1 + i // 15:05d}/{1 + i % 15:04d}" for i in range(21)]
    for name in names:
        write_pictures(root / "sequences" / name, ["im1.png", "im2.png", "im3.png"])
    (root / "tri_trainlist.txt").write_text("\n".join(names[:20]) + "\n")
    (root / "tri_testlist.txt").write_text(names[20] + "\n\n")
    return root


def test_vimeo_holds_the_last_of_its_train_list_back(vimeo: Path) -> None:
    assert numbers(f"vimeo:{vimeo}", "train", 2) == [(0, 1, 2)] * 19
    assert numbers(f"vimeo:{vimeo}", "val", 2) == [(0, 1, 2)]
    assert numbers(f"vimeo:{vimeo}", "test", 1) == [(1,)]


def test_a_list_may_begin_with_a_byte_order_mark(vimeo: Path) -> None:
    (vimeo / "tri_testlist.txt").write_text("00001/0001\n", "utf-8-sig")
    assert numbers(f"vimeo:{vimeo}", "test", 1) == [(1,)]


def test_a_damaged_list_or_triplet_of_vimeo_is_named(vimeo: Path) -> None:
    (vimeo / "sequences/00001/0003/im2.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"00001/0003/im2.png"):
        list(open_restoration(f"vimeo:{vimeo}", "train", 2).windows())
    write_pictures(vimeo / "sequences/00001/0003", ["im2.png"], (64, 80))
    with pytest.raises(DataError, match="pictures of one sample have one size"):
        list(open_restoration(f"vimeo:{vimeo}", "train", 2).windows())
    for line, said in (("00001-0001", "is no triplet"), ("00009/0001", "there is no folder")):
        (vimeo / "tri_testlist.txt").write_text(f"00001/0001\n{line}\n")
        with pytest.raises(DataError, match=f"tri_testlist.txt, line 2: .*{said}"):
            open_restoration(f"vimeo:{vimeo}", "test", 2)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _text(path: Path) -> None:
    path.write_text("not a video " * 50)


@pytest.mark.parametrize("damage", [_cut, _text])
def test_a_damaged_video_is_an_error_that_names_it(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "noise.mp4"
    with VideoWriter(path, 96, 80, 25) as video:
        for index in range(40):
            video.write(rng.integers(0, 256, (80, 96, 3), dtype=np.uint8), index / 25)
    damage(path)
    with pytest.raises(DataError, match=r"noise\.mp4"):
        list(open_restoration(f"video:{path}", "val").windows())


def test_too_short_a_clip_is_an_error(tmp_path: Path) -> None:
    write_video(tmp_path / "short.mp4", 5)
    data = open_restoration(f"video:{tmp_path / 'short.mp4'}", "val", 2)
    for read in (data.held, lambda: list(data.windows())):
        with pytest.raises(DataError, match="has not 3 pictures one after another"):
            read()


def test_held_windows_are_those_that_are_read_in_order(drive: Path) -> None:
    data = open_restoration(f"video:{drive}", "train", 2)
    held = data.held()
    for one, other in zip(held, data.windows(), strict=True):
        assert all(map(np.array_equal, one, other))
    assert len(data.held(frames=5)) == 3
    assert len(list(data.windows(every=5))) == 3


def test_frames_that_leave_too_little_memory_are_refused(
    drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: memory.RESERVE - 1)
    with pytest.raises(DataError, match=r"drive.mp4: after 0 frames .* take a smaller view"):
        open_restoration(f"video:{drive}", "train").held()


def test_the_input_of_super_resolution_is_the_mean_of_its_pixels() -> None:
    rng = np.random.default_rng(1)
    window = (rng.integers(0, 256, (131, 265, 3), dtype=np.uint8),)
    (small,), truth = as_sample(window, 2, "set")
    assert np.array_equal(truth, window[0][:130, :264])
    means = truth.astype(np.float64).reshape(65, 2, 132, 2, 3).mean((1, 3))
    assert small.shape == (65, 132, 3)
    assert np.abs(small - means).max() <= 0.5
    with pytest.raises(DataError, match=r"set has pictures of 265×131; at factor 4 .* 256×256 on"):
        as_sample(window, 4, "set")


def test_the_frame_in_the_middle_is_the_truth_of_interpolation() -> None:
    window = tuple(grey(i) for i in (1, 2, 3))
    inputs, truth = cut_sample(window, 1)
    assert [int(i[0, 0, 0]) for i in (*inputs, truth)] == [1, 3, 2]


def test_doctor_counts_frames_and_names_what_is_damaged(drive: Path, vimeo: Path) -> None:
    report = check_data(f"video:{drive}@48x40")
    assert (report.unit, report.sound, list(report.absent)) == ("frames", True, ["test"])
    assert [(s.split, s.pictures, dict(s.sizes)) for s in report.splits] == [
        ("train", 16, {"48×40": 16}),
        ("val", 4, {"48×40": 4}),
    ]
    (vimeo / "sequences/00001/0003/im2.png").write_bytes(b"not a picture")
    report = check_data(f"vimeo:{vimeo}")
    train = report.splits[0]
    assert (report.sound, train.pictures, len(train.unreadable)) == (False, 18, 1)
    assert "00001/0003/im2.png" in train.unreadable[0]
