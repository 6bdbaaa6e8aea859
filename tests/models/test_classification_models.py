"""All registered classification networks: sizes, gradients, counts, poolings, their blocks."""

from __future__ import annotations

import copy

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models import create_model, list_models, variant
from litescene.models.backbones.resnet import BasicBlock, Bottleneck
from litescene.models.blocks import pad_to_least
from litescene.models.classification.densenet import GROWTH, DenseBlock
from litescene.models.classification.inception_v3 import SMALLEST, Branches, InceptionV3
from litescene.models.classification.resnet_3d import BasicBlock3d
from litescene.models.classification.resnext import AggregatedBottleneck

NAMES = list_models(task="classification")
CLASSES = 7
PUBLISHED = {
    ("resnet18", 1000): 11_689_512,
    ("resnet34", 1000): 21_797_672,
    ("resnet50", 1000): 25_557_032,
    ("resnet101", 1000): 44_549_160,
    ("densenet121", 1000): 7_978_856,
    ("resnext50_32x4d", 1000): 25_028_904,
    ("inception_v3", 1000): 27_161_264,
    ("resnet3d_18", 400): 33_371_472,
}
"""Trainable parameters of the networks as they are trained."""


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """Each network in turn, with all of its tests, so that one is in memory at a time."""
    return str(request.param)


@pytest.fixture(scope="module")
def network(name: str) -> nn.Module:
    """The network with random weights in evaluation mode; tests leave it as it is."""
    torch.manual_seed(0)
    return create_model(name, num_classes=CLASSES).eval()


def inputs(network: nn.Module, count: int, height: int, width: int) -> Tensor:
    """Noise of the shape that the network takes; clips have four frames."""
    frames = (4,) if network.clip_frames else ()
    return torch.randn(count, 3, *frames, height, width)


def parameters(name: str, **options: object) -> int:
    with torch.device("meta"):
        model = create_model(name, **options)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize(("key", "count"), PUBLISHED.items(), ids=[n for n, _ in PUBLISHED])
def test_parameter_counts_are_the_published_ones(key: tuple[str, int], count: int) -> None:
    assert parameters(key[0], num_classes=key[1]) == count


def test_the_registry_states_the_parameter_counts(name: str) -> None:
    facts = variant(name)
    assert facts.parameters
    for heads, table in ((False, facts.parameters), (True, facts.training_parameters)):
        bare = {"training_heads": heads} if facts.training_parameters else {}
        for classes, count in table.items():
            assert parameters(name, num_classes=classes, **bare) == count


@pytest.mark.parametrize("size", [(64, 64), (97, 131)], ids=str)
def test_any_size_gives_finite_logits(network: nn.Module, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = network(inputs(network, 1, *size))
    assert logits.shape == (1, CLASSES)
    assert torch.isfinite(logits).all()


def test_every_parameter_gets_a_gradient(network: nn.Module) -> None:
    model = copy.deepcopy(network).train()
    outputs = model(inputs(model, 2, 80, 96))
    assert next(iter(outputs)) == "logits"
    assert all(o.shape == (2, CLASSES) for o in outputs.values())
    sum(F.cross_entropy(o, torch.tensor([1, 4])) for o in outputs.values()).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters())


def test_saving_and_loading_changes_nothing(name: str, network: nn.Module) -> None:
    other = create_model(name, num_classes=CLASSES).eval()
    other.load_state_dict(load(save(network.state_dict())))
    x = inputs(network, 1, 64, 96)
    with torch.inference_mode():
        assert torch.equal(network(x), other(x))
        assert torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    ("name", "options", "maxima", "averages"),
    [
        ("resnet18", {}, 1, 0),
        ("resnet101", {}, 1, 0),
        ("resnext50_32x4d", {}, 1, 0),
        ("densenet121", {}, 1, 3),
        ("inception_v3", {"training_heads": False}, 4, 9),
        ("inception_v3", {}, 4, 9),
        ("resnet3d_18", {}, 0, 0),
        ("resnet3d_18", {"stem_pool": True}, 1, 0),
    ],
)
def test_poolings_are_modules_that_can_be_replaced(
    name: str, options: dict[str, bool], maxima: int, averages: int
) -> None:
    with torch.device("meta"):
        modules = list(create_model(name, **options).modules())
    found = [
        sum(isinstance(m, kinds) for m in modules)
        for kinds in ((nn.MaxPool2d, nn.MaxPool3d), (nn.AvgPool2d, nn.AvgPool3d))
    ]
    assert found == [maxima, averages]


def settle(block: nn.Module) -> nn.Module:
    """The block in evaluation with batch norms that do something."""
    for module in block.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.BatchNorm3d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return block.eval().double()


def layer(x: Tensor, pair: nn.Module, stride: int = 1, groups: int = 1) -> Tensor:
    """Convolution with same padding and the definition of a batch norm in evaluation."""
    conv, norm = pair[0], pair[1]
    function = F.conv3d if x.ndim == 5 else F.conv2d
    y = function(x, conv.weight, None, stride, conv.weight.shape[-1] // 2, 1, groups)
    shape = (1, -1, *[1] * (x.ndim - 2))
    mean, var, gain, shift = (
        t.view(shape) for t in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (y - mean) / torch.sqrt(var + 1e-5) * gain + shift


@pytest.mark.parametrize(("kind", "sides"), [(BasicBlock, (9, 8)), (BasicBlock3d, (5, 9, 8))])
@pytest.mark.parametrize(("channels", "stride"), [(6, 1), (4, 2)])
def test_a_basic_block_is_two_convolutions_and_a_shortcut(
    kind: type[BasicBlock], sides: tuple[int, ...], channels: int, stride: int
) -> None:
    torch.manual_seed(1)
    block = settle(kind(channels, 6, stride))
    x = torch.randn(2, channels, *sides, dtype=torch.float64)
    y = layer(F.relu(layer(x, block.first, stride)), block.second)
    kept = x if stride == 1 else layer(x, block.shortcut, stride)
    torch.testing.assert_close(block(x), F.relu(y + kept), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "width", "inner", "groups"),
    [(Bottleneck, 8, 8, 1), (AggregatedBottleneck, 32, 64, 32)],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_a_bottleneck_has_its_stride_and_groups_on_the_3x3(
    kind: type[Bottleneck], width: int, inner: int, groups: int, stride: int
) -> None:
    torch.manual_seed(2)
    block = settle(kind(12, width, stride))
    assert block.body[1][0].weight.shape == (inner, inner // groups, 3, 3)
    x = torch.randn(2, 12, 9, 8, dtype=torch.float64)
    y = F.relu(layer(x, block.body[0]))
    y = F.relu(layer(y, block.body[1], stride, groups))
    y = layer(y, block.body[2]) + layer(x, block.shortcut, stride)
    torch.testing.assert_close(block(x), F.relu(y), rtol=1e-12, atol=1e-12)


def test_a_dense_layer_sees_all_that_came_before_it() -> None:
    torch.manual_seed(3)
    block = settle(DenseBlock(5, 3))
    x = torch.randn(2, 5, 7, 6, dtype=torch.float64)
    known = [x]
    for dense in block:
        y = torch.cat(known, 1)
        norm = dense[0][0]
        y = F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        y = F.relu(layer(F.relu(y), dense[1]))
        known.append(F.conv2d(y, dense[2].weight, None, 1, 1))
    assert known[-1].shape[1] == GROWTH
    torch.testing.assert_close(block(x), torch.cat(known, 1), rtol=1e-12, atol=1e-12)


def test_inception_works_unpadded_down_to_its_smallest_size_and_no_further() -> None:
    with torch.device("meta"):
        network = InceptionV3(CLASSES).eval()
    unpadded = nn.Sequential(network.encoder, network.last)
    assert unpadded(torch.empty(1, 3, SMALLEST, SMALLEST, device="meta")).shape[2:] == (1, 1)
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size"):
        unpadded(torch.empty(1, 3, SMALLEST - 1, SMALLEST - 1, device="meta"))
    places = [
        module(torch.empty(1, 3, 299, 299, device="meta")).shape[1:]
        for module in (network.middle, network.features)
    ]
    assert places == [(768, 17, 17), (2048, 8, 8)]  # as in the paper, table 1


@pytest.mark.parametrize("size", [(64, 90), (75, 75), (70, 64), (299, 80)])
def test_sides_below_the_least_repeat_their_last_row_and_column(size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    padded = pad_to_least(x, 75)
    rows, columns = (torch.arange(max(side, 75)).clamp(max=side - 1) for side in size)
    assert torch.equal(padded, x[:, :, rows][..., columns])


def test_branches_stand_side_by_side_in_their_order() -> None:
    x = torch.randn(1, 2, 4, 4)
    assert torch.equal(Branches(nn.Identity(), nn.ReLU())(x), torch.cat([x, x.relu()], 1))


@pytest.mark.parametrize("frames", [1, 3, 16])
def test_clips_of_any_length_are_taken(frames: int) -> None:
    network = create_model("resnet3d_18", num_classes=3, stem_pool=True).eval()
    with torch.inference_mode():
        assert network(torch.randn(2, 3, frames, 64, 70)).shape == (2, 3)


def test_convolutions_begin_with_the_variance_of_he() -> None:
    torch.manual_seed(0)
    weight = create_model("resnet18").encoder.stages[3][1].second[0].weight
    assert weight.shape == (512, 512, 3, 3)
    assert float(weight.detach().std()) == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)
