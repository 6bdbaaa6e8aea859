"""Parts of PP-LiteSeg that can be exchanged: those of its ablation, and the official variants."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from litescene.core import UnknownNameError
from litescene.models import create_model
from litescene.models.segmentation.pp_liteseg import AttentionFusion

PARTS: list[tuple[dict[str, Any], int]] = [
    # all of the decoder behind STDC2 (9,348,768) for 11 classes: 3×3 and 1×1 convolutions with two
    # parameters per channel of each batch norm, biases in SPPM alone, a head of 64 channels on x8
    ({"widths": (96, 96, 96), "context": False, "attention": "sum"}, 11_203_168),
    ({"context": False, "attention": "sum"}, 11_691_744),
    ({"attention": "sum"}, 12_233_952),
    ({"context": False}, 11_691_936),
    ({"context": False, "attention": "channel"}, 11_756_416),
    ({"attention": "spatial_mean"}, 12_234_132),
    ({"attention": "channel_mean"}, 12_297_984),
]


def identifier(options: Any) -> str:
    return " ".join(f"{k}={v}" for k, v in options.items()) if isinstance(options, dict) else ""


@pytest.mark.parametrize(("options", "expected"), PARTS, ids=identifier)
def test_parameters_are_those_of_the_parts(options: dict[str, Any], expected: int) -> None:
    with torch.device("meta"):
        model = create_model("pp_liteseg_b", training_heads=False, **options)
    assert sum(p.numel() for p in model.parameters()) == expected


@pytest.mark.parametrize("options", [options for options, _ in PARTS], ids=identifier)
def test_any_size_and_a_gradient_for_every_parameter(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = create_model("pp_liteseg_t", num_classes=4, **options)
    outputs = model.train()(torch.randn(2, 3, 64, 96))
    sum(o.square().mean() for o in outputs.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    with torch.inference_mode():
        logits = model.eval()(torch.randn(1, 3, 97, 131))
    assert logits.shape == (1, 4, 97, 131)
    assert torch.isfinite(logits).all()


def test_a_sum_is_the_fusion_of_twice_the_maps_by_equal_weights() -> None:
    torch.manual_seed(0)
    weighted, plain = (AttentionFusion(5, 8, 6, a).double().eval() for a in ("spatial", "sum"))
    plain.load_state_dict(
        {k: v for k, v in weighted.state_dict().items() if not k.startswith("attention")}
    )
    torch.nn.init.zeros_(weighted.attention.mix[1][0].weight)  # sigmoid(0) weights both by a half
    low, high = torch.randn(1, 5, 9, 11).double(), torch.randn(1, 8, 5, 6).double()
    # without a shift behind it, the last convolution and its ReLU double as their input does
    torch.testing.assert_close(plain(low, high), 2 * weighted(low, high))


@pytest.mark.parametrize("attention", ["spatial_mean", "channel_mean"])
def test_attention_to_means_knows_no_maximum(attention: Any) -> None:
    torch.manual_seed(0)
    attend = AttentionFusion(5, 8, 6, attention).double().eval().attention
    y = torch.randn(1, 8, 4, 4).double()
    flat = torch.zeros(1, 8, 4, 4).double()
    peaked = flat.clone()
    if attention == "spatial_mean":
        peaked[:, 0], peaked[:, 1] = 5, -5
    else:
        peaked[..., 0], peaked[..., 1] = 5, -5
    torch.testing.assert_close(attend(peaked, y), attend(flat, y))


def test_widths_are_those_of_the_decoder() -> None:
    model = create_model("pp_liteseg_t", num_classes=4, widths=[16, 24, 40]).eval()
    seen: list[int] = []
    for part in (model.context, model.fuse32, model.fuse16, model.fuse8):
        part.register_forward_hook(lambda *given: seen.append(given[2].shape[1]))
    with torch.inference_mode():
        model(torch.randn(1, 3, 64, 64))
    assert seen == [40, 40, 24, 16]


def test_an_unknown_attention_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="spatial_mean"):
        create_model("pp_liteseg_t", attention="spatial_men")
