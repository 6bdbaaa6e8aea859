"""What a group of networks is timed by."""

from __future__ import annotations

import numpy as np
import pytest

from litescene.export.timing import TURN, stand_in, take_turns


def test_paths_take_turns_and_the_first_run_of_a_turn_is_not_timed() -> None:
    calls: list[str] = []
    rounds: list[int] = []

    def path(name: str) -> np.ndarray:
        calls.append(name)
        return np.zeros((1, 1), np.uint8)

    paths = {"a": lambda: path("a"), "b": lambda: path("b")}
    times = take_turns(paths, 3, rounds.append)
    assert calls == ["a", "b"] + 3 * (TURN * ["a"] + TURN * ["b"])
    assert {name: len(values) for name, values in times.items()} == {
        "a": 3 * (TURN - 1),
        "b": 3 * (TURN - 1),
    }
    assert rounds == [1, 2, 3]


@pytest.mark.parametrize(("height", "width"), [(45, 60), (90, 120)])
def test_stand_in_logits_have_the_borders_of_a_street(height: int, width: int) -> None:
    """PP-LiteSeg-T's labels on CamVid: a border in 14 to 18 % of the cells at stride 8."""
    labels = stand_in((11, height, width)).argmax(0)
    corners = labels[:-1, :-1], labels[1:, :-1], labels[:-1, 1:], labels[1:, 1:]
    mixed = np.mean([(corner != corners[0]) for corner in corners], axis=0) > 0
    assert 0.13 * 45 / height < mixed.mean() < 0.19 * 45 / height
    assert len(np.unique(labels)) >= 5
