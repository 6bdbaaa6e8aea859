"""Windows, inputs and ONNX graphs for the tests of all poolings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

GEOMETRIES: list[tuple[int, dict[str, Any]]] = [
    (1, {"kernel_size": 3, "stride": 2, "padding": 1}),
    (1, {"kernel_size": 2, "stride": 3, "ceil_mode": True}),
    (2, {"kernel_size": 2}),
    (2, {"kernel_size": 3, "stride": 2, "padding": 1}),
    (2, {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0), "dilation": (2, 1)}),
    (2, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    (2, {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": True,
         "ceil_mode": True}),
    (3, {"kernel_size": 2}),
    (3, {"kernel_size": (2, 3, 2), "stride": (2, 1, 2), "padding": (0, 1, 1)}),
]  # fmt: skip


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(3))


def picture(dims: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return noise(2, 3, *(7, 8, 6)[:dims], dtype=dtype)


class _Called(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def onnx_outputs(
    function: Callable[[Tensor], Tensor], inputs: Sequence[Tensor], folder: Path
) -> list[Tensor]:
    """What ONNX Runtime computes of a function that was traced with the first input."""
    onnxruntime = pytest.importorskip("onnxruntime")
    file = folder / "pool.onnx"
    axes = {"x": {0: "n"} | {axis: f"s{axis}" for axis in range(2, inputs[0].ndim)}}
    network = function if isinstance(function, nn.Module) else _Called(function)
    with warnings.catch_warnings():
        # of the exporter that bundles are made with, and of slices that runtimes compute
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding")
        # of PyTorch's own layers, which look at sizes; that others fit is what callers compare
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        torch.onnx.export(
            network, (inputs[0],), file, input_names=["x"], dynamic_axes=axes,
            opset_version=18, dynamo=False,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return [torch.from_numpy(session.run(None, {"x": x.numpy()})[0]) for x in inputs]
