"""What the proof of an export allows to networks that unpool."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from litescene.core import Contract, ParityError, Taxonomy, distinct_colors
from litescene.export import parity
from litescene.models.segmentation.network import SegmentationNetwork

TAXONOMY = Taxonomy("test", tuple("abc"), distinct_colors(3))


class Pointwise(SegmentationNetwork):
    def __init__(self, unpools: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.unpools = unpools
        self.head = nn.Conv2d(3, 3, 1)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": self.head(x)}


class Moving:
    """Computes as the network does, but with a share of the pixels elsewhere."""

    name = "moving"

    def __init__(self, model: nn.Module, share: float) -> None:
        self.model, self.share = model, share

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        (logits,) = (t.numpy().copy() for t in parity._torch_outputs(self.model, batch))
        count = round(self.share * logits[0, 0].size)
        logits.reshape(*logits.shape[:2], -1)[..., :count] += 1.0
        return [logits]


def proof(monkeypatch: pytest.MonkeyPatch, unpools: bool, share: float) -> dict[str, Any]:
    model = Pointwise(unpools).eval()
    monkeypatch.setattr(parity, "exact_engines", lambda _: [Moving(model, share)])
    contract = Contract("segmentation", "pointwise", TAXONOMY, (128, 160), "upsample_argmax")
    return parity.prove(model, SimpleNamespace(contract=contract))


def test_a_network_that_unpools_may_move_few_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    found = proof(monkeypatch, True, 0.005)
    assert found["moved_pixels"] == pytest.approx(0.005, abs=2e-4)
    assert found["largest_difference"] == 0.0


def test_a_network_that_unpools_may_not_move_many(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParityError, match=r"2\.0% of the pixels"):
        proof(monkeypatch, True, 0.02)


def test_any_other_network_may_move_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "moved_pixels" not in proof(monkeypatch, False, 0.0)
    with pytest.raises(ParityError, match="outputs differ"):
        proof(monkeypatch, False, 0.0005)
