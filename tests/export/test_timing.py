"""What a group of networks is timed by."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from litescene.export.profile import Profile
from litescene.export.timing import (
    EAGER,
    TIMED,
    WARM_UP,
    Candidate,
    fastest,
    stand_in,
    take_turns,
)


def test_paths_take_turns_and_are_timed_warm() -> None:
    """Caches are full of others at the beginning of a turn, and threads asleep."""
    calls: list[str] = []
    rounds: list[int] = []

    def path(name: str, seconds: float) -> np.ndarray:
        cold = calls[-1:] != [name]
        calls.append(name)
        time.sleep(4 * seconds if cold else seconds)
        return np.zeros((1, 1), np.uint8)

    paths = {
        "slow": lambda: path("slow", 2 * WARM_UP),
        "quick": lambda: path("quick", 0.1 * WARM_UP),
    }
    times = take_turns(paths, 3, rounds.append)
    turns = [(name, len(list(runs))) for name, runs in itertools.groupby(calls)]
    assert [name for name, _ in turns] == 4 * ["slow", "quick"]
    assert [runs for name, runs in turns if name == "slow"] == [1] + 3 * [1 + TIMED]
    assert all(2 + TIMED <= runs <= 7 + TIMED for name, runs in turns[2:] if name == "quick")
    assert {name: len(values) for name, values in times.items()} == dict.fromkeys(paths, 3 * TIMED)
    assert 2e3 * WARM_UP < np.median(times["slow"]) < 4e3 * WARM_UP
    assert 0.1e3 * WARM_UP < np.median(times["quick"]) < 0.4e3 * WARM_UP
    assert rounds == [1, 2, 3]


def test_the_engine_is_chosen_by_the_times_that_are_reported() -> None:
    """One identical network once got an engine 1.7 times as slow, by a measurement before."""
    silent = dict.fromkeys(("openvino-f32", "onnxruntime"), lambda: np.zeros((1, 1), np.uint8))
    made = Candidate("n", Profile(1, 1), 1, "random", silent, silent["onnxruntime"])
    times = {
        ("n", "openvino-f32"): [9.0, 2.0, 3.0],
        ("n", "onnxruntime"): [1.0, 4.0, 5.0],
        ("n", EAGER): [18.0, 6.0, 12.0],
    }
    found = fastest(made, times, 7.0)
    assert (found.engine, found.runtime_ms.median, found.eager_ms.median) == ("openvino-f32", 3, 12)
    assert found.speed_up.median == 3  # round by round: 2, 3, 4
    assert found.reference_ms == 7


@pytest.mark.parametrize(("height", "width"), [(45, 60), (90, 120)])
def test_stand_in_logits_have_the_borders_of_a_street(height: int, width: int) -> None:
    """PP-LiteSeg-T's labels on CamVid: a border in 14 to 18 % of the cells at stride 8."""
    labels = stand_in((11, height, width)).argmax(0)
    corners = labels[:-1, :-1], labels[1:, :-1], labels[:-1, 1:], labels[1:, 1:]
    mixed = np.mean([(corner != corners[0]) for corner in corners], axis=0) > 0
    assert 0.13 * 45 / height < mixed.mean() < 0.19 * 45 / height
    assert len(np.unique(labels)) >= 5
