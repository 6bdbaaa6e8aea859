"""All registered segmentation networks: sizes, gradients, counts, save and load, parity."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save
from torch.nn import functional as F

from litescene.core import UnknownNameError
from litescene.models import create_model, list_models, variant
from litescene.models.blocks import adaptive_average

NAMES = list_models(task="segmentation")


def test_both_sizes_of_pp_liteseg_are_registered() -> None:
    assert {"pp_liteseg_t", "pp_liteseg_b"} <= set(NAMES)


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


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(64, 64), (97, 131), (90, 120)])
def test_any_size_gives_finite_logits_of_that_size(name: str, size: tuple[int, int]) -> None:
    model = create_model(name, num_classes=5).eval()
    with torch.inference_mode():
        logits = model(torch.randn(1, 3, *size))
    assert logits.shape == (1, 5, *size)
    assert torch.isfinite(logits).all()


WITHOUT_GRADIENT = {"bisenet_v2": ["semantic.context.norm.bias"]}
"""A shift that the batch norm of the next 1×1 convolution takes away again."""


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=4).train()
    outputs = model(torch.randn(2, 3, 96, 128))
    sum(o.square().mean() for o in outputs.values()).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == WITHOUT_GRADIENT.get(name, [])


@pytest.mark.parametrize("name", NAMES)
def test_saving_and_loading_changes_nothing(name: str) -> None:
    model = create_model(name, num_classes=4).eval()
    other = create_model(name, num_classes=4).eval()
    other.load_state_dict(load(save(model.state_dict())))
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert torch.equal(model(x), other(x))
        assert torch.equal(model(x), model(x))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (12, 15), (11, 16), (33, 7)])
@pytest.mark.parametrize("bins", [1, 2, 4, (3, 5), (20, 9)])
def test_adaptive_average_is_torchs_own(size: tuple[int, int], bins: int | tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(adaptive_average(x, bins), F.adaptive_avg_pool2d(x, bins))
