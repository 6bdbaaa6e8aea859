from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import litescene.media
from litescene.core import Frame, SourceError
from litescene.media import open_source


def picture(value: int = 0) -> np.ndarray:
    return np.full((48, 64, 3), value, np.uint8)


def test_the_rooms_public_names_are_listed_and_load() -> None:
    assert sorted(litescene.media.__all__) == sorted(litescene.media._HOMES)
    for name in litescene.media.__all__:
        assert getattr(litescene.media, name).__name__ == name
    assert set(litescene.media.__all__) <= set(dir(litescene.media))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        litescene.media.nothing  # noqa: B018


def test_arrays_become_frames_at_a_fixed_rate_and_can_be_read_again() -> None:
    with open_source([picture(1), picture(2), picture(3)], rate=10, limit=2) as source:
        assert (source.frame_count, source.rate, source.live) == (2, 10, False)
        for _ in range(2):
            seen = [(f.index, f.time, int(f.image[0, 0, 0])) for f in source]
            assert seen == [(0, 0.0, 1), (1, 0.1, 2)]


def test_a_generator_of_frames_keeps_times_and_names_and_is_numbered_anew() -> None:
    given = (Frame(7 * i, 0.5 + i, picture(), f"n{i}") for i in range(3))
    source = open_source(given)
    assert (source.frame_count, source.width, source.height) == (None, 64, 48)
    seen = [(f.index, f.time, f.name) for f in source]
    assert seen == [(0, 0.5, "n0"), (1, 1.5, "n1"), (2, 2.5, "n2")]
    assert list(source) == []


def test_times_must_increase() -> None:
    frames = [Frame(0, 1.0, picture()), Frame(1, 1.0, picture())]
    with pytest.raises(SourceError, match=r"frame 1 has time 1\.000000 s"):
        list(open_source(frames))


def test_frames_of_an_iterable_have_one_size() -> None:
    with pytest.raises(SourceError, match="frame 1 is 32×48"):
        list(open_source([picture(), picture()[:, :32]]))


def test_pictures_of_an_iterable_may_differ_in_size_where_their_reader_says_so() -> None:
    source = open_source([picture(), picture()[:, :32]], any_size=True)
    assert [frame.width for frame in source] == [64, 32]


def test_an_empty_name_is_not_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match="the source is an empty word; expected a video"):
        open_source("")


def test_nothing_to_open_is_an_error_that_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file or folder .*gone\.mp4; expected a video"):
        open_source(tmp_path / "gone.mp4")
    with pytest.raises(SourceError, match="no file or folder camera:99999999999; expected"):
        open_source("camera:99999999999")
    with pytest.raises(SourceError, match="empty"):
        open_source([])


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(SourceError, match=f"not {limit}"):
        open_source([picture()], limit=limit)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_rate_that_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(SourceError, match="positive number"):
        open_source([picture()], rate=rate)
