"""Poolings of the family in the place of the networks' own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core import InputError, UnknownNameError
from litescene.models import create_model, list_models, pools_of, replace_pools
from litescene.models.blocks import MaxPoolAndBack
from litescene.models.pooling import PoolAndBack
from litescene.ops.pooling import POOLINGS, AdaPool, ada_pool, lift_pool

CLASSES = 5
WITHOUT = {
    "contextnet", "dilation_mobilenet", "fast_scnn", "laddernet", "laddernet_l3f16", "resnet3d_18",
    "rtseg", "skipnet_mobilenet", "unet_mobilenet",
    "yolov5_lite_c",
    "edsr_light_x2", "edsr_light_x4", "unet_interpolation",
}  # fmt: skip
"""Networks that do not pool over windows; those of restoration choose theirs by their options."""
HEAVY = ("*_r101", "*_101", "*_152", "*vgg16*", "sqnet_wide", "laddernet*")
SINGLE = {f"decoder.fuse4.1.branches.{i}.0.1.weight" for i in range(4)}
SILENT = {
    "bisenet_v2": {"semantic.context.norm.bias"},
    **dict.fromkeys(list_models("c3net*"), SINGLE),
}
"""What the next batch norm takes away again, so that the gradient is 0 but for rounding."""


def maps(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    parts = output.values() if isinstance(output, dict) else output
    return [tensor for part in parts for tensor in maps(part)]


def heavy(name: str) -> bool:
    import fnmatch

    return any(fnmatch.fnmatch(name, pattern) for pattern in HEAVY)


NAMES = [
    pytest.param(name, marks=pytest.mark.slow) if heavy(name) else name for name in list_models()
]


@pytest.mark.parametrize("name", NAMES)
def test_every_network_that_pools_can_pool_otherwise(name: str) -> None:
    torch.manual_seed(0)
    network = create_model(name, num_classes=CLASSES).eval()
    before = network.state_dict()
    assert bool(pools_of(network)) == (name not in WITHOUT)
    if name in WITHOUT:
        with pytest.raises(InputError, match="has no pooling layer"):
            replace_pools(network, "adapool")
        return
    x = torch.rand(1, 3, 65, 97)
    with torch.inference_mode():
        shapes = [m.shape for m in maps(network(x))]
    replaced = replace_pools(network, "adapool")
    with torch.inference_mode():
        after = maps(replaced(x))
    assert [m.shape for m in after] == shapes
    assert all(bool(m.isfinite().all()) for m in after)
    state = replaced.state_dict()
    assert {k for k in state if k not in before} == {
        f"{place}.logit" for place, layer in network.named_modules() if isinstance(layer, AdaPool)
    }
    assert all(torch.equal(value, state[key]) for key, value in before.items())


@pytest.mark.parametrize("pooling", ["max", "average"])
def test_the_interpolation_network_pools_otherwise_where_it_does_not_unpool(pooling: str) -> None:
    network = create_model("unet_interpolation", upsampling="bilinear", pooling=pooling).eval()
    assert len(pools_of(network)) == 3
    x = torch.rand(1, 6, 32, 48)
    with torch.inference_mode():
        before = network(x)
        after = replace_pools(network, "em")(x)
    assert before.shape == after.shape
    assert not torch.equal(before, after)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in list_models() if name not in WITHOUT])
def test_every_parameter_still_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    network = replace_pools(create_model(name, num_classes=CLASSES), "adapool")
    outputs = maps(network.train()(torch.rand(2, 3, 96, 128)))
    sum(o.square().mean() for o in outputs).backward()  # type: ignore[union-attr]
    silent = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert silent <= SILENT.get(name, set())
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("pool", POOLINGS)
@pytest.mark.parametrize("name", ["enet", "espnet"])
def test_every_pooling_has_a_place(name: str, pool: str) -> None:
    """In the pyramid of the picture, before convolutions, and where a network unpools."""
    torch.manual_seed(0)
    network = replace_pools(create_model(name, num_classes=CLASSES), pool)
    logits = network.train()(torch.rand(2, 3, 64, 64))["logits"]
    logits.square().mean().backward()
    learned = [n for n, p in network.named_parameters() if "pool." in n and p.grad is None]
    assert learned == []
    with torch.inference_mode():
        assert network.eval()(torch.rand(1, 3, 65, 79)).shape == (1, CLASSES, 65, 79)


@pytest.mark.parametrize("length", range(5, 12))
@pytest.mark.parametrize(
    ("old", "repr_"),
    [
        (nn.MaxPool2d(3, 2, 1), r"kernel_size=(2, 2), stride=(2, 2), padding=(0, 0)"),
        (nn.AvgPool2d(3, 2, 1), r"kernel_size=(2, 2), stride=(2, 2), padding=(0, 0)"),
        (nn.MaxPool3d(3, 2, 1), r"kernel_size=(2, 2, 2), stride=(2, 2, 2), padding=(0, 0, 0)"),
        (nn.MaxPool1d(3, 2, 1), r"kernel_size=(2,), stride=(2,), padding=(0,)"),
        (nn.MaxPool2d(3, 2, 1, ceil_mode=True), r"kernel_size=(3, 3), stride=(2, 2), padding=(1"),
        (nn.MaxPool2d(3, 2), r"kernel_size=(3, 3), stride=(2, 2), padding=(0, 0)"),
        (nn.MaxPool2d(5, 1, 2), r"kernel_size=(5, 5), stride=(1, 1), padding=(2, 2)"),
        (nn.MaxPool2d(2, ceil_mode=True), r"kernel_size=(2, 2), stride=(2, 2), padding=(0, 0)"),
        (nn.MaxPool2d((2, 3), (1, 2), dilation=(2, 1)), r"dilation=(2, 1)"),
        (nn.AvgPool2d(3, 1, 1), r"padding=(1, 1), dilation=(1, 1), count_include_pad=True"),
    ],
)
def test_windows_change_as_in_the_experiments_and_sizes_stay(
    old: nn.Module, repr_: str, length: int
) -> None:
    dims = int(type(old).__name__[-2])
    x = torch.rand(1, 2, *range(length, length + dims))
    network = replace_pools(nn.Sequential(nn.Identity(), old), "adapool")
    assert repr_ in repr(network[1])
    assert network(x).shape == old(x).shape


def test_padding_counts_where_it_did() -> None:
    x = torch.rand(1, 2, 6, 7)
    for counts in (True, False):
        old = nn.AvgPool2d(3, 1, 1, count_include_pad=counts)
        new = replace_pools(nn.Sequential(copy.deepcopy(old)), "average")
        torch.testing.assert_close(new(x), old(x))


def test_a_layer_of_several_places_stays_one_layer() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.second = nn.MaxPool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            half: Tensor = self.second(self.first(x))
            return half

    network = replace_pools(Twice(), "adapool")
    assert network.first is network.second
    assert len(list(network.parameters())) == 1
    with pytest.raises(InputError, match=r"0\.first sees \[3, 6\] channels"):
        replace_pools(nn.Sequential(Growing()), "lip")


class Growing(nn.Module):
    """Sees three and then six channels with one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.first(torch.cat([self.first(x)] * 2, 1))
        return y


def test_poolings_with_weights_learn_their_channels() -> None:
    network = create_model("enet", num_classes=CLASSES)
    replace_pools(network, "dpp", per_channel=True)
    counts = [p.numel() for n, p in network.named_parameters() if n.endswith("pool.log_alpha")]
    assert counts == [3, 16, 64]


@pytest.mark.parametrize(("pool", "expected"), [("adapool", 3.0), ("em", 3.0), ("lp", 3.0)])
def test_a_constant_map_comes_back_through_the_way_back(pool: str, expected: float) -> None:
    """Of AdaPool through weights that are equal, of poolings without any by resizing."""
    network = replace_pools(nn.Sequential(MaxPoolAndBack()), pool)
    assert isinstance(network[0], PoolAndBack)
    y, back = network[0](torch.full((1, 2, 6, 8), 5.0))
    torch.testing.assert_close(y, torch.full((1, 2, 3, 4), 5.0))
    torch.testing.assert_close(back(torch.full_like(y, 3)), torch.full((1, 2, 6, 8), expected))


def test_the_ways_back_are_those_of_the_poolings() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 3, 6, 8)
    y, back = replace_pools(nn.Sequential(MaxPoolAndBack()), "adapool")[0](x)
    torch.testing.assert_close(y, ada_pool(x, 2))
    torch.testing.assert_close(F.avg_pool2d(back(y), 2), y)  # weights sum to 1
    lifted = replace_pools(nn.Sequential(ThreeChannels()), "lift")[0].pool
    z, back = lifted(x)
    torch.testing.assert_close(back(z), x)
    assert z.shape == lift_pool(x).shape
    kept = replace_pools(nn.Sequential(MaxPoolAndBack()), "max")[0]
    assert isinstance(kept, MaxPoolAndBack)


class ThreeChannels(nn.Module):
    """A maximum that unpools, where the channels are those of a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = MaxPoolAndBack()

    def forward(self, x: Tensor) -> Tensor:
        y, back = self.pool(x)
        full: Tensor = back(y)
        return full


def test_only_maxima_leave_places_to_the_last_digits() -> None:
    for pool, unpools in (("max", True), ("adapool", False)):
        network: Any = replace_pools(create_model("enet", num_classes=CLASSES), pool)
        assert network.unpools is unpools


def test_what_cannot_be_replaced_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean adapool"):
        replace_pools(nn.Sequential(nn.MaxPool2d(2)), "adapol")
    with pytest.raises(InputError, match=r"1 \(MaxPool2d.*lifting halves"):
        replace_pools(nn.Sequential(nn.Identity(), nn.MaxPool2d(3, 2)), "lift")
    with pytest.raises(InputError, match="0 gives its indices away"):
        replace_pools(nn.Sequential(nn.MaxPool2d(2, return_indices=True)), "em")
    with pytest.raises(InputError, match="'em' has no option bta"):
        replace_pools(nn.Sequential(nn.MaxPool2d(2)), "em", bta=1)
