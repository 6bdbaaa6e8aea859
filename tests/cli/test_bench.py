"""`bench` and `pick`: measuring networks here, and choosing one of them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from litescene.core import provenance
from litescene.core.errors import LitesceneError
from litescene.core.trained import COMMON
from litescene.export import bench as bench_module
from litescene.export import profile
from litescene.models import create_model
from litescene.runtime.benchmark import Benchmark, conditions_of, kept_file

SMALL = ("--size", "96x64", "--threads", "1", "--rounds", "2", "--engine", "onnxruntime")
NAME = "fast_scnn"


@pytest.fixture(autouse=True)
def same_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit made while the tests run makes no other conditions."""
    monkeypatch.setattr(provenance, "commit", lambda: "0123456789ab")


def store(folder: Path, accuracies: dict[str, float], protocol: str = COMMON) -> Path:
    """Result files as training writes them."""
    (folder / "segmentation").mkdir(parents=True)
    for name, value in accuracies.items():
        run = {"protocol": protocol, "mean_iou": value, "data": "camvid:val"}
        text = json.dumps({"name": name, "runs": [run]})
        (folder / "segmentation" / f"{name}.json").write_text(text)
    return folder


def entry(name: str, milliseconds: float) -> dict[str, Any]:
    """A measurement as `export.timing` answers it; the upper quartile is 10 % above the median."""
    spread = {"median": milliseconds, "q1": milliseconds, "q3": 1.1 * milliseconds,
              "least": milliseconds, "count": 3}  # fmt: skip
    return {
        "name": name,
        "parameters": 1_000_000,
        "macs": 10**9,
        "bundle_bytes": 4_000_000,
        "weights": "random",
        "engine": "onnxruntime",
        "runtime_ms": spread,
        "eager_ms": spread,
        "speed_up": spread,
        "reference_ms": 1.0,
        "date": "2026-01-01T00:00:00Z",
        "peak_bytes": None,
        "network_bytes": None,
    }


def keep(times: dict[str, float]) -> Path:
    """A record where `bench` keeps its last one."""
    conditions = conditions_of((360, 480), "auto", 2, 10, 11)
    networks = [entry(name, ms) for name, ms in times.items()]
    file = kept_file(conditions)
    file.parent.mkdir(parents=True, exist_ok=True)
    text = {"benchmark": "segmentation", "conditions": conditions, "networks": networks}
    file.write_text(json.dumps(text))
    return file


def test_a_network_is_measured_drawn_kept_and_picked(call: Any, place: Path) -> None:
    results = store(place / "results", {NAME: 0.612})
    words = ("bench", "segmentation", "--models", NAME, *SMALL, "--results", results)
    ended = call(*words, "--json", "speed.json")
    assert ended.code == 0, ended.err
    assert NAME in ended.out
    assert "0.612" in ended.out
    record = json.loads((place / "speed.json").read_text())
    (found,) = record["networks"]
    counts = profile(create_model(NAME, num_classes=11, training_heads=False), (64, 96))
    assert (found["parameters"], found["macs"]) == (counts.parameters, counts.macs)
    assert found["flops"] == 2 * counts.macs
    # float32 weights, and little else
    assert 4 * counts.parameters < found["bundle_bytes"] < 4.5 * counts.parameters
    for key in ("runtime_ms", "eager_ms", "speed_up"):
        assert 0 < found[key]["least"] <= found[key]["q1"] <= found[key]["median"]
        assert found[key]["median"] <= found[key]["q3"]
        assert found[key]["count"] == 4
    assert (found["engine"], found["weights"]) == ("onnxruntime", "random")
    assert found["peak_bytes"] is None or found["peak_bytes"] > found["network_bytes"] > 4e6
    assert record["conditions"]["size"] == [64, 96]
    assert {"commit", "processor", "packages"} <= set(record["conditions"])

    # the same command again measures nothing, and draws what is there
    ended = call(*words, "--json", "speed.json", "--picture", "front")
    assert ended.code == 0, ended.err
    assert "1 of 1 were measured before" in ended.err
    assert json.loads((place / "speed.json").read_text()) == record
    titles = [e.text or "" for e in ET.parse(place / "front.svg").iter() if "title" in e.tag]
    assert [title.partition(":")[0] for title in titles] == [NAME]
    assert f"{found['runtime_ms']['median']:.1f} ms, mean IoU 0.612" in titles[0]
    assert (place / "front.png").read_bytes().startswith(b"\x89PNG")

    # without a file the record of the cache is taken
    ended = call("pick", "--fps", "0.01", "--results", results)
    assert ended.code == 0, ended.err
    assert f"{NAME}: mean IoU 0.612 (camvid:val, protocol {COMMON})" in ended.out
    assert f"segment VIDEO --model {NAME}.onnx" in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--size", "96"), "WIDTHxHEIGHT"),
        (("--size", "96x32"), "64x64"),
        (("--models", "fast_snn"), "fast_scnn"),
        (("--engine", "onnxrntime"), "did you mean onnxruntime"),
        (("--picture", "front.pdf"), ".svg or .png"),
        (("--protocol", "mine"), "'mine'; protocols with results: segmentation_common"),
        (("--results", "nowhere"), "'nowhere' does not exist"),
        (("--results", "."), "no result is stored yet"),
        (("--json", "other.json"), "other.json is no record"),
        (("--json", "other.json/r.json"), "a file, not a folder"),
        (("--picture", "other.json/front.svg"), "a file, not a folder"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_measured(
    words: tuple[str, ...], said: str, call: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_module, "_ask", lambda *_: pytest.fail("something was measured"))
    (place / "other.json").write_text("{}")
    results = store(place / "results", {NAME: 0.6})
    ended = call("bench", "segmentation", "--models", NAME, *SMALL, "--results", results, *words)
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert said in ended.err


def answer(module: str, networks: list[str]) -> dict[str, Any]:
    if module.endswith("footprint"):
        return {"before": 10, "peak": 30}
    return {"measured": [entry(name, 10) for name in networks], "failed": {}}


def test_a_network_that_ends_its_process_costs_only_itself(
    call: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(module: str, words: Any, folder: str, given: str, step: Any) -> dict[str, Any]:
        networks = json.loads(given)["networks"] if given else []
        if "pp_liteseg_t" in networks:
            raise LitesceneError("its process ended with code -11: ")
        return answer(module, networks)

    monkeypatch.setattr(bench_module, "_ask", ask)
    ended = call("bench", "segmentation", "--models", "pp_liteseg_*", *SMALL, "--json", "r.json")
    assert ended.code == 1
    assert "pp_liteseg_t could not be measured: its process ended with code -11" in ended.err
    networks = Benchmark.read(place / "r.json").networks
    assert set(networks) == {"pp_liteseg_b"}
    assert (networks["pp_liteseg_b"].peak_bytes, networks["pp_liteseg_b"].network_bytes) == (30, 20)


def test_ctrl_c_keeps_what_was_measured_and_the_same_command_goes_on(
    call: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    stopped: list[str] = []

    def ask(module: str, words: Any, folder: str, given: str, step: Any) -> dict[str, Any]:
        networks = json.loads(given)["networks"] if given else []
        if "pp_liteseg_t" in networks and not stopped:
            stopped.extend(networks)
            raise KeyboardInterrupt
        asked.extend(networks)
        return answer(module, networks)

    monkeypatch.setattr(bench_module, "_ask", ask)
    monkeypatch.setattr(bench_module, "GROUP", 1)
    words = ("bench", "segmentation", "--models", "pp_liteseg_*", *SMALL, "--json", "r.json")
    ended = call(*words)
    assert ended.code == 130
    assert "r.json" in ended.err
    assert set(Benchmark.read(place / "r.json").networks) == {"pp_liteseg_b"}
    assert call(*words).code == 0
    assert asked == ["pp_liteseg_b", "pp_liteseg_t"]
    assert set(Benchmark.read(place / "r.json").networks) == {"pp_liteseg_b", "pp_liteseg_t"}


def test_a_record_of_other_conditions_is_replaced_only_if_asked(
    call: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        bench_module,
        "_ask",
        lambda module, words, folder, given, step: answer(module, [NAME] if given else []),
    )
    words = ("bench", "segmentation", "--models", NAME, *SMALL, "--json", "r.json")
    assert call(*words).code == 0
    ended = call(*words, "--threads", "2")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "threads" in ended.err
    assert call(*words, "--threads", "2", "--again").code == 0
    assert Benchmark.read(place / "r.json").conditions["threads"] == 2


def test_pick_names_the_best_in_time_and_those_next_to_it(call: Any, place: Path) -> None:
    keep({"pp_liteseg_t": 20.0, "slow": 60.0, "fast": 5.0, "edge": 32.0, "unknown": 1.0})
    gains = {"pp_liteseg_t": 0.7, "slow": 0.8, "fast": 0.5, "edge": 0.75, "unmeasured": 0.9}
    results = store(place / "results", gains)
    # the upper quartile of `edge` is 35.2 ms: over the 33.3 ms of 30 frames a second
    ended = call("pick", "--task", "segmentation", "--fps", "30", "--results", results)
    assert ended.code == 0, ended.err
    assert ended.out.startswith("pp_liteseg_t: mean IoU 0.700")
    assert "litescene segment VIDEO --model pp_liteseg_t " in ended.out
    table = ended.out.partition("next to it:")[2].split()
    assert [table.index(n) for n in ("slow", "edge", "fast")] == sorted(
        table.index(n) for n in ("slow", "edge", "fast")
    )
    assert "unknown" in ended.err
    assert "unmeasured" in ended.err
    assert call("pick", "--fps", "20", "--results", results).out.startswith("edge: ")
    assert call("pick", "--fps", "10", "--results", results).out.startswith("slow: ")


def test_pick_names_what_ships_beside_what_is_to_be_trained(call: Any, place: Path) -> None:
    keep({"pp_liteseg_t": 20.0, "fast": 5.0})
    results = store(place / "results", {"fast": 0.5})
    ended = call("pick", "--fps", "30", "--results", results)
    assert ended.out.startswith("fast: ")
    assert "ships, and is in time: pp_liteseg_t, mean IoU 0.730 by its own card" in ended.out
    assert "20.0 ms a frame\n  litescene segment VIDEO --model pp_liteseg_t\n" in ended.out
    ended = call("pick", "--fps", "100", "--results", results)
    assert "ships, and is in time" not in ended.out


def test_pick_names_the_weights_that_lie_beside_the_results(call: Any, place: Path) -> None:
    keep({"pp_liteseg_t": 20.0})
    results = store(place / "runs/alike/results", {"pp_liteseg_t": 0.5}, "mine")
    words = ("pick", "--fps", "30", "--results", "runs/alike/results", "--protocol", "mine")
    assert "--model pp_liteseg_t  # shipped weights" in call(*words).out
    weights = results.parent / "pp_liteseg_t/last.safetensors"
    weights.parent.mkdir()
    weights.touch()
    assert call(*words).out.count("litescene") == 2
    assert (
        "  litescene export runs/alike/pp_liteseg_t/last.safetensors -o pp_liteseg_t.onnx\n"
        "  litescene segment VIDEO --model pp_liteseg_t.onnx\n"
    ) in call(*words).out


def test_pick_says_what_to_do_where_it_cannot_choose(call: Any, place: Path) -> None:
    results = store(place / "results", {"fast": 0.5})
    ended = call("pick", "--fps", "30", "--results", results)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "litescene bench segmentation" in ended.err
    keep({"fast": 50.0})
    ended = call("pick", "--fps", "30", "--results", results)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "the fastest, fast, takes 55.0 ms" in ended.err
    ended = call("pick", "--fps", "30", "--results", results, "--protocol", "mine")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert COMMON in ended.err


def test_pick_says_that_a_record_is_of_another_machine(call: Any, place: Path) -> None:
    file = keep({"fast": 5.0})
    plain = json.loads(file.read_text())
    plain["conditions"]["processor"] = "Analytical Engine"
    (place / "theirs.json").write_text(json.dumps(plain))
    results = store(place / "results", {"fast": 0.5})
    ended = call("pick", "--fps", "30", "--results", results, "--json", "theirs.json")
    assert ended.code == 0
    assert "another machine: Analytical Engine" in ended.err


def test_a_whole_record_of_another_commit_is_drawn_and_a_partial_one_refused(
    call: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture gains the accuracies of later trainings; measurements of two commits never mix."""
    monkeypatch.setattr(
        bench_module,
        "_ask",
        lambda module, words, folder, given, step: answer(module, [NAME] if given else []),
    )
    words = ("bench", "segmentation", *SMALL, "--json", "r.json")
    assert call(*words, "--models", NAME).code == 0
    before = json.loads((place / "r.json").read_text())

    monkeypatch.setattr(provenance, "commit", lambda: "ba9876543210")
    monkeypatch.setattr(bench_module, "_ask", lambda *_: pytest.fail("something was measured"))
    results = store(place / "results", {NAME: 0.612})
    drawn = (*words, "--results", results, "--picture", "front.svg")
    ended = call(*drawn, "--models", NAME)
    assert ended.code == 0, ended.err
    assert "r.json is shown as it was measured; here and now differ: commit" in ended.err
    assert "mean IoU 0.612" in (place / "front.svg").read_text()
    assert json.loads((place / "r.json").read_text()) == before

    ended = call(*drawn, "--models", NAME, "--models", "enet")
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert "other conditions (commit)" in ended.err


def test_focus_is_counted_and_timed_beside_convolutions(call: Any, place: Path) -> None:
    # The least of twenty turns, as a busy machine may slow both turns of two.
    ended = call("bench", "focus", "--size", "64x96", "--rounds", "20", "--json", "focus.json")
    assert ended.code == 0
    assert "Focus: 4 slices, 3×3 " in ended.out
    forms = json.loads((place / "focus.json").read_text())["forms"]
    assert [form["parameters"] for form in forms] == [3520, 3520, 928]
    assert forms[0]["macs"] == forms[1]["macs"] == 4 * forms[2]["macs"] == 32 * 48 * 12 * 9 * 32
    assert all(form["training_ms"]["least"] > form["forward_ms"]["least"] > 0 for form in forms)
    odd = call("bench", "focus", "--size", "65x96")
    assert (odd.code, odd.err.count("\n")) == (2, 1)
    assert "even sides, not 65×96" in odd.err
    assert "takes --size" in call("bench", "focus", "--models", "enet").err
