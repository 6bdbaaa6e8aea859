"""Ranges of activations, by what calibration pictures cause.

The integers of a tensor are 255 steps between two ends. With the ends at the least and the largest
value nothing is cut off; but where these are outliers, most values share a few steps. In networks
of depthwise convolutions and hard swishes they lie 30 standard deviations out, and the errors of
one layer after another drown what it computes. So the ends are those of the least mean squared
error of rounding and cutting off together: Nagel et al., "A White Paper on Neural Network
Quantization", arXiv 2106.08295, section 3.1. Where only a curve of the values is used, such as a
SiLU, which is next to nothing of large negative values, the error of its results counts. Every
picture counts alike, its errors against its own values: one of them can hold values a hundred times
as large as the others, above all where gates multiply. Zero is always between the ends and an
integer, so that it has no error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.export.int8.ranges import Range

Curve = Callable[[NDArray[Any]], NDArray[Any]]
_BINS = 2048
_SHARES = 2.0 ** (-np.arange(81) / 16)
"""Of the least and of the largest value: where a range may end."""
_STEPS = 255


def extremes(file: Path, operators: Sequence[str], pictures: Any) -> dict[str, Range]:
    """Least and largest value of the tensors around the operators of a graph.

    Args:
        file: the graph.
        operators: what counts.
        pictures: one by one, as ONNX Runtime's `CalibrationDataReader`.

    """
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    augmented = file.with_name("augmented.onnx")
    calibrator = create_calibrator(
        file, list(operators), str(augmented), calibrate_method=CalibrationMethod.MinMax
    )
    calibrator.collect_data(pictures)
    found = calibrator.compute_data().data.items()
    return {
        name: (float(np.min(range_.range_value[0])), float(np.max(range_.range_value[1])))
        for name, range_ in found
    }


def of_least_error(
    file: Path,
    ranges: Mapping[str, Range],
    curves: Mapping[str, Curve],
    pictures: Iterable[Mapping[str, NDArray[Any]]],
) -> dict[str, Range]:
    """The ranges narrowed to where integers err least.

    Args:
        file: the graph.
        ranges: of its tensors.
        curves: of tensors of which only a function of each value is used further on.
        pictures: inputs of the graph.

    """
    import onnx
    from onnxruntime import InferenceSession

    model = onnx.load(file)
    known = {output.name for output in model.graph.output}
    made = [name for node in model.graph.node for name in node.output if name in ranges]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made if name not in known)
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    counts = {name: np.zeros(_BINS) for name in made}
    for picture in pictures:
        for name, values in zip(made, session.run(made, dict(picture)), strict=True):
            energy = float(np.square(curves.get(name, np.positive)(values), dtype=np.float64).sum())
            if energy:
                counts[name] += _counted(values, ranges[name]) / energy
    found = dict(ranges)
    for name in made:
        found[name] = least_error(counts[name], ranges[name], curves.get(name, np.positive))
    return found


def _counted(values: NDArray[Any], range_: Range) -> NDArray[np.int64]:
    """How many of the values other than zero are in each of equal parts of a range."""
    low, high = range_
    if not high > low:
        return np.zeros(_BINS, np.int64)
    inside = np.clip(values[values != 0], low, high)
    places = ((inside - low) * (_BINS / (high - low))).astype(np.int64)
    return np.bincount(np.minimum(places, _BINS - 1), minlength=_BINS)


def least_error(counts: NDArray[Any], range_: Range, curve: Curve = np.positive) -> Range:
    """The ends between which integers have the least squared error.

    Args:
        counts: how many values other than zero lie in each of equal parts of the range, or the
            sums of their weights.
        range_: what the parts divide.
        curve: the function of the values whose error counts; by default themselves.

    Returns:
        Ends around zero, not further out than those of the range; the range itself where it holds
        no values.

    """
    low, high = range_
    if not counts.any():
        return range_
    part = (high - low) / len(counts)
    centres = low + part * (np.arange(len(counts)) + 0.5)
    results, slopes = curve(centres), np.gradient(curve(centres), centres)
    rounded = _running(counts * slopes**2)
    sums = [_running(counts * results**n) for n in range(3)]
    ends = np.meshgrid(min(low, 0.0) * _SHARES, max(high, 0.0) * _SHARES)
    under, upper = (
        np.clip(np.rint((end - low) / part), 0, len(counts)).astype(int) for end in ends
    )
    error = (rounded[upper] - rounded[under]) * ((ends[1] - ends[0]) / _STEPS) ** 2 / 12
    cut_off = [of[under] for of in sums], [of[-1] - of[upper] for of in sums]
    for end, (number, total, squares) in zip(map(curve, ends), cut_off, strict=True):
        error += end**2 * number - 2 * end * total + squares
    best = np.unravel_index(np.argmin(error), error.shape)
    return float(ends[0][best]), float(ends[1][best])


def _running(values: NDArray[Any]) -> NDArray[np.float64]:
    """Sums of the first none, one, two and so on of the values."""
    return np.concatenate([[0.0], np.cumsum(values)])
