from __future__ import annotations

import numpy as np
import pytest

from litescene.core import Frame
from litescene.media.frame_names import FrameNames

IMAGE = np.zeros((1, 1, 3), np.uint8)


def given(*names: str) -> list[str]:
    frames = FrameNames()
    made = [frames.give(Frame(i, i / 10, IMAGE, name)) for i, name in enumerate(names)]
    assert [frames[i] for i in range(len(names))] == made
    return made


def test_a_name_that_looks_like_an_addition_to_another_is_not_given_twice() -> None:
    assert given("a_000002.png", "a.png", "a.png") == ["a_000002", "a", "a_000002_1"]


def test_a_frame_without_a_name_does_not_get_a_pictures_number() -> None:
    assert given("000001.png", "", "") == ["000001", "000001_1", "000002"]


def test_a_picture_does_not_get_the_number_of_a_frame_without_a_name() -> None:
    assert given("", "000000.png", "0.png", "000007.png") == [
        "000000", "000000_000001", "0", "000007"
    ]  # fmt: skip


def test_a_picture_keeps_its_ending_and_a_frame_has_none() -> None:
    frames = FrameNames()
    for index, name in enumerate(["a.PNG", "", "b/a.png", "1305031102.175304"]):
        frames.give(Frame(index, index / 10, IMAGE, name))
    assert [frames.picture(i) for i in range(4)] == [
        "a.PNG", "000001", "a_000002.png", "1305031102.175304"
    ]  # fmt: skip


def test_pictures_keep_their_names_and_videos_need_no_memory_for_theirs() -> None:
    assert given("b.jpg", "1305031102.175304", "000002.png") == ["b", "1305031102.175304", "000002"]
    frames = FrameNames()
    for index in range(50):
        frames.give(Frame(index, index / 10, IMAGE))
    assert not frames._taken
    assert not frames._names


@pytest.mark.parametrize("seed", range(20))
def test_no_name_is_ever_given_twice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stems = ["", "a", "a_000003", "a_000003_1", "000002", "000005", "000005_1", "000002_000007"]
    made = given(*rng.choice(stems, 40).tolist())
    assert len(set(made)) == len(made)
