"""The two forms of pooling with places and of unpooling are one function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.blocks import first_maximum, max_pool_with_place, max_unpool


class RoundTrip(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        pooled, place = max_pool_with_place(x)
        return pooled, max_unpool(y, place)


def maps(kind: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    torch.manual_seed(3)
    x, y = torch.randn(2, 3, 10, 14), torch.randn(2, 3, 5, 7)
    x = {"distinct": x, "ties": x.round(), "equal": torch.ones_like(x)}[kind]
    return x.to(dtype), y.to(dtype)


def test_every_arrangement_of_ties_takes_the_first() -> None:
    windows = torch.cartesian_prod(*[torch.arange(3.0)] * 4).view(1, 81, 2, 2)
    pooled, place = first_maximum(windows)
    found, index = F.max_pool2d(windows, 2, return_indices=True)
    assert torch.equal(pooled, found)
    assert torch.equal(place.argmax(2), index)
    assert torch.equal(place.sum(2), torch.ones_like(pooled))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["distinct", "ties", "equal"])
def test_the_traced_form_equals_torchs_own(
    kind: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = maps(kind, dtype)
    found, indices = F.max_pool2d(x, 2, return_indices=True)
    expected = found, F.max_unpool2d(y, indices, (2, 2))
    for exporting in (False, True):
        monkeypatch.setattr(torch.onnx, "is_in_onnx_export", lambda answer=exporting: answer)
        assert all(map(torch.equal, RoundTrip()(x, y), expected))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Constant folding")
@pytest.mark.parametrize("kind", ["distinct", "ties", "equal"])
def test_the_graph_equals_torchs_own_without_scattering(kind: str, tmp_path: Path) -> None:
    import onnx

    x, y = maps(kind, torch.float32)
    file = tmp_path / "round_trip.onnx"
    axes = {"x": {2: "h", 3: "w"}, "y": {2: "i", 3: "j"}}
    torch.onnx.export(
        RoundTrip(),
        (torch.randn(2, 3, 4, 6), torch.randn(2, 3, 2, 3)),
        file,
        input_names=["x", "y"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    operators = {node.op_type for node in onnx.load(file).graph.node}
    assert not {op for op in operators if op.startswith("Scatter")}
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for ours, theirs in zip(
        session.run(None, {"x": x.numpy(), "y": y.numpy()}), RoundTrip()(x, y), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs.numpy())
