from __future__ import annotations

import pytest
import torch
from torch import nn

from litescene.export import profile
from litescene.export.focus import FORMS
from litescene.models import create_model


def test_the_published_example_of_a_strided_convolution_is_met() -> None:
    # 3→32, 3×3, stride 2 on 640×640: 88,473,600; the 12→32 convolution on 320×320 is four times it
    first = profile(nn.Conv2d(3, 32, 3, 2, 1, bias=False), (640, 640))
    assert first.macs == 88_473_600
    assert first.flops == 2 * 88_473_600
    focus = profile(nn.Conv2d(12, 32, 3, 1, 1, bias=False), (320, 320), channels=12)
    assert focus.macs == 353_894_400 == 4 * first.macs


def test_parameters_are_the_trainable_ones_with_both_vectors_of_the_norm() -> None:
    block = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32))
    assert profile(block, (64, 64)).parameters == 928
    block[1].weight.requires_grad_(False)
    assert profile(block, (64, 64)).parameters == 896


def test_focus_and_the_six_by_six_convolution_cost_what_the_article_reports() -> None:
    # Article: convolution 928 parameters, Focus 3,520; and of the authors of YOLOv5 for batch 16 at
    # 640×640 with 64 channels, by thop: 7,040 parameters and 23.07 GFLOPs for both rows alike.
    assert profile(FORMS["3×3, stride 2"](32), (640, 640)).parameters == 928
    assert profile(FORMS["Focus: 4 slices, 3×3"](32), (640, 640)).parameters == 3520
    for name in ("Focus: 4 slices, 3×3", "6×6, stride 2"):
        counts = profile(FORMS[name](64), (640, 640))
        assert counts.parameters == 7040
        assert 16 * counts.macs == 11_324_620_800
        assert 16 * counts.norm_operations == 209_715_200
        assert round(16 * counts.flops_with_norms / 1e9, 2) == 23.07


def test_groups_transposed_and_linear_layers_follow_their_closed_forms() -> None:
    grouped = nn.Conv2d(8, 16, 3, 1, 1, groups=4)
    assert profile(grouped, (10, 12), channels=8).macs == 16 * 10 * 12 * 9 * 2
    transposed = nn.ConvTranspose2d(8, 6, 4, 2, 1)
    assert profile(transposed, (10, 12), channels=8).macs == 10 * 12 * 8 * 6 * 16
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 7))
    assert profile(pooled, (10, 12)).macs == 21


def test_the_network_is_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    profile(network, (16, 16))
    assert network.training
    assert torch.equal(network[1].running_mean, torch.zeros(4))
    assert not network[0]._forward_hooks


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("pp_liteseg_t", 8_140_320, 3_852_533_652),
        ("pp_liteseg_b", 12_364_928, 6_473_592_852),
    ],
)
def test_counts_are_those_of_the_official_code(name: str, parameters: int, macs: int) -> None:
    # official code executed at 360×480 with 11 classes, bilinear and pooling not counted
    counted = profile(create_model(name, num_classes=11), (360, 480))
    assert (counted.parameters, counted.macs) == (parameters, macs)


def test_layers_add_up_and_a_layer_used_twice_counts_twice() -> None:
    shared = nn.Conv2d(3, 3, 3, 1, 1, bias=False)
    network = nn.Sequential(shared, nn.BatchNorm2d(3), shared, nn.Conv2d(3, 5, 1))
    counts = profile(network, (10, 12))
    first, last = counts.layers
    assert (first.name, first.kind, first.output) == ("0", "Conv2d", (1, 3, 10, 12))
    assert (first.parameters, first.macs) == (81, 2 * 81 * 120)
    assert (last.parameters, last.macs) == (20, 15 * 120)
    assert counts.macs == first.macs + last.macs
    assert counts.parameters == 81 + 6 + 20
