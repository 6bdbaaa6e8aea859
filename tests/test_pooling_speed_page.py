"""The table of the pooling kernels' speed in the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def pooling_speed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "docs")
    import speed

    made: Callable[[Path], str] = speed.pooling_speed
    return made


def test_the_table_has_a_line_for_each_case_and_step(
    pooling_speed: Callable[[Path], str], tmp_path: Path
) -> None:
    def found(ms: float, ratio: float) -> dict[str, dict[str, float]]:
        return {"ms": {"median": ms}, "ratio": {"median": ratio}}

    times = {"fused": found(2.26, 0.527), "avg_pool": found(4.29, 1.0)}
    case = {
        "shape": [8, 64, 112, 112], "kernel": 2, "stride": 2, "channels_last": True,
        "forward": times, "forward_backward": times, "threads": 2, "processor": "P",
        "date": "2026-01-02", "commit": "abc",
    }  # fmt: skip
    file = tmp_path / "pooling_speed.json"
    file.write_text(json.dumps({"k2s2": case}))
    table = [line for line in pooling_speed(file).splitlines() if line.startswith("| kernel 2")]
    assert table == [
        f"| kernel 2, stride 2 | 8×64×112×112, channels last | {step} | 2.3 (0.53) | 4.3 (1.00) | "
        "- | - | - |"
        for step in ("forward", "forward + backward")
    ]
    assert "2 threads" in pooling_speed(file)
    assert "(P, 2026-01-02, commit abc)" in pooling_speed(file)


def test_nothing_stands_where_nothing_was_measured(
    pooling_speed: Callable[[Path], str], tmp_path: Path
) -> None:
    assert pooling_speed(tmp_path / "none.json") == ""
