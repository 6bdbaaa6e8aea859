"""Sizes that the official code accepts, which 360×480 is not, and one that it refuses."""

from __future__ import annotations

import pytest
import torch

from litescene.export import profile
from litescene.models import create_model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "macs"), [((352, 480), 7_059_148_800), ((368, 480), 7_380_019_200)]
)
def test_counts_are_those_of_the_official_code(size: tuple[int, int], macs: int) -> None:
    assert profile(create_model("laddernet", num_classes=11), size).macs == macs


def test_an_odd_map_meets_the_upper_left_part_of_its_enlargement() -> None:
    """Away from the border an odd picture gives what the even one that continues it gives."""
    torch.manual_seed(0)
    model = create_model("laddernet_l3f16", num_classes=3).eval().double()
    x = torch.randn(1, 3, 144, 144, dtype=torch.float64)
    with torch.inference_mode():
        even, odd = model(x), model(x[..., :141, :139])
    assert odd.shape[-2:] == (141, 139)
    near = (..., slice(0, 8), slice(0, 8))
    torch.testing.assert_close(odd[near], even[near])
