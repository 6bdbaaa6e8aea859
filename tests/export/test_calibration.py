"""Ranges of activations, against a search over every pair of ends in float64."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from litescene.export.int8.calibration import least_error, of_least_error
from litescene.export.int8.gates import hard_swish

PARTS = 2048


def error(values: NDArray[np.float64], low: float, high: float) -> float:
    """Mean squared error of 8 bits between two ends, zero being an integer of its own."""
    scale = (high - low) / 255
    zero = np.rint(-low / scale)
    integers = np.clip(np.rint(values / scale) + zero, 0, 255)
    return float(np.mean((values - (integers - zero) * scale) ** 2))


def counted(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.int64]:
    return np.histogram(values[values != 0], PARTS, (low, high))[0]


def drawn(kind: str) -> NDArray[np.float64]:
    rng = np.random.default_rng(7)
    values = rng.laplace(size=20_000)
    if kind == "rectified":
        return np.maximum(values, 0)
    if kind == "outliers":
        values[:20] *= 12
    if kind == "even":
        return rng.uniform(-1, 3, 20_000)
    if kind == "negative":
        return -np.abs(values) - 0.5
    return values


@pytest.mark.parametrize("kind", ["laplace", "rectified", "outliers", "even", "negative"])
def test_no_other_ends_err_much_less(kind: str) -> None:
    values = drawn(kind)
    low, high = values.min(), values.max()
    found = least_error(counted(values, low, high), (low, high))
    assert low <= found[0] <= 0 <= found[1] <= max(high, 0)
    shares = np.linspace(0.04, 1, 49)
    pairs = [(min(low, 0) * a, max(high, 0) * b) for a in shares for b in shares]
    best = min(error(values, *pair) for pair in pairs)
    assert error(values, *found) <= 1.05 * best
    if kind == "even":
        assert found == pytest.approx((low, high), rel=0.06)


def test_a_lonely_outlier_is_cut_off() -> None:
    """With one at 40 among 400,000 within -5 and 5, to cut off a third of it is best."""
    values = np.append(np.random.default_rng(7).normal(size=400_000).clip(-5, 5), 40.0)
    low, high = values.min(), values.max()
    found = least_error(counted(values, low, high), (low, high))
    assert found[1] < 30
    assert error(values, *found) < 0.7 * error(values, low, high)


def test_a_range_without_values_stays() -> None:
    assert least_error(np.zeros(PARTS, np.int64), (-1.0, 2.0)) == (-1.0, 2.0)


def model_of(names: str, folder: Path) -> Path:
    """A graph in which x goes through a row of names unchanged."""
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in pairwise(("x", *names.split()))]
    last = names.split()[-1]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n"]) for n in ("x", last)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "graph.onnx")
    return folder / "graph.onnx"


def test_where_a_curve_is_used_its_error_counts(tmp_path: Path) -> None:
    """Three quarters of x lie at -40, where a hard swish is 0."""
    x = np.concatenate([np.full(300, -40), np.linspace(-3, 3, 100)]).astype(np.float32)
    names = "itself its_curve one_value"
    ranges = {
        "x": (0.0, 1.0),
        **dict.fromkeys(names.split(), (-40.0, 3.0)),
        "one_value": (2.0, 2.0),
    }
    found = of_least_error(
        model_of(names, tmp_path), ranges, {"its_curve": hard_swish}, [{"x": x}, {"x": x[::-1]}]
    )
    assert found["x"] == (0.0, 1.0)  # no node made it
    assert found["itself"][0] < -36
    assert -3.6 < found["its_curve"][0] < -2.4
    assert found["one_value"] == (2.0, 2.0)
    values = x.astype(np.float64)

    def curve_error(low: float, high: float) -> float:
        scale = (high - low) / 255
        kept = np.clip(np.rint(values / scale), np.rint(low / scale), np.rint(high / scale)) * scale
        return float(np.mean((hard_swish(kept) - hard_swish(values)) ** 2))

    shares = 2.0 ** (-np.arange(60) / 10)
    best = min(curve_error(-40 * a, 3 * b) for a in shares for b in shares)
    assert curve_error(*found["its_curve"]) <= 1.1 * best


def test_one_picture_of_large_values_does_not_take_the_steps_of_the_others(tmp_path: Path) -> None:
    x = np.random.default_rng(7).laplace(size=4000).astype(np.float32)
    pictures = [{"x": x * scale} for scale in (1, 1, 1, 1, 100)]
    ends = float(x.min()) * 100, float(x.max()) * 100
    found = of_least_error(model_of("a b", tmp_path), {"a": ends, "b": ends}, {}, pictures)
    assert max(np.abs(found["a"])) < 0.4 * max(np.abs(ends))

    def relative_error(low: float, high: float) -> float:
        """Mean of both kinds of pictures, one by one, over their own squares."""
        kinds = [p["x"].astype(np.float64) for p in (pictures[0], pictures[-1])]
        errors = [error(values, low, high) / np.mean(values**2) for values in kinds]
        return (4 * errors[0] + errors[1]) / 5

    shares = 2.0 ** (-np.arange(60) / 10)
    best = min(relative_error(ends[0] * a, ends[1] * b) for a in shares for b in shares)
    assert relative_error(*found["a"]) <= 1.1 * best
