from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from litescene.core import SourceError
from litescene.media import open_source
from litescene.media.video_source import Clock, VideoSource
from real_data import DataSet

MakeVideo = Callable[..., Path]


def times_of(path: Path) -> list[float]:
    with open_source(path) as source:
        return [frame.time for frame in source]


@pytest.mark.parametrize(
    ("name", "codec", "time_base"),
    [
        ("a.mp4", "libx264", Fraction(1, 12800)),
        ("a.avi", "mpeg4", Fraction(1, 25)),
        ("a.mkv", "libx264", Fraction(1, 1000)),
        ("a.mov", "mpeg4", Fraction(1, 1000)),
    ],
)
def test_a_steady_video_gives_its_frames_and_times(
    make_video: MakeVideo, name: str, codec: str, time_base: Fraction
) -> None:
    step = int(Fraction(1, 25) / time_base)
    path = make_video(name, [i * step for i in range(30)], codec=codec, time_base=time_base)
    with open_source(path) as source:
        frames = list(source)
        assert (source.name, source.width, source.height) == (str(path), 64, 48)
        assert source.rate == pytest.approx(25.0)
        assert source.frame_count in (30, None)
        assert not source.live
        assert source.skipped == []
        assert source.notes == []
    assert [frame.index for frame in frames] == list(range(30))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(30) / 25, atol=1e-6)


def test_a_variable_frame_rate_is_kept(make_video: MakeVideo) -> None:
    ticks = [0, 40, 120, 123, 500, 777, 1900]
    assert times_of(make_video("vfr.mkv", ticks)) == pytest.approx([t / 1000 for t in ticks])


def test_times_are_the_sources_own_and_need_not_start_at_zero(make_video: MakeVideo) -> None:
    ticks = [5000, 5040, 5080]
    assert times_of(make_video("late.mkv", ticks)) == pytest.approx([5.0, 5.04, 5.08])


def test_a_colon_in_a_name_is_no_protocol(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("steady.mkv", [0, 40, 80])
    monkeypatch.chdir(path.parent)
    times = times_of(path)
    path.rename("2024-05-01T12:30:05.mkv")
    assert times_of(Path("2024-05-01T12:30:05.mkv")) == times


def test_a_ntsc_rate_is_not_rounded(make_video: MakeVideo) -> None:
    base = Fraction(1001, 30000)
    path = make_video("ntsc.mp4", list(range(300)), time_base=base)
    assert times_of(path)[-1] == pytest.approx(299 * 1001 / 30000, abs=1e-5)


def test_frames_without_time_stamps_are_placed_one_interval_apart_and_noted(
    make_video: MakeVideo,
) -> None:
    path = make_video("raw.h264", [i * 40 for i in range(10)], container="h264")
    with open_source(path) as source:
        times = [frame.time for frame in source]
        assert times == pytest.approx(np.arange(10) / 25)
        assert len(source.notes) == 1
        assert "10 frames had no usable time stamp" in source.notes[0]
        assert source.frame_count is None


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_a_rotation_mark_is_applied_as_opencv_applies_it(
    make_video: MakeVideo, rotation: int
) -> None:
    path = make_video("turned.mp4", [0, 40, 80], rotation=rotation)
    capture = cv2.VideoCapture(str(path))
    theirs = capture.read()[1][..., ::-1].astype(int)
    capture.release()
    source = open_source(path)
    ours = next(iter(source)).image
    assert (source.height, source.width) == ours.shape[:2] == theirs.shape[:2]
    assert np.abs(ours - theirs).max() <= 3


# ISO/IEC 23091-4 codes and the Kr, Kb of ITU-R BT.601 and BT.709.
@pytest.mark.parametrize(("matrix", "red", "blue"), [(5, 0.299, 0.114), (1, 0.2126, 0.0722)])
@pytest.mark.parametrize("full_range", [False, True])
def test_the_tagged_colour_matrix_and_range_are_used(
    make_video: MakeVideo, matrix: int, red: float, blue: float, full_range: bool
) -> None:
    path = make_video(
        "c.mp4", [0, 40], colorspace=matrix, color_range=2 if full_range else 1, size=(64, 64)
    )
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        y, u, v = (
            np.frombuffer(p, np.uint8).reshape(-1, p.line_size)[: p.height, : p.width].astype(float)
            for p in frame.planes
        )
        assert (frame.colorspace, frame.color_range) == (matrix, 2 if full_range else 1)
    u, v = (np.kron(c, np.ones((2, 2))) - 128 for c in (u, v))
    y, u, v = (y, u / 255, v / 255) if full_range else ((y - 16) * 255 / 219, u / 224, v / 224)
    r, b = y + 510 * (1 - red) * v, y + 510 * (1 - blue) * u
    exact = np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], -1).clip(0, 255)
    ours = next(iter(open_source(path))).image
    assert np.abs(ours - exact).max() <= 4


def test_a_second_pass_and_a_limit_start_from_the_first_frame(make_video: MakeVideo) -> None:
    path = make_video("a.mp4", [i * 40 for i in range(12)])
    with open_source(path, limit=5) as source:
        assert source.frame_count == 5
        first, second = list(source), list(source)
    assert [f.time for f in first] == [f.time for f in second] == pytest.approx(np.arange(5) / 25)
    np.testing.assert_array_equal(first[4].image, second[4].image)
    assert source.skipped == []


def test_a_truncated_video_gives_what_there_is_and_says_so(make_video: MakeVideo) -> None:
    whole = make_video("a.avi", list(range(60)), codec="mpeg4", time_base=Fraction(1, 25))
    with VideoSource(whole, None) as source:
        expected = list(source)
    data = make_video(
        "n.avi", list(range(60)), codec="mpeg4", time_base=Fraction(1, 25), noise=True
    ).read_bytes()
    cut = whole.with_name("cut.avi")
    cut.write_bytes(data[: len(data) // 2])
    with open_source(cut) as source:
        frames = list(source)
        assert 10 < len(frames) < 50
        assert "readable frames of 60 announced" in source.skipped[-1].reason
        assert source.skipped[-1].name == "cut.avi"
    assert [f.time for f in frames] == [f.time for f in expected[: len(frames)]]


def test_a_truncated_matroska_file_gives_what_there_is(make_video: MakeVideo) -> None:
    whole = make_video("n.mkv", [i * 40 for i in range(80)], noise=True)
    cut = whole.with_name("cut.mkv")
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_source(cut) as source:
        assert 10 < len(list(source)) < 70


def test_damaged_data_in_the_middle_do_not_end_the_video(make_video: MakeVideo) -> None:
    path = make_video("n.mp4", [i * 40 for i in range(60)], noise=True)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + len(data) // 3
    data[start : start + 30_000] = bytes(30_000)  # about 20 of the 60 frames
    path.write_bytes(data)
    with open_source(path) as source:
        times = [frame.time for frame in source]
        assert any("damaged data at 0.8" in reason for _, reason in source.skipped)
        assert "readable frames of 60 announced" in source.skipped[-1].reason
    assert times[-1] == pytest.approx(59 / 25)
    assert set(np.round(np.array(times) * 25)) <= set(range(60))


class Stream:
    average_rate = guessed_rate = Fraction(10)


class Decoded:
    time_base = Fraction(1, 10)

    def __init__(self, pts: int | None) -> None:
        self.pts = pts


@pytest.mark.parametrize(
    ("ticks", "times", "repaired"),
    [
        ([3, 4, 6], [0.3, 0.4, 0.6], 0),
        ([None, None, 5], [0.0, 0.1, 0.5], 2),
        ([3, 5, 4, 5, 6], [0.3, 0.5, None, None, 0.6], 0),
        ([500, 501, 0, 1, 3], [50.0, 50.1, 50.2, 50.3, 50.5], 1),
    ],
)
def test_the_clock_only_goes_forward(
    ticks: list[int | None], times: list[float | None], repaired: int
) -> None:
    clock = Clock(Stream())
    got = [clock.time_of(Decoded(tick)) for tick in ticks]
    assert [None if t is None else round(t, 9) for t in got] == times
    assert clock.repaired == repaired


def test_a_change_of_picture_size_ends_with_an_error_after_the_frames_before(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    small = make_video("s.h264", range(0, 200, 40), container="h264")
    large = make_video("l.h264", range(0, 200, 40), container="h264", size=(96, 64))
    joined = tmp_path / "joined.h264"
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    taken = []
    with pytest.raises(SourceError, match=r"frame 5 is 96×64.* 64×48"):
        taken.extend(frame.index for frame in open_source(joined, any_size=True))
    with open_source(joined, limit=5) as source:
        assert len(list(source)) == 5


def make_bad(kind: str, folder: Path, make_video: MakeVideo) -> Path:
    path = folder / f"{kind}.mp4"
    if kind == "text":
        path.write_text("hello world\n" * 50)
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "no_index":
        data = make_video("whole.mp4", range(0, 1200, 40)).read_bytes()
        path.write_bytes(data[: data.index(b"moov") - 4])
    elif kind == "zero_frames":
        with av.open(str(path), "w") as output:
            stream = output.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            output.start_encoding()
    elif kind == "sound":
        with av.open(str(path), "w") as output:
            stream = output.add_stream("aac", rate=44100, layout="mono")
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            sound.sample_rate, sound.pts = 44100, 0
            output.mux(stream.encode(sound))
            output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("kind", ["text", "empty", "no_index", "zero_frames", "sound"])
def test_a_file_that_gives_no_frame_is_one_clear_line(
    kind: str, tmp_path: Path, make_video: MakeVideo
) -> None:
    with pytest.raises(SourceError, match=rf"{kind}\.mp4") as caught:
        open_source(make_bad(kind, tmp_path, make_video))
    assert "\n" not in str(caught.value)


def test_a_text_file_is_not_shown_as_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello world\n" * 50)
    with pytest.raises(SourceError, match="is a text file"):
        open_source(tmp_path / "notes.txt")


def test_a_playlist_on_the_disk_opens_no_connection(tmp_path: Path) -> None:
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(SourceError, match=r"list\.m3u8"):
        open_source(tmp_path / "list.m3u8")


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "count", "rate", "size"),
    [
        ("solidWhiteRight.mp4", 221, 25.0, (960, 540)),
        ("car-detection.mp4", 377, 12.5, (768, 432)),
    ],
)
def test_real_videos_give_every_frame_at_its_time(
    data_set: DataSet, name: str, count: int, rate: float, size: tuple[int, int]
) -> None:
    with open_source(data_set(f"video/{name}")) as source:
        times = [frame.time for frame in source]
        assert (source.width, source.height) == size
        assert source.frame_count == count
        assert source.skipped == []
    np.testing.assert_allclose(times, np.arange(count) / rate, atol=1e-6)


def test_a_video_trimmed_without_encoding_it_anew_is_whole(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    """Frames back to the key frame stay in it, and an edit list hides them."""
    with (
        av.open(str(make_video("whole.mp4", [40 * i for i in range(60)]))) as whole,
        av.open(str(tmp_path / "trimmed.mp4"), "w", options={"use_editlist": "1"}) as trimmed,
    ):
        stream = whole.streams.video[0]
        copy = trimmed.add_stream_from_template(stream)
        for packet in whole.demux(stream):
            if packet.dts is not None:
                second = round(1 / packet.time_base)
                packet.pts, packet.dts = packet.pts - second, packet.dts - second
                packet.stream = copy
                trimmed.mux(packet)
    with open_source(tmp_path / "trimmed.mp4") as source:
        times = [frame.time for frame in source]
    assert times == pytest.approx([0.04 * i for i in range(35)])
    assert source.skipped == []
