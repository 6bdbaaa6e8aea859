"""Pruned networks against the full ones with the same channels switched off."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from litescene.models import create_model
from litescene.models.blocks import ConvNormAct
from litescene.models.pruning import kept_channels, prune_channels


@pytest.fixture
def full() -> nn.Module:
    """ICNet before pruning, with batch norms as if they had been trained."""
    torch.manual_seed(0)
    model = create_model("icnet_full", num_classes=4).double()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_()
        norm.running_mean.normal_(0, 0.1)
    return model.eval()


def switch_off(model: nn.Module, layer: str, channels: torch.Tensor) -> None:
    module = model.get_submodule(layer)
    if isinstance(module, ConvNormAct):
        module[1].weight.data[channels] = 0
        module[1].bias.data[channels] = 0


@pytest.mark.parametrize("rate", [0.75, 0.5])
def test_a_pruned_network_is_the_full_one_without_the_dropped_channels(
    full: nn.Module, rate: float
) -> None:
    small = prune_channels(full, rate)
    kept = kept_channels(full, small)
    x = torch.randn(1, 3, 97, 65, dtype=torch.float64)
    with torch.inference_mode():
        found, before = small(x), full(x)
        for layer, (_, outputs) in full.channel_groups().items():
            width = full.state_dict()[_kernel(full, layer)].shape[0]
            dropped = torch.ones(width, dtype=torch.bool)
            dropped[kept[outputs]] = False
            switch_off(full, layer, dropped)
        masked = full(x)
    torch.testing.assert_close(found, masked, rtol=1e-9, atol=1e-9)
    assert not torch.allclose(found, before)


def _kernel(model: nn.Module, layer: str) -> str:
    return next(k for k in model.state_dict() if k.startswith(f"{layer}.") and "weight" in k)


def test_half_of_the_full_icnet_has_the_published_widths(full: nn.Module) -> None:
    half = prune_channels(prune_channels(full, 0.75), 2 / 3)
    published = create_model("icnet", num_classes=4)
    assert {k: v.shape for k, v in half.state_dict().items()} == {
        k: v.shape for k, v in published.state_dict().items()
    }


def test_the_kernels_with_the_largest_l1_norm_stay(full: nn.Module) -> None:
    small = prune_channels(full, 0.5)
    state = {k: v.numpy() for k, v in full.state_dict().items()}
    first = np.abs(state["middle.0.0.weight"]).sum((1, 2, 3))
    stay = np.sort(np.argsort(first)[-32:])
    assert np.array_equal(small.state_dict()["middle.0.1.bias"], state["middle.0.1.bias"][stay])
    # the outputs of one stage are summed and stand or fall together
    tied = [f"stage2.{i}.expand.0.weight" for i in range(3)] + ["stage2.0.shortcut.0.weight"]
    shared = np.sort(np.argsort(sum(np.abs(state[k]).sum((1, 2, 3)) for k in tied))[-128:])
    for i in range(3):
        key = f"stage2.{i}.expand.1.bias"
        assert np.array_equal(small.state_dict()[key], state[key][shared])


def test_every_convolution_has_its_channel_groups(full: nn.Module) -> None:
    convolutions = {name for name, m in full.named_modules() if isinstance(m, nn.Conv2d)}
    named = set(full.channel_groups())
    assert {n if n in named else n.rpartition(".")[0] for n in convolutions} == named


def test_a_rate_of_nothing_is_refused(full: nn.Module) -> None:
    with pytest.raises(ValueError, match="rate is 0"):
        prune_channels(full, 0)
