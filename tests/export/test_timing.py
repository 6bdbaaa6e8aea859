"""What a group of networks is timed by."""

from __future__ import annotations

import time

import numpy as np
import pytest

from litescene.export.timing import MOST_RUNS, TURN, TURN_SECONDS, stand_in, take_turns


def test_paths_take_turns_and_the_first_third_of_a_turn_is_not_timed() -> None:
    """Slow ones run thrice in a turn, quick ones often: waking threads takes milliseconds."""
    calls: list[str] = []
    rounds: list[int] = []

    def path(name: str, seconds: float) -> np.ndarray:
        calls.append(name)
        time.sleep(seconds)
        return np.zeros((1, 1), np.uint8)

    paths = {"slow": lambda: path("slow", 1.5 * TURN_SECONDS), "quick": lambda: path("quick", 0)}
    times = take_turns(paths, 3, rounds.append)
    turn = TURN * ["slow"] + MOST_RUNS * ["quick"]
    assert calls == 2 * ["slow"] + 2 * ["quick"] + 3 * turn
    assert {name: len(values) for name, values in times.items()} == {
        "slow": 3 * 2,
        "quick": 3 * MOST_RUNS * 2 // 3,
    }
    assert min(times["slow"]) > 1.5e3 * TURN_SECONDS
    assert rounds == [1, 2, 3]


@pytest.mark.parametrize(("height", "width"), [(45, 60), (90, 120)])
def test_stand_in_logits_have_the_borders_of_a_street(height: int, width: int) -> None:
    """PP-LiteSeg-T's labels on CamVid: a border in 14 to 18 % of the cells at stride 8."""
    labels = stand_in((11, height, width)).argmax(0)
    corners = labels[:-1, :-1], labels[1:, :-1], labels[:-1, 1:], labels[1:, 1:]
    mixed = np.mean([(corner != corners[0]) for corner in corners], axis=0) > 0
    assert 0.13 * 45 / height < mixed.mean() < 0.19 * 45 / height
    assert len(np.unique(labels)) >= 5
