"""Records of `litescene bench`, and the choice among their networks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litescene.core import InputError
from litescene.core.trained import TrainedRun
from litescene.runtime import write_metadata
from litescene.runtime.benchmark import (
    Benchmark,
    Measurement,
    Spread,
    choose_network,
    differences,
    front,
)
from tiny_bundles import segmentation_contract, segmentation_model


def measured(name: str, milliseconds: float) -> Measurement:
    spread = Spread.of([0.9 * milliseconds, milliseconds, 1.2 * milliseconds])
    return Measurement(
        name=name,
        parameters=1,
        macs=2,
        bundle_bytes=3,
        weights="random",
        engine="onnxruntime",
        runtime_ms=spread,
        eager_ms=spread,
        speed_up=spread,
        reference_ms=1.0,
        date="2026-01-01T00:00:00Z",
    )


def record_of(milliseconds: dict[str, float]) -> Benchmark:
    conditions = {"size": [64, 96], "engine": "auto", "threads": 2, "commit": "a"}
    return Benchmark(conditions, {n: measured(n, ms) for n, ms in milliseconds.items()})


def trained(accuracies: dict[str, float]) -> dict[str, TrainedRun]:
    return {name: TrainedRun(name, "p", value) for name, value in accuracies.items()}


@given(st.lists(st.floats(0.1, 1e4), min_size=2, max_size=30))
def test_a_spread_is_that_of_numpy(values: list[float]) -> None:
    spread = Spread.of(values)
    wanted = np.percentile(values, [50, 25, 75])
    np.testing.assert_allclose([spread.median, spread.q1, spread.q3], wanted, rtol=1e-9)
    assert (spread.least, spread.count) == (min(values), len(values))


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = record_of({"a": 10.0, "b": 5.0})
    record.write(tmp_path / "r.json")
    again = Benchmark.read(tmp_path / "r.json")
    assert again == record
    plain = json.loads((tmp_path / "r.json").read_text())
    assert [entry["name"] for entry in plain["networks"]] == ["b", "a"]
    assert plain["networks"][0]["flops"] == 4
    assert differences(again, record.conditions) == []
    assert differences(again, record.conditions | {"threads": 7, "commit": "x"}) == [
        "commit",
        "threads",
    ]


@pytest.mark.parametrize("text", ["{", "[]", '{"benchmark": "segmentation"}', '{"metrics": {}}'])
def test_a_file_that_is_no_record_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError, match=r"r\.json is no record"):
        Benchmark.read(tmp_path / "r.json")
    with pytest.raises(InputError, match="absent"):
        Benchmark.read(tmp_path / "absent.json")


def test_the_front_counts_networks_with_an_accuracy_only() -> None:
    record = record_of({"a": 10.0, "b": 20.0, "c": 5.0, "unknown": 1.0})
    assert front(record, trained({"a": 0.6, "b": 0.5, "c": 0.4, "unmeasured": 0.9})) == ["c", "a"]


speeds = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([5.0, 10.0, 20.0, 40.0]))
accuracies = st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([0.4, 0.5, 0.6, 0.7]))


@settings(deadline=None)
@given(speeds, accuracies, st.sampled_from([8.0, 15.0, 30.0]))
def test_the_choice_is_the_best_of_those_in_time(
    times: dict[str, float], gains: dict[str, float], budget: float
) -> None:
    record, runs = record_of(times), trained(gains)
    # the upper quartile of 0.9, 1 and 1.2 times a latency is 1.1 times it
    fitting = {n for n in times if n in gains and 1.1 * times[n] <= budget}
    if not fitting:
        with pytest.raises(InputError):
            choose_network(record, runs, budget)
        return
    choice = choose_network(record, runs, budget)
    assert set(choice.in_time) == fitting
    assert gains[choice.in_time[0]] == max(gains[n] for n in fitting)
    best = gains[choice.in_time[0]]
    assert {n for n in gains if n in times and gains[n] > best} <= set(choice.too_slow)
    assert fitting.isdisjoint(choice.too_slow)


def test_the_footprint_grows_with_the_bundle(tmp_path: Path) -> None:
    """40 MB more in the file take 40 MB more of memory, measured from the same start."""
    grown = []
    for megabytes in (0, 40):
        model = onnx.load_from_string(segmentation_model())
        model.doc_string = "x" * (megabytes * 10**6)
        path = tmp_path / "bundle.onnx"
        path.write_bytes(write_metadata(model.SerializeToString(), segmentation_contract()))
        words = [sys.executable, "-m", "litescene.runtime.footprint", str(path), "onnxruntime"]
        done = subprocess.run(
            [*words, "1", "64", "96"], capture_output=True, text=True, check=True, timeout=120
        )
        said = json.loads(done.stdout)
        if said["peak"] is None:
            pytest.skip("this system does not tell a process's memory")
        grown.append(said["peak"] - said["before"])
    assert grown[1] - grown[0] > 40e6
