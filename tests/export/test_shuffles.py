"""Channel shuffles taken into the weights behind them: the same values, and nothing turned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.export import to_onnx
from litescene.export.shuffles import has_shuffles
from litescene.models import InputSpec, create_model
from litescene.models.backbones.shufflenet_v2 import ShuffleDownUnit, ShuffleUnit
from litescene.models.blocks import channel_halves, channel_shuffle

SIZES = ((64, 96), (97, 131))


class Small(nn.Module):
    """Two stages of units and what `end` makes of their maps."""

    def __init__(self, end: Callable[[Any, Tensor, Tensor], Tensor], *, bgr: bool = False) -> None:
        super().__init__()
        self.input_spec = InputSpec(bgr=bgr)
        self.first = nn.Sequential(ShuffleDownUnit(3, 28), *(ShuffleUnit(28) for _ in range(3)))
        self.second = nn.Sequential(ShuffleDownUnit(28, 36), *(ShuffleUnit(36) for _ in range(4)))
        self.lateral = nn.Conv2d(36, 10, 1)
        self.joined = nn.Conv2d(38, 6, 3, padding=1)
        self.end = end

    def head_logits(self, x: Tensor) -> Tensor:
        """N×3×H×W to the end's map."""
        fine = self.first(x)
        coarse = self.second(fine)
        return self.end(self, fine, coarse)


def joined(net: Any, fine: Tensor, coarse: Tensor) -> Tensor:
    up = F.interpolate(F.silu(net.lateral(coarse)), size=fine.shape[-2:], mode="nearest")
    result: Tensor = net.joined(torch.cat((up, fine), 1))
    return result


def means(net: Any, fine: Tensor, coarse: Tensor) -> Tensor:
    smooth = F.avg_pool2d(torch.sigmoid(F.max_pool2d(coarse, 3, 1, 1)), 3, 1, 1)
    result: Tensor = net.lateral(smooth[:, :, ::2, ::2]) + net.lateral(coarse.mean((2, 3), True))
    return result


def shuffled_again(net: Any, fine: Tensor, coarse: Tensor) -> Tensor:
    first, second = channel_halves(channel_shuffle(fine, 7))
    result: Tensor = net.joined(torch.cat((second, fine[:, 3:13], first), 1))
    return result


def plain(net: Any, fine: Tensor, coarse: Tensor) -> Tensor:
    return coarse


def softmaxed(net: Any, fine: Tensor, coarse: Tensor) -> Tensor:
    result: Tensor = net.joined(torch.cat((torch.softmax(fine, 1), fine[:, :10]), 1))
    return result


def network(end: Callable[..., Tensor], *, bgr: bool = False) -> nn.Module:
    torch.manual_seed(3)
    made = Small(end, bgr=bgr).train()
    for size in SIZES:
        made.head_logits(torch.randn(4, 3, *size))  # batch norms that have seen pictures
    return made.eval()


def compare(net: Any, graph: bytes) -> None:
    session = onnxruntime.InferenceSession(graph)
    for size in SIZES:
        pictures = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8)
        x = net.input_spec.normalised(pictures.permute(0, 3, 1, 2).float())
        with torch.inference_mode():
            wanted = net.double().head_logits(x.double()).numpy()
        (found,) = session.run(None, {"pictures": pictures.numpy()})
        np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("end", [joined, means, shuffled_again])
def test_no_shuffle_is_left_and_the_map_is_the_same(end: Callable[..., Tensor]) -> None:
    net = network(end)
    graph = to_onnx(net)
    model = onnx.load_model_from_string(graph).graph
    assert not has_shuffles(model)
    assert {"Gather", "Reshape"}.isdisjoint(n.op_type for n in model.node) or end is joined
    compare(net, graph)


@pytest.mark.parametrize(("end", "units"), [(plain, 9), (softmaxed, 4)])
def test_where_the_order_matters_shuffles_are_computed(
    end: Callable[..., Tensor], units: int
) -> None:
    net = network(end)
    graph = to_onnx(net)
    model = onnx.load_model_from_string(graph).graph
    assert has_shuffles(model)
    turned = [n for n in model.node if n.op_type == "Transpose"]
    assert len(turned) == 1 + units  # the picture's planes, and one for each unit
    compare(net, graph)


def test_a_unit_moves_the_half_it_works_on() -> None:
    graph = onnx.load_model_from_string(to_onnx(create_model("yolov5_lite_e").eval())).graph
    kinds = {node.op_type for node in graph.node}
    assert kinds.isdisjoint({"Reshape", "Slice", "Gather", "Shape"})
    weights = {value.name: list(value.dims) for value in graph.initializer}
    made = {node.output[0]: node for node in graph.node}
    behind = [n for n in graph.node if n.op_type == "Conv" and n.input[0] in made]
    widths = [
        weights[conv.input[1]][1] * next(a.i for a in conv.attribute if a.name == "group")
        for conv in behind
        if made[conv.input[0]].op_type == "Concat"
    ]
    # Units of 120, 232 and 464 channels; wider ones join at the end of a stage and in the neck.
    assert [sum(width == half for width in widths) for half in (60, 116, 232)] == [3, 7, 3]


@pytest.mark.parametrize("end", [joined, softmaxed])
def test_blue_before_red_is_no_shuffle(end: Callable[..., Tensor]) -> None:
    net = network(end, bgr=True)
    compare(net, to_onnx(net))
