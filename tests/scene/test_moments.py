"""A few pictures for a video of any length."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from litescene.scene.moments import MOMENTS, Moments


@pytest.mark.parametrize("frames", [1, 3, 6, 7, 30, 101, 2000])
def test_moments_spread_over_the_whole_video_whatever_its_length(frames: int) -> None:
    moments, image = Moments(), np.zeros((12, 16, 3), np.uint8)
    for index in range(frames):
        moments.show(index / 10, image)
    times = [10 * moment.time for moment in moments.chosen()]
    assert len(times) == min(frames, MOMENTS)
    assert times == sorted(set(times))
    assert times[0] == 0
    assert times[-1] >= 0.8 * (frames - 1)
    gaps = np.diff([*times, frames])
    assert gaps.max() <= max(2.5 * frames / MOMENTS, 2)


def test_moments_are_small_pictures_in_the_right_colours() -> None:
    moments, image = Moments(), np.zeros((720, 1280, 3), np.uint8)
    image[:] = (200, 40, 20)
    moments.show(0.0, image)
    (moment,) = moments.chosen()
    assert len(moment.jpeg) < 20_000
    decoded = cv2.imdecode(np.frombuffer(moment.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (360, 640, 3)
    np.testing.assert_allclose(decoded.mean((0, 1)), (20, 40, 200), atol=6)


def test_without_a_picture_there_are_no_moments() -> None:
    assert Moments().chosen() == []
