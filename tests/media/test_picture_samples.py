"""Pictures for calibration and proofs: from all over a source, of any sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import SourceError
from litescene.media import VideoWriter
from litescene.media.picture_samples import sample_pictures


def fill(folder: Path, count: int = 10) -> Path:
    for i in range(count):
        PIL.Image.new("RGB", (8 + i, 9), (i, 0, 0)).save(folder / f"{i}.png")
    return folder


def reds(pictures: list[np.ndarray]) -> list[int]:
    return [int(picture[0, 0, 0]) for picture in pictures]


def test_pictures_of_a_folder_or_glob_may_differ_in_size(tmp_path: Path) -> None:
    fill(tmp_path)
    assert reds(sample_pictures(str(tmp_path), 3)) == [0, 3, 6]
    assert reds(sample_pictures(str(tmp_path / "[1-4].png"), 64)) == [1, 2, 3, 4]
    assert reds(sample_pictures(str(tmp_path / "7.png"), 2)) == [7]
    assert reds(sample_pictures(str(tmp_path), 6)) == [0, 1, 3, 5, 6, 8]


def test_what_cannot_be_read_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, 4)
    assert reds(sample_pictures(str(tmp_path), 4)) == [0, 1, 2, 3]
    assert not caplog.records
    (tmp_path / "1.png").write_bytes(b"no picture")
    assert reds(sample_pictures(str(tmp_path), 4)) == [0, 2, 3]
    (record,) = caplog.records
    assert record.getMessage().startswith("1 of 4 pictures are left out: ")
    assert "1.png" in record.getMessage()
    for path in tmp_path.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(SourceError, match="none of its pictures can be read"):
        sample_pictures(str(tmp_path), 4)


def test_frames_come_from_all_over_a_video(tmp_path: Path) -> None:
    video = VideoWriter(tmp_path / "x.mp4", 32, 32, 10.0)
    for i in range(20):
        video.write(np.full((32, 32, 3), 12 * i, np.uint8), i / 10)
    video.close()
    assert reds(sample_pictures(str(tmp_path / "x.mp4"), 4)) == pytest.approx(
        [0, 60, 120, 180], abs=6
    )
    assert reds(sample_pictures(str(tmp_path / "x.mp4"), 12))[-1] == pytest.approx(216, abs=6)
    (tmp_path / "x.mp4").rename(tmp_path / "x[1].mp4")  # a name, not a pattern
    assert len(sample_pictures(str(tmp_path / "x[1].mp4"), 4)) == 4
