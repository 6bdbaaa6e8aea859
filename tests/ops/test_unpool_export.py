"""The ways back as graphs: exported to standard operators, and compiled."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.ops.pooling import (
    AdaPool,
    AdaUnPool,
    Masks,
    ada_pool_with_masks,
    ada_unpool,
    ada_unpool_into,
    max_pool_with_places,
    max_unpool,
)


class Overlapping(nn.Module):
    """Windows of 3×3 with stride 2, and lengths that they do not fill."""

    def forward(self, x: Tensor) -> Tensor:
        y, masks = ada_pool_with_masks(x, 3, 2, 1)
        return ada_unpool_into(2 * y, masks, (9, 12), 3, 2, 1, normalize="mean")


class ThereAndBack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pool, self.unpool = AdaPool(2, channels=3), AdaUnPool()
        nn.init.normal_(self.pool.logit)

    def forward(self, x: Tensor) -> Tensor:
        y, masks, beta = self.pool.with_masks(x)
        back: Tensor = self.unpool(2 * y, masks, beta)
        return back


def exported(network: nn.Module, shape: tuple[int, ...], axes: dict[int, str], file: Path) -> Any:
    """A session of ONNX Runtime whose input is x."""
    onnxruntime = pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        # of the exporter that bundles are made with, of sizes that it sees, and of slices
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding")
        torch.onnx.export(
            network, (torch.randn(shape),), file, input_names=["x"], dynamic_axes={"x": axes},
            opset_version=17, dynamo=False,
        )  # fmt: skip
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def test_the_way_there_and_back_exports_for_any_size(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = ThereAndBack().eval()
    session = exported(network, (2, 3, 8, 12), {0: "n", 2: "h", 3: "w"}, tmp_path / "back.onnx")
    for shape in ((2, 3, 8, 12), (1, 3, 10, 6), (3, 3, 64, 2)):
        x = torch.randn(shape)
        (found,) = session.run(None, {"x": x.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(found, network(x).numpy(), atol=1e-5)


def test_overlapping_tiles_export_for_one_size_and_any_batch(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Overlapping().eval()
    session = exported(network, (2, 3, 9, 12), {0: "n"}, tmp_path / "overlapping.onnx")
    for count in (2, 1, 5):
        x = torch.randn(count, 3, 9, 12)
        (found,) = session.run(None, {"x": x.numpy()})
        np.testing.assert_allclose(found, network(x).numpy(), atol=1e-5)


class Places(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y, places = max_pool_with_places(x, 3, 2, 1)
        return max_unpool(2 * y, places, (9, 12))


@pytest.mark.parametrize("way", [Overlapping, Places])
def test_the_way_back_compiles_in_one_graph(way: type[nn.Module]) -> None:
    network, x = way(), torch.randn(2, 3, 9, 12)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), network(x))


@pytest.mark.parametrize("size", [(4, 6), (8, 9), (5, 7), (12, 2)])
def test_values_come_to_the_masks_size_by_area_whether_or_not_they_fill_tiles(
    size: tuple[int, int],
) -> None:
    y = torch.randn(2, 3, 4, 3, dtype=torch.float64)
    similar, largest = torch.rand(2, 2, 3, *size, dtype=torch.float64)
    found = ada_unpool(y, Masks(similar, largest), 0.25)
    area = F.adaptive_avg_pool2d(y, size)
    torch.testing.assert_close(found, 0.25 * area * similar + 0.75 * area * largest)
