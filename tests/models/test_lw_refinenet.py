"""Light-Weight RefineNet: what counts of parameters cannot show."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from litescene.models import create_model
from litescene.models.segmentation.lw_refinenet import LightWeightRefineNet, Refine


@pytest.mark.parametrize(
    ("name", "highest"), [("lw_refinenet_mobilenet_v2", 6.0), ("lw_refinenet_50", math.inf)]
)
def test_fusions_have_the_activation_of_the_encoder(name: str, highest: float) -> None:
    """Official code: `nn.ReLU6` behind every sum with MobileNetV2, `nn.ReLU` with ResNets."""
    torch.manual_seed(0)
    model = create_model(name).eval()
    assert isinstance(model, LightWeightRefineNet)
    sums: list[Tensor] = []
    chained: list[Tensor] = []
    for refine in model.refines:
        assert isinstance(refine, Refine)
        for adapt in refine.adapts:
            for layer in adapt.modules():
                if isinstance(layer, nn.Conv2d):
                    nn.init.normal_(layer.weight, std=1000 / math.sqrt(layer.in_channels))
        refine.activation.register_forward_hook(lambda _m, given, _y: sums.append(given[0]))
        refine.chain.register_forward_hook(lambda _m, given, _y: chained.append(given[0]))
    with torch.inference_mode():
        model(torch.randn(1, 3, 64, 96))
    assert len(sums) == len(chained) == 4
    for given, y in zip(sums, chained, strict=True):
        assert float(given.max()) > 6
        torch.testing.assert_close(y, given.clamp(0, highest), rtol=0, atol=0)
