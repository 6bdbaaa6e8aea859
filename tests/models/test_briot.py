"""Parts of the Briot networks: quarter turns, and each technique for what it is known by."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from litescene.core import UnknownNameError
from litescene.export import profile
from litescene.models import create_model
from litescene.models.p4 import P4Conv, P4Norm, pool_orientations


def turned(model: nn.Module) -> nn.Module:
    """A float64 network with batch norms as if they had been trained."""
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.normal_()
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 1.5)
    return model.double().eval()


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("side", [9, 12])
def test_group_convolutions_turn_with_the_picture(turns: int, side: int) -> None:
    torch.manual_seed(0)
    lift, between = P4Conv(3, 5, lifting=True), P4Conv(20, 6, lifting=False)
    layers = turned(nn.Sequential(lift, P4Norm(5), nn.ReLU(), between, P4Norm(6), nn.ReLU()))
    x = torch.randn(2, 3, side, side, dtype=torch.float64)
    with torch.inference_mode():
        plain, other = layers(x), layers(torch.rot90(x, turns, (2, 3)))
    # the map turns, and the orientations of each filter move on
    by_filter = torch.rot90(plain.reshape(2, 6, 4, side, side), turns, (3, 4)).roll(turns, 2)
    torch.testing.assert_close(other, by_filter.reshape(2, 24, side, side))
    pooled = torch.rot90(pool_orientations(plain), turns, (2, 3))
    torch.testing.assert_close(pool_orientations(other), pooled)


def test_only_the_network_of_group_convolutions_turns_with_the_picture() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 3, 95, 95, dtype=torch.float64)  # strides meet both borders alike
    for name, expected in (("briot_p4", True), ("briot_vgg10", False)):
        model = turned(create_model(name, num_classes=4))
        with torch.inference_mode():
            whole, other = model(x), model(torch.rot90(x, 1, (2, 3)))
        assert torch.allclose(torch.rot90(whole, 1, (2, 3)), other) is expected


def test_the_first_map_of_a_group_convolution_is_that_of_four_turned_filters() -> None:
    layer = P4Conv(3, 2, lifting=True).double()
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    kernels = [torch.rot90(layer.weight, i, (2, 3)) for i in range(4)]
    expected = [nn.functional.conv2d(x, kernel, padding=1) for kernel in kernels]
    torch.testing.assert_close(layer(x), torch.stack(expected, 2).flatten(1, 2))


@pytest.mark.parametrize("convolution", ["p4", "grouped", "separable", "factorised", "bottleneck"])
@pytest.mark.parametrize("stem", ["3x3", "7x7", "three 3x3"])
def test_parts_can_be_combined(convolution: str, stem: str) -> None:
    options = {"convolution": convolution, "stem": stem, "activation": "crelu", "width": 0.25}
    model = create_model("briot_vgg10", num_classes=4, **options).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 3, 64, 96)).shape == (1, 4, 64, 96)


def test_p4_spends_the_same_multiplications_on_a_quarter_of_the_kernels() -> None:
    def kernels(model: nn.Module) -> int:
        encoder = (m for m in model.encoder.modules() if isinstance(m, nn.Conv2d))
        return sum(m.weight.numel() for m in encoder)

    plain, p4 = create_model("briot_vgg10"), create_model("briot_p4")
    assert 4 * kernels(p4) == kernels(plain)
    assert profile(p4.encoder, (96, 128)).macs == profile(plain.encoder, (96, 128)).macs


def test_the_baseline_has_ten_convolutions_in_its_encoder() -> None:
    encoder = create_model("briot_vgg10").encoder
    assert sum(isinstance(m, nn.Conv2d) for m in encoder.modules()) == 10


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="separable"):
        create_model("briot_vgg10", convolution="seperable")
