"""All registered segmentation networks: sizes, gradients, counts, save and load."""

from __future__ import annotations

import copy

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn import functional as F

from litescene.core import InputError, UnknownNameError
from litescene.models import create_model, list_models, variant
from litescene.models.blocks import adaptive_average

NAMES = list_models(task="segmentation")
CLASSES = 5
HEAVY = {
    "bisenet_r101",
    "dilation_mobilenet",
    "dilation_resnet18",
    "dilation_vgg16",
    "laddernet_l3f16",
    "lw_refinenet_50",
    "lw_refinenet_101",
    "lw_refinenet_152",
    "shelfnet34",
    "skipnet_vgg16",
    "sqnet",
    "sqnet_wide",
    "unet_vgg16",
}
"""More than ten billion multiply-accumulates at 480×360: at the largest size only shapes count."""


@pytest.mark.parametrize("name", list_models())
def test_convolutions_are_those_with_gradients_of_their_own(name: str) -> None:
    """Where PyTorch's gradients are wrong or slow on some processors, they are this library's."""
    with torch.device("meta"):
        network = create_model(name)
    plain = [m for m in network.modules() if type(m) is nn.Conv2d]
    assert [m for m in plain if set(m.dilation) != {1}] == []
    assert [
        m
        for m in plain
        if m.groups == 1 and min(m.weight.shape[:2]) > 3 and set(m.kernel_size) != {1}
    ] == []


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each network in turn, with all of its tests, so that one is in memory at a time."""
    return str(request.param)


@pytest.fixture(scope="module")
def network(name: str) -> nn.Module:
    """The network with random weights in evaluation mode; tests leave it as it is."""
    torch.manual_seed(0)
    return create_model(name, num_classes=CLASSES).eval()


def test_both_sizes_of_pp_liteseg_are_registered() -> None:
    assert {"pp_liteseg_t", "pp_liteseg_b"} <= set(NAMES)


@pytest.mark.parametrize(
    ("name", "classes"), [("enet", 0), ("pp_liteseg_t", -1), ("espnetv2_s050", 1)]
)
def test_a_number_of_classes_that_cannot_be_is_named(name: str, classes: int) -> None:
    with pytest.raises(InputError, match=f"num_classes is {classes};"):
        create_model(name, num_classes=classes)


def test_an_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="pp_liteseg_t"):
        create_model("pp_litseg_t")


def count(name: str, classes: int, training_heads: bool) -> int:
    heads = {"training_heads": training_heads} if variant(name).training_parameters else {}
    with torch.device("meta"):
        model = create_model(name, num_classes=classes, **heads)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("name", "inference", "training"),
    [("pp_liteseg_t", 8_028_064, 8_140_320), ("pp_liteseg_b", 12_234_240, 12_364_928)],
)
def test_parameter_counts_for_camvid_are_those_of_the_official_code(
    name: str, inference: int, training: int
) -> None:
    assert (count(name, 11, False), count(name, 11, True)) == (inference, training)


def test_the_registry_states_the_parameter_counts(name: str) -> None:
    facts = variant(name)
    assert {11, 19} <= set(facts.parameters)
    for heads, table in ((False, facts.parameters), (True, facts.training_parameters)):
        for classes, expected in table.items():
            assert count(name, classes, heads) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("pp_liteseg_t", 8_233_152), ("pp_liteseg_b", 12_470_656)]
)
def test_channel_attention_has_the_official_count(name: str, expected: int) -> None:
    model = create_model(name, num_classes=11, attention="channel")
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize(
    "size",
    [
        (64, 64),
        (97, 131),
        pytest.param((360, 480), marks=pytest.mark.slow),
        pytest.param((512, 1024), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_any_size_gives_finite_logits_of_that_size(
    name: str, network: nn.Module, size: tuple[int, int]
) -> None:
    shapes_only = name in HEAVY and size == (512, 1024)
    if shapes_only:
        with torch.device("meta"):
            network = create_model(name, num_classes=CLASSES).eval()
    with torch.inference_mode():
        logits = network(torch.randn(1, 3, *size, device="meta" if shapes_only else "cpu"))
    assert logits.shape == (1, CLASSES, *size)
    assert shapes_only or torch.isfinite(logits).all()


SINGLE = {f"decoder.fuse4.1.branches.{i}.0.1.weight" for i in range(4)}
WITHOUT_GRADIENT = {
    "bisenet_v2": {"semantic.context.norm.bias"},
    **dict.fromkeys(list_models("c3net*"), SINGLE),
}
"""A shift that the batch norm of the next 1×1 convolution takes away again, and scales of single
channels that the one after the next depthwise convolution does: their gradients are rounding."""


def test_every_parameter_gets_a_gradient(name: str, network: nn.Module) -> None:
    model = copy.deepcopy(network).train()
    outputs = model(torch.randn(2, 3, 96, 128))
    sum(o.square().mean() for o in outputs.values()).backward()
    silent = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert silent <= WITHOUT_GRADIENT.get(name, set())
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


def test_saving_and_loading_changes_nothing(name: str, network: nn.Module) -> None:
    other = create_model(name, num_classes=CLASSES).eval()
    other.load_state_dict(load(save(network.state_dict())))
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(network(x), other(x))


def test_the_same_picture_gives_the_same_logits(network: nn.Module) -> None:
    x = torch.randn(1, 3, 97, 131)
    with torch.inference_mode():
        assert torch.equal(network(x), network(x))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (12, 15), (11, 16), (33, 7)])
@pytest.mark.parametrize("bins", [1, 2, 4, (3, 5), (20, 9)])
def test_adaptive_average_is_torchs_own(size: tuple[int, int], bins: int | tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(adaptive_average(x, bins), F.adaptive_avg_pool2d(x, bins))
