"""Light-Weight RefineNet: what counts of parameters cannot show."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from litescene.models import create_model
from litescene.models.segmentation.lw_refinenet import WIDTH, LightWeightRefineNet, Refine


@pytest.mark.parametrize(
    ("name", "highest"), [("lw_refinenet_mobilenet_v2", 6.0), ("lw_refinenet_50", math.inf)]
)
def test_fusions_have_the_activation_of_the_encoder(name: str, highest: float) -> None:
    """Official code: `nn.ReLU6` behind every sum with MobileNetV2, `nn.ReLU` with ResNets."""
    torch.manual_seed(0)
    model = create_model(name).eval()
    assert isinstance(model, LightWeightRefineNet)
    coarser: Tensor | None = None
    for refine in model.refines:
        assert isinstance(refine, Refine)
        found: list[Tensor] = []
        refine.activation.register_forward_hook(lambda _m, given, _y, to=found: to.append(given[0]))
        refine.chain.register_forward_hook(lambda _m, given, _y, to=found: to.append(given[0]))
        first = [next(m for m in a.modules() if isinstance(m, nn.Conv2d)) for a in refine.adapts]
        with torch.inference_mode():
            refine([100 * torch.randn(1, conv.in_channels, 8, 12) for conv in first], coarser)
        given, chained = found
        assert float(given.max()) > 6
        torch.testing.assert_close(chained, given.clamp(0, highest), rtol=0, atol=0)
        coarser = torch.randn(1, WIDTH, 4, 6)
