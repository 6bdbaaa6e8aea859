"""Ranges of activations, against a search over every pair of ends in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from litescene.export.int8.calibration import least_error, of_least_error

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


def test_values_of_a_graph_are_counted_and_what_is_beyond_a_range_counts_as_its_end(
    tmp_path: Path,
) -> None:
    """Three quarters of x lie below -3, which the given range leaves out: they cost nothing."""
    nodes = [
        helper.make_node("Identity", ["x"], ["open"]),
        helper.make_node("Identity", ["open"], ["closed"]),
        helper.make_node("Identity", ["closed"], ["same"]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n"]) for n in ("x", "same")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "graph.onnx")
    spread = np.linspace(-3, 3, 100)
    x = np.concatenate([np.full(300, -40), spread]).astype(np.float32)
    ranges = {"x": (0.0, 1.0), "open": (-40.0, 3.0), "closed": (-3.0, 3.0), "same": (2.0, 2.0)}
    found = of_least_error(tmp_path / "graph.onnx", ranges, [{"x": part} for part in (x, x[::-1])])
    assert found["x"] == (0.0, 1.0)  # no node made it
    assert found["open"][0] < -36
    assert found["closed"] == pytest.approx((-3, 3))
    assert found["same"] == (2.0, 2.0)
