from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from litescene.core import Frame, SourceError
from litescene.media import open_source
from real_data import DataSet


def fill(folder: Path, names: Sequence[str], size: tuple[int, int] = (64, 48)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for value, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.full((size[1], size[0], 3), value, np.uint8))
    return folder


def read(spec: Path | str, **options: float) -> tuple[list[Frame], list[str]]:
    with open_source(spec, **options) as source:  # type: ignore[arg-type]
        return list(source), source.notes


def test_pictures_come_in_natural_order_with_their_names(tmp_path: Path) -> None:
    names = ["f1.png", "f2.png", "F10.png", "f100.PNG"]
    fill(tmp_path, names)
    (tmp_path / "notes.md").write_text("no picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    with open_source(tmp_path) as source:
        frames = list(source)
        assert (source.frame_count, source.width, source.height) == (4, 64, 48)
        assert source.rate == pytest.approx(25.0)
    assert [f.name for f in frames] == names
    assert [int(f.image[0, 0, 0]) for f in frames] == [0, 1, 2, 3]
    assert [f.time for f in frames] == pytest.approx([0, 0.04, 0.08, 0.12])


def test_a_rate_gives_times_to_pictures_without(tmp_path: Path) -> None:
    frames, _ = read(fill(tmp_path, ["0.png", "1.png", "2.png"]), rate=10)
    assert [f.time for f in frames] == pytest.approx([0, 0.1, 0.2])


@pytest.mark.parametrize("place", ["inside", "above"])
def test_kitti_times_are_used(tmp_path: Path, place: str) -> None:
    folder = fill(tmp_path / "image_0", [f"{i:06d}.png" for i in range(3)])
    file = (folder if place == "inside" else tmp_path) / "times.txt"
    file.write_text("0.000000e+00\n1.038752e-01\n2.078941e-01\n")
    frames, notes = read(folder)
    assert [f.time for f in frames] == [0.0, 0.1038752, 0.2078941]
    assert notes == []


def test_dates_of_kitti_raw_are_used(tmp_path: Path) -> None:
    folder = fill(tmp_path / "image_02" / "data", [f"{i:010d}.png" for i in range(3)])
    (tmp_path / "image_02" / "timestamps.txt").write_text(
        "2011-09-26 23:59:59.964389445\n2011-09-27 00:00:00.067909477\n2011-09-27 00:00:00.17\n"
    )
    frames, notes = read(folder)
    times = [f.time for f in frames]
    assert times[0] == pytest.approx(1317081599.964389445, abs=1e-6)
    assert np.diff(times) == pytest.approx([0.103520032, 0.102090523], abs=1e-6)
    assert notes == []


@pytest.mark.parametrize("text", ["2011-02-30 00:00:00\n", "2011-09-26 23:59:99\n"])
def test_a_date_that_is_none_is_one_line(text: str, tmp_path: Path) -> None:
    folder = fill(tmp_path, ["a.png"])
    (tmp_path / "timestamps.txt").write_text(text)
    with pytest.raises(SourceError, match=r"timestamps\.txt: '2011.*' is not a time"):
        read(folder)


def test_a_times_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pictures", ["a.png", "b.png"])
    (tmp_path / "times.txt").write_text("1.5\n2.5\n", "utf-8-sig")
    frames, notes = read(folder)
    assert ([f.time for f in frames], notes) == ([1.5, 2.5], [])


def test_names_that_are_numbers_pick_their_lines_of_a_longer_times_file(tmp_path: Path) -> None:
    folder = fill(tmp_path / "image_0", ["000001.png", "000003.png"])
    (tmp_path / "times.txt").write_text("0\n0.5\n1.0\n1.5\n2.0\n")
    frames, _ = read(folder)
    assert [f.time for f in frames] == [0.5, 1.5]


def test_a_times_file_that_does_not_fit_is_noted_and_left_aside(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pictures", ["a.png", "b.png"])
    (tmp_path / "times.txt").write_text("0\n0.5\n1.0\n")
    frames, notes = read(folder)
    assert [f.time for f in frames] == pytest.approx([0, 0.04])
    assert len(notes) == 1
    assert "times.txt does not fit" in notes[0]


def test_tum_lists_are_matched_by_file_name(tmp_path: Path) -> None:
    folder = fill(tmp_path / "rgb", ["a.png", "b.png"])
    (tmp_path / "rgb.txt").write_text(
        "# color images\n# timestamp filename\n"
        "1305031102.175304 rgb/a.png\n1305031102.211214 rgb/b.png\n1305031103.0 rgb/c.png\n"
    )
    frames, notes = read(folder)
    assert [f.time for f in frames] == [1305031102.175304, 1305031102.211214]
    assert notes == []


def test_a_list_of_a_data_sets_split_is_no_times_file(tmp_path: Path) -> None:
    folder = fill(tmp_path / "train", ["a.png", "b.png"])
    (tmp_path / "train.txt").write_text("train/a.png trainannot/a.png\ntrain/b.png x/b.png\n")
    frames, notes = read(folder)
    assert [f.time for f in frames] == pytest.approx([0, 0.04])
    assert notes == []


def test_a_times_file_may_name_its_pictures(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pictures", ["b.png", "a.png"])
    (folder / "timestamps.txt").write_text("1.5, pictures/a.png\n2.5, pictures/b.png\n")
    frames, _ = read(folder)
    assert [(f.name, f.time) for f in frames] == [("a.png", 1.5), ("b.png", 2.5)]


def test_a_times_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "pictures", ["a.png"])
    (tmp_path / "times.txt").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(SourceError, match=r"cannot read the times in .*times\.txt"):
        open_source(folder)


def test_pictures_of_several_folders_have_no_times_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name, ["0.png"])
        (tmp_path / name / "times.txt").write_text("7.5\n")
    frames, _ = read(str(tmp_path / "*" / "0.png"))
    assert [f.time for f in frames] == pytest.approx([0, 0.04])


@pytest.mark.parametrize(
    ("names", "times"),
    [
        (
            ["1403715273262142976.png", "1403715273312143104.png"],
            [1403715273.262143, 1403715273.3121431],
        ),
        (
            ["1418132416737115.png", "1418132416799612.png"],  # microseconds
            [1418132416.737115, 1418132416.799612],
        ),
        (
            ["1305031102.175304.png", "1305031102.211214.png"],
            [1305031102.175304, 1305031102.211214],
        ),
    ],
)
def test_names_can_be_times(tmp_path: Path, names: list[str], times: list[float]) -> None:
    frames, _ = read(fill(tmp_path / "data", names))
    assert [f.time for f in frames] == pytest.approx(times, abs=1e-6, rel=0)


def test_euroc_has_its_times_in_a_table_beside_the_folder(tmp_path: Path) -> None:
    folder = fill(tmp_path / "cam0" / "data", ["0.png", "50000000.png", "100000000.png"])
    table = "0,0.png\n50000000,50000000.png\n100000000,100000000.png\n"
    (tmp_path / "cam0" / "data.csv").write_text("#timestamp [ns],filename\n" + table)
    frames, notes = read(folder)
    assert [f.time for f in frames] == pytest.approx([0, 0.05, 0.1])
    assert notes == []
    (tmp_path / "cam0" / "data.csv").write_text("#class,filename\n" + table)
    assert [f.time for f in read(folder)[0]] == pytest.approx([0, 0.04, 0.08])


def test_nanoseconds_in_a_times_file_are_seen(tmp_path: Path) -> None:
    folder = fill(tmp_path / "data", ["a.png", "b.png"])
    (folder / "times.txt").write_text("1403715273262142976\n1403715273312143104\n")
    frames, _ = read(folder)
    assert frames[1].time - frames[0].time == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize(
    ("content", "words"), [("0\n0.5\n0.5\n", "must increase"), ("0\nx\n1\n", "'x' is not a time")]
)
def test_a_times_file_with_wrong_numbers_is_refused(
    tmp_path: Path, content: str, words: str
) -> None:
    folder = fill(tmp_path, ["a.png", "b.png", "c.png"])
    (folder / "times.txt").write_text(content)
    with pytest.raises(SourceError, match=words):
        open_source(folder)


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_corrupt_picture_is_named_and_left_out_and_the_rest_keeps_its_times(
    tmp_path: Path, bad: int
) -> None:
    folder = fill(tmp_path, ["0.png", "1.png", "2.png"])
    path = folder / f"{bad}.png"
    path.write_bytes(path.read_bytes()[:60])
    for _ in range(2):
        with open_source(folder) as source:
            frames = list(source)
            frames_again = list(source)
            assert [(s.name, "damaged" in s.reason) for s in source.skipped] == [
                (f"{bad}.png", True)
            ]
        assert [f.index for f in frames] == [f.index for f in frames_again] == [0, 1]
        kept = [i for i in range(3) if i != bad]
        assert [f.name for f in frames] == [f"{i}.png" for i in kept]
        assert [f.time for f in frames] == pytest.approx([i / 25 for i in kept])


def test_a_folder_of_nothing_but_corrupt_pictures_is_an_error(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"not one of 2 pictures is fit: .*a\.jpg"):
        open_source(tmp_path)


def test_a_change_of_size_ends_with_an_error_after_the_frames_before(tmp_path: Path) -> None:
    fill(tmp_path, ["0.png", "1.png"])
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros((50, 64, 3), np.uint8))
    taken: list[int] = []
    with pytest.raises(SourceError, match=r"'2\.png' is 64×50, the frames before it are 64×48"):
        taken.extend(frame.index for frame in open_source(tmp_path))
    assert taken == [0, 1]


def test_pictures_may_differ_in_size_where_their_reader_says_so(tmp_path: Path) -> None:
    fill(tmp_path, ["0.png", "1.png"])
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros((50, 64, 3), np.uint8))
    for spec in (tmp_path, str(tmp_path / "*.png")):
        with open_source(spec, any_size=True) as source:
            sizes = [(frame.width, frame.height) for frame in source]
            assert sizes == [(64, 48), (64, 48), (64, 50)]
            assert (source.width, source.height) == (64, 48), "of the first one"


def test_names_are_relative_to_the_folder_that_a_glob_says_outright(tmp_path: Path) -> None:
    for name in ("a", "b"):
        fill(tmp_path / name / "deep", ["0.png"])
    for pattern, names in (
        ("*/deep/0.png", ["a/deep/0.png", "b/deep/0.png"]),
        ("a/**/*.png", ["deep/0.png"]),
        ("b/deep/[0].png", ["0.png"]),
    ):
        frames, _ = read(str(tmp_path / pattern))
        assert [f.name for f in frames] == names


def test_names_of_a_glob_in_the_current_folder_are_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path / "a", ["0.png"])
    monkeypatch.chdir(tmp_path)
    for pattern in ("*/0.png", "./*/0.png"):
        frames, _ = read(pattern)
        assert [f.name for f in frames] == ["a/0.png"]


def test_globs_and_single_pictures_are_sources(tmp_path: Path) -> None:
    fill(tmp_path / "a", ["left_2.png", "left_10.png", "right_2.png"])
    frames, _ = read(str(tmp_path / "*" / "left_*.png"))
    assert [f.name for f in frames] == ["a/left_2.png", "a/left_10.png"]
    frames, _ = read(tmp_path / "a" / "right_2.png")
    assert [(f.name, f.time) for f in frames] == [("right_2.png", 0.0)]


def test_a_folder_without_pictures_points_to_those_inside(tmp_path: Path) -> None:
    fill(tmp_path / "image_0", ["0.png"])
    with pytest.raises(SourceError, match="holds no pictures; its folders image_0 hold some"):
        open_source(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no pictures; name another one"):
        open_source(tmp_path / "empty")
    with pytest.raises(SourceError, match="no picture matches"):
        open_source(str(tmp_path / "*.jpg"))


@pytest.mark.data
def test_a_kitti_folder_has_the_times_of_its_drive(data_set: DataSet) -> None:
    folder = data_set("kitti07_160")
    with open_source(folder / "image_0", limit=20) as source:
        times = [frame.time for frame in source]
        assert (source.width, source.height) == (1226, 370)
    truth = np.loadtxt(folder / "times.txt")
    np.testing.assert_array_equal(times, truth[:20])


@pytest.mark.data
def test_a_camvid_folder_is_read_whole(data_set: DataSet) -> None:
    with open_source(data_set("camvid/val")) as source:
        assert (source.frame_count, source.width, source.height) == (101, 480, 360)
