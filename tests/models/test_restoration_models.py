"""All registered restoration networks, in all ways of up-sampling."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch.nn import functional as F

from litescene.core import OperatorError
from litescene.export import profile
from litescene.models import create_model, list_models, variant
from litescene.models.restoration import edsr_light, unet_interpolation
from litescene.models.restoration.network import RestorationNetwork
from litescene.models.restoration.upsampling import UPSAMPLINGS, Doubling, Weights, ada_pool_by
from litescene.ops.pooling import AdaPool

NAMES = list_models(task="restoration")
FORMS = [(name, way) for name in NAMES for way in UPSAMPLINGS]


def build(name: str, way: str, **options: Any) -> RestorationNetwork:
    torch.manual_seed(0)
    network = create_model(name, upsampling=way, **options)
    assert isinstance(network, RestorationNetwork)
    return network


def test_the_three_networks_are_registered() -> None:
    assert NAMES == ["edsr_light_x2", "edsr_light_x4", "unet_interpolation"]
    facts = {n: (build(n, "bilinear").pictures, build(n, "bilinear").factor) for n in NAMES}
    assert list(facts.values()) == [(1, 2), (1, 4), (2, 1)]


@pytest.mark.parametrize(("name", "way"), FORMS)
@pytest.mark.parametrize("size", [(64, 64), (67, 95)], ids=str)
def test_any_size_gives_a_picture_from_0_to_1(name: str, way: str, size: tuple[int, int]) -> None:
    network = build(name, way).eval()
    with torch.inference_mode():
        picture = network(3 * torch.rand(1, 3 * network.pictures, *size) - 1)
    assert picture.shape == (1, 3, *(side * network.factor for side in size))
    assert 0 <= float(picture.min()) < float(picture.max()) <= 1


@pytest.mark.parametrize(("name", "way"), FORMS)
def test_every_parameter_has_a_gradient(name: str, way: str) -> None:
    network = build(name, way).train()
    network(torch.rand(2, 3 * network.pictures, 64, 64))["picture"].square().mean().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


@pytest.mark.parametrize(("name", "way"), FORMS)
def test_save_and_load_give_the_same_picture_twice(name: str, way: str) -> None:
    network, x = build(name, way).eval(), torch.rand(1, 6, 64, 72)
    x = x[:, : 3 * network.pictures]
    other = build(name, way).eval()
    other.load_state_dict(load(save(copy.deepcopy(network.state_dict()))))
    with torch.inference_mode():
        assert torch.equal(network(x), network(x))
        assert torch.equal(network(x), other(x))


@pytest.mark.parametrize("name", NAMES)
def test_the_registry_states_the_parameter_count(name: str) -> None:
    network = create_model(name)
    counted = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert variant(name).parameters == {3: counted}


@pytest.mark.parametrize("name", NAMES)
def test_the_files_table_states_what_the_four_ways_cost(name: str) -> None:
    """And no form of ×2 and of interpolation costs a third more than another."""
    module = unet_interpolation if name == "unet_interpolation" else edsr_light
    first = 3 if name == "edsr_light_x4" else 1
    text = module.__doc__ or ""
    rows = {
        row[0]: row for row in map(str.split, text.splitlines()) if row and row[0] in UPSAMPLINGS
    }
    found = {way: profile(build(name, way), variant(name).size) for way in UPSAMPLINGS}
    for way, counts in found.items():
        stated = [int(cell.replace(",", "")) for cell in rows[way][first : first + 2]]
        assert stated == [counts.parameters, round(counts.macs / 1e6)], way
    for cost in ([c.parameters for c in found.values()], [c.macs for c in found.values()]):
        assert max(cost) < 4 / 3 * min(cost)


def test_a_network_without_its_last_layer_is_the_enlargement_or_the_mean() -> None:
    x = torch.rand(1, 6, 66, 71)
    for name in NAMES:
        network = build(name, "adaunpool").eval()
        last: Any = network.last
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
        with torch.inference_mode():
            found = network(x[:, : 3 * network.pictures])
        if network.pictures == 2:
            expected = (x[:, :3] + x[:, 3:]) / 2
        else:
            expected = F.interpolate(x[:, :3], scale_factor=network.factor, mode="bilinear")
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("way", UPSAMPLINGS)
def test_a_doubling_does_what_its_way_says(way: str) -> None:
    torch.manual_seed(1)
    x, doubling = torch.randn(2, 8, 5, 7), Doubling(way, 8, 4)
    pool, before = AdaPool(2, channels=4), torch.randn(2, 4, 10, 14)
    _, weights = ada_pool_by(pool, before)
    found = doubling(x, weights)
    made = doubling.conv(x)
    if way == "bilinear":
        expected = F.interpolate(made, size=(10, 14), mode="bilinear")
    elif way == "transposed":
        expected = made
    elif way == "pixel_shuffle":
        # plane 4·c + 2·i + j of a pixel is plane c of the cell at row i, column j of its tile
        expected = made.view(2, 4, 2, 2, 5, 7).permute(0, 1, 4, 2, 5, 3).reshape(2, 4, 10, 14)
    else:
        half = 4 * (0.5 * weights.masks.similar + 0.5 * weights.masks.largest)
        expected = half * made.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert found.shape == (2, 4, 10, 14)
    torch.testing.assert_close(found, expected)


def test_ada_unpool_brings_back_by_the_encoders_weights_alone() -> None:
    """What was pooled decides where in a tile a value goes; its tiles sum to four times it."""
    torch.manual_seed(2)
    doubling = Doubling("adaunpool", 4, 4)
    x, pool = torch.randn(1, 4, 6, 6), AdaPool(2, channels=4)
    edges = [torch.randn(1, 4, 12, 12) for _ in range(2)]
    one, other = (doubling(x, Weights(*pool.with_masks(e)[1:])) for e in edges)
    assert not torch.allclose(one, other)
    sums = [F.avg_pool2d(y, 2) for y in (one, other)]
    torch.testing.assert_close(sums[0], sums[1])
    torch.testing.assert_close(sums[0], doubling.conv(x))


def test_options_that_do_not_exist_or_do_not_fit_are_refused() -> None:
    with pytest.raises(OperatorError, match="not 'nearest'"):
        create_model("edsr_light_x2", upsampling="nearest")
    with pytest.raises(OperatorError, match="not 'median'"):
        create_model("unet_interpolation", upsampling="bilinear", pooling="median")
    with pytest.raises(OperatorError, match="pooling = 'max' has none"):
        create_model("unet_interpolation", upsampling="adaunpool", pooling="max")
    with pytest.raises(OperatorError, match="needs the weights"):
        Doubling("adaunpool", 4, 4)(torch.zeros(1, 4, 5, 5))


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_the_u_net_pools_as_it_is_told(pooling: str) -> None:
    network: Any = build("unet_interpolation", "bilinear", pooling=pooling)
    x = torch.randn(1, 16, 8, 8)
    windows = x.view(1, 16, 4, 2, 4, 2)
    expected = windows.amax((3, 5)) if pooling == "max" else windows.mean((3, 5))
    found, weights = network.pools[0](x)
    torch.testing.assert_close(found, expected)
    assert weights is None


def test_ada_pool_pools_alike_whether_or_not_its_weights_are_kept() -> None:
    one: Any = build("unet_interpolation", "bilinear")
    other: Any = build("unet_interpolation", "adaunpool")
    x = torch.randn(1, 16, 8, 8)
    (alone, none), (beside, weights) = one.pools[0](x), other.pools[0](x)
    torch.testing.assert_close(alone, beside)
    assert none is None
    assert weights is not None
