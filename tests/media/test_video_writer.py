from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from litescene.core import OutputError
from litescene.media import VideoWriter, open_source


def moving(count: int, width: int = 160, height: int = 120) -> list[np.ndarray]:
    y, x = np.mgrid[0:height, 0:width]
    return [
        np.stack([x + 3 * i, 2 * y, 128 + 60 * np.sin(x / 9 + i / 5)], -1).clip(0, 255).astype("u1")
        for i in range(count)
    ]


def boxes_of(path: Path) -> list[str]:
    """Kinds of the file's top-level boxes, which must fill it exactly."""
    data, position, kinds = path.read_bytes(), 0, []
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        assert length >= 8
        kinds.append(data[position + 4 : position + 8].decode())
        position += length
    assert position == len(data)
    return kinds


def test_what_is_written_is_read_back_at_its_times(tmp_path: Path) -> None:
    images = moving(40)
    times = np.cumsum(np.random.default_rng(0).uniform(0.005, 0.2, 40)) + 1403715273.0
    with VideoWriter(tmp_path / "new" / "v.mp4", 160, 120) as video:
        for image, time in zip(images, times, strict=True):
            video.write(image, float(time))
    with open_source(tmp_path / "new" / "v.mp4") as source:
        frames = list(source)
    np.testing.assert_allclose([f.time for f in frames], times - times[0], atol=0.6 / 90_000)
    for frame, image in zip(frames, images, strict=True):
        assert cv2.PSNR(frame.image, image) > 30
        assert np.abs(frame.image.mean((0, 1)) - image.mean((0, 1))).max() < 2


def test_the_file_is_h264_with_its_index_in_front_and_nothing_left_over(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4", 160, 120, rate=29.97) as video:
        for i, image in enumerate(moving(60)):
            video.write(image, i / 29.97)
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4"]
    kinds = boxes_of(tmp_path / "v.mp4")
    assert kinds.index("moov") < kinds.index("mdat")
    assert (tmp_path / "v.mp4").stat().st_size < 400_000
    with av.open(str(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.frames, stream.time_base.denominator) == (60, 90_000)
        frame = next(container.decode(stream))
        assert frame.colorspace in (5, 6)  # BT.601, as the conversion is
        assert frame.color_range == 1


def test_a_gap_longer_than_the_container_knows_is_cut_short(tmp_path: Path) -> None:
    hour = 3600.0
    with VideoWriter(tmp_path / "v.mp4", 64, 48) as video:
        for time in (5.0, 5.0 + 6 * hour, 5.0 + 40 * hour, 6.0 + 40 * hour):
            video.write(np.zeros((48, 64, 3), np.uint8), time)
    with open_source(tmp_path / "v.mp4") as source:
        times = [frame.time for frame in source]
    assert times == pytest.approx([0, 6 * hour, 12 * hour, 12 * hour + 1], abs=1e-4)


def test_opencv_reads_it_too(tmp_path: Path) -> None:
    image = moving(1)[0]
    with VideoWriter(tmp_path / "v.mp4", 160, 120) as video:
        video.write(image, 0.0)
    capture = cv2.VideoCapture(str(tmp_path / "v.mp4"))
    picture = capture.read()[1]
    capture.release()
    assert cv2.PSNR(np.ascontiguousarray(picture[..., ::-1]), image) > 30


@pytest.mark.parametrize("size", [(161, 121), (33, 48), (48, 33), (1, 1)])
def test_odd_sizes_are_padded_to_even_ones(tmp_path: Path, size: tuple[int, int]) -> None:
    image = moving(1, *size)[0]
    with VideoWriter(tmp_path / "v.mp4", *size) as video:
        for i in range(3):
            video.write(image, i / 25)
    with open_source(tmp_path / "v.mp4") as source:
        frames = list(source)
    assert (source.width, source.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    ours = frames[0].image[: size[1], : size[0]].astype(int)
    assert np.abs(ours - image).mean() < 6


def test_nothing_has_the_final_name_before_the_end(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4", 160, 120) as video:
        video.write(moving(1)[0], 0.0)
        assert [p.name for p in tmp_path.iterdir()] == ["v.mp4.part"]
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4"]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError])
def test_an_interrupted_video_is_finished(tmp_path: Path, kind: type[BaseException]) -> None:
    def interrupted() -> None:
        with VideoWriter(tmp_path / "v.mp4", 160, 120) as video:
            for i, image in enumerate(moving(7)):
                video.write(image, i / 25)
            raise kind

    with pytest.raises(kind):
        interrupted()
    with open_source(tmp_path / "v.mp4") as source:
        assert len(list(source)) == 7
    assert "moov" in boxes_of(tmp_path / "v.mp4")


def test_without_a_frame_there_is_no_file(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4", 160, 120):
        pass
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_is_fine_and_writing_after_it_is_not(tmp_path: Path) -> None:
    video = VideoWriter(tmp_path / "v.mp4", 160, 120)
    video.write(moving(1)[0], 0.0)
    video.close()
    video.close()
    with pytest.raises(ValueError, match="closed already"):
        video.write(moving(1)[0], 1.0)


@pytest.mark.parametrize("time", [0.5, 0.499, 0.500001])
def test_times_must_increase_by_a_tick_of_the_clock(tmp_path: Path, time: float) -> None:
    with VideoWriter(tmp_path / "v.mp4", 160, 120) as video:
        video.write(moving(1)[0], 0.0)
        video.write(moving(1)[0], 0.5)
        with pytest.raises(ValueError, match=r"not after 0\.500000"):
            video.write(moving(1)[0], time)


def test_pictures_of_another_size_or_kind_are_refused(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "v.mp4", 160, 120) as video:
        for image in (np.zeros((120, 158, 3), np.uint8), np.zeros((120, 160, 3), np.float32)):
            with pytest.raises(ValueError, match="120×160×3 uint8"):
                video.write(image, 0.0)
    with pytest.raises(ValueError, match="positive sizes"):
        VideoWriter(tmp_path / "v.mp4", 0, 120)
    with pytest.raises(OutputError, match=r"as \.mp4"):
        VideoWriter(tmp_path / "v.avi", 160, 120)


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"v\.mp4: a part of that path is a file"):
        VideoWriter(tmp_path / "file" / "v.mp4", 160, 120)


ENDLESS = """
import itertools, resource, sys
import numpy as np
from litescene.core import OutputError
from litescene.media import VideoWriter

path, limit = sys.argv[1], int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
rng = np.random.default_rng(0)
images = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(4)]
try:
    with VideoWriter(path, 320, 240) as video:
        for i in itertools.count():
            video.write(images[i % 4], i / 25)
            print(i + 1, flush=True)
except OutputError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def frames_of(path: Path) -> int:
    with open_source(path) as source:
        count = sum(1 for _ in source)
        assert source.skipped == []
    return count


@pytest.mark.parametrize("megabytes", [9, 17])
def test_when_no_more_can_be_written_the_frames_so_far_are_a_valid_video(
    tmp_path: Path, megabytes: int
) -> None:
    path = tmp_path / "v.mp4"
    result = subprocess.run(
        [sys.executable, "-c", ENDLESS, str(path), str(megabytes << 20)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    written = int(result.stdout.split()[-1])
    assert f"cannot write {path}: the file would be larger" in result.stderr
    assert f"its first {written} frames are finished and valid" in result.stderr
    assert frames_of(path) == written > 5
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4"]


def test_a_disk_without_room_for_the_first_frame_leaves_nothing(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", ENDLESS, str(tmp_path / "v.mp4"), str(1 << 20)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 2
    assert "frames are finished" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_breaks_is_one_clear_line_and_gives_no_finished_name(tmp_path: Path) -> None:
    breaking = ENDLESS.replace(
        "            print(i + 1, flush=True)",
        "            if i == 20:\n"
        "                resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))",
    )
    result = subprocess.run(
        [sys.executable, "-c", breaking, str(tmp_path / "v.mp4"), "0"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.strip() == (
        f"cannot write {tmp_path / 'v.mp4'}: the file would be larger than the system allows"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4.part"]


def test_space_is_claimed_with_zeros_where_the_system_cannot_allocate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with VideoWriter(tmp_path / "v.mp4", 160, 120) as video:
        for i, image in enumerate(moving(9)):
            video.write(image, i / 25)
    assert frames_of(tmp_path / "v.mp4") == 9
    assert boxes_of(tmp_path / "v.mp4")[-1] == "mdat"


@pytest.mark.parametrize("after", [3, 11, 40])
def test_ctrl_c_leaves_a_valid_video(tmp_path: Path, after: int) -> None:
    path = tmp_path / "v.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(path), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        seen = [int(line) for line in itertools.islice(process.stdout, after)]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read().split()
        assert process.stderr is not None
        assert "KeyboardInterrupt" in process.stderr.read()
    written = int(rest[-1]) if rest else seen[-1]
    assert written <= frames_of(path) <= written + 1
    assert [p.name for p in tmp_path.iterdir()] == ["v.mp4"]


def test_memory_stays_flat_over_many_frames(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import resource, sys
        import numpy as np
        from litescene.media import VideoWriter

        images = np.random.default_rng(0).integers(0, 256, (5, 90, 160, 3), dtype=np.uint8)
        with VideoWriter(sys.argv[1], 160, 90) as video:
            for i in range(2300):
                video.write(images[i % 5], i / 25)
                if i in (300, 2299):
                    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "v.mp4")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    early, late = map(int, result.stdout.split())
    kilobytes = 1 if sys.platform != "darwin" else 1024
    assert (late - early) / kilobytes < 8_000
