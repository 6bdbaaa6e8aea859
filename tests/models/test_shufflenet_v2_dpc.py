"""The padding that weights trained in TensorFlow need."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from litescene.models.blocks import pad_as_tensorflow


@pytest.mark.parametrize("height", [5, 6, 7, 8])
@pytest.mark.parametrize("width", [9, 10])
def test_padding_is_that_of_tensorflows_same(height: int, width: int) -> None:
    x = torch.rand(1, 1, height, width) + 1
    sides = []
    for size in (width, height):
        # TensorFlow's documented rule for kernel 3 and stride 2.
        total = max((math.ceil(size / 2) - 1) * 2 + 3 - size, 0)
        sides += [total // 2, total - total // 2]
    assert torch.equal(pad_as_tensorflow(x), F.pad(x, sides))
