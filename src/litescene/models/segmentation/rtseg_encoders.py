"""The encoders that RTSeg combines with its decoders; `rtseg.py` tells of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from litescene.models.backbones.maps import StageMaps, StageWidths
from litescene.models.backbones.mobilenet_v1 import MobileNetV1
from litescene.models.backbones.resnet import ResNet, resnet18, resnet34
from litescene.models.backbones.shufflenet_v1 import ShuffleNetV1
from litescene.models.backbones.vgg import VGG16

EncoderName = Literal["vgg16", "resnet18", "resnet34", "mobilenet", "shufflenet"]
DecoderName = Literal["skipnet", "unet", "dilation"]


def _dilate(stage: nn.Module, dilation: int) -> None:
    """Take the stride 2 from a stage and spread its 3×3 convolutions instead.

    The one that had the stride sees the map before it, and is spread half as far.
    """
    for layer in stage.modules():
        if isinstance(layer, nn.Conv2d):
            if layer.kernel_size == (3, 3):
                spread = dilation // layer.stride[0]
                layer.padding = layer.dilation = (spread, spread)
            layer.stride = (1, 1)


def _add_biases(model: nn.Module) -> None:
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.bias = nn.Parameter(torch.zeros(layer.out_channels))


class ResNetEncoder(nn.Module):
    """A ResNet in the form of this framework.

    `bias` gives every convolution one; `dilated` ends at stride 8, with dilation 2 and 4 in the
    place of the last strides.
    """

    def __init__(self, net: ResNet, *, bias: bool = False, dilated: bool = False) -> None:
        super().__init__()
        self.net = net
        if bias:
            _add_biases(net)
        if dilated:
            _dilate(net.stages[2], 2)
            _dilate(net.stages[3], 4)
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eps, layer.momentum = 1e-3, 0.01  # TensorFlow's
        self.strides = (4, 8, 8, 8) if dilated else (4, 8, 16, 32)
        self.widths = {
            s: StageWidths(c, c) for s, c in zip(self.strides, net.channels, strict=True)
        }

    def forward(self, x: Tensor) -> dict[int, StageMaps]:
        """N×3×H×W to the maps of strides 4, 8, 16, 32 (4, 8 if dilated)."""
        return {s: StageMaps(x, x) for s, x in zip(self.strides, self.net(x), strict=True)}


def _vgg16(decoder: DecoderName) -> VGG16:
    width = {"skipnet": 4096, "unet": 0, "dilation": 1024}[decoder]
    return VGG16(classifier=width, dilated=decoder == "dilation")


def _resnet(make: Callable[..., ResNet]) -> Callable[[DecoderName], ResNetEncoder]:
    def build(decoder: DecoderName) -> ResNetEncoder:
        net = make(shortcut_norm=False)
        return ResNetEncoder(net, bias=decoder == "unet", dilated=decoder == "dilation")

    return build


def _mobilenet(decoder: DecoderName) -> MobileNetV1:
    return MobileNetV1(dilated=decoder == "dilation")


def _shufflenet(decoder: DecoderName) -> ShuffleNetV1:
    return ShuffleNetV1(dilated=decoder == "dilation")


@dataclass(frozen=True)
class Encoder:
    """An encoder and what the decoders do for it.

    `build` makes the form that a decoder needs, with `widths` and a `forward` that gives the maps
    by stride. `skip_norm` and `dilation_norm` say whether these decoders have batch norms; `unet`
    is the U-Net's kind and `last_width` its last width. Sides are made multiples of `divisor`.
    """

    build: Callable[[DecoderName], nn.Module]
    unet: Literal["plain", "vgg", "linknet"]
    skip_norm: bool = False
    dilation_norm: bool = False
    last_width: int = 32
    divisor: int = 1


ENCODERS: dict[str, Encoder] = {
    "vgg16": Encoder(_vgg16, "vgg"),
    "resnet18": Encoder(_resnet(resnet18), "linknet"),
    "resnet34": Encoder(_resnet(resnet34), "linknet"),
    "mobilenet": Encoder(_mobilenet, "plain", skip_norm=True, dilation_norm=True),
    "shufflenet": Encoder(_shufflenet, "plain", skip_norm=True, last_width=24, divisor=8),
}
