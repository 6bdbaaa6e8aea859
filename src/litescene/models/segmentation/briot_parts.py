"""The exchangeable parts of `briot`: convolutions, activations and stems, chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from litescene.core import UnknownNameError
from litescene.models.blocks import Activation, ConvNormAct, SeparableConv, channel_shuffle, relu
from litescene.models.p4 import ORIENTATIONS, P4Conv, P4Norm
from litescene.ops import DenseConv2d

ActivationName = Literal["relu", "crelu"]
ConvolutionName = Literal["standard", "p4", "grouped", "separable", "factorised", "bottleneck"]
StemName = Literal["3x3", "7x7", "three 3x3"]

Unit = Callable[..., nn.Module]
"""Makes a convolution with norm and activation: input and output channels, kernel, stride and
`activation`."""


class CReLU(nn.Module):
    """Concatenated ReLU: both signs of a filter's answer (Shang et al., ICML 2016)."""

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×2C×H×W."""
        return torch.cat([torch.relu(x), torch.relu(-x)], 1)


def crelu(_channels: int) -> nn.Module:
    """Concatenated ReLU, which doubles the channels."""
    return CReLU()


class P4Unit(nn.Sequential):
    """p4 convolution, its batch norm and activation; `out_channels` count all orientations."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        activation: Activation = relu,
    ) -> None:
        filters = out_channels // ORIENTATIONS
        super().__init__(
            P4Conv(in_channels, filters, kernel, stride, lifting=in_channels == 3),
            P4Norm(filters),
            activation(out_channels),
        )


class GroupedUnit(nn.Module):
    """Convolution in groups, batch norm, activation and a shuffle of the groups."""

    groups = 4

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        *,
        activation: Activation = relu,
    ) -> None:
        super().__init__()
        self.conv = ConvNormAct(
            in_channels, out_channels, kernel, stride, self.groups, activation=activation
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×out×⌈H/stride⌉×⌈W/stride⌉ (twice the channels after CReLU)."""
        return channel_shuffle(self.conv(x), self.groups)


def separable(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    activation: Activation = relu,
) -> nn.Module:
    """Depthwise 3×3 with ReLU and 1×1 convolution."""
    return SeparableConv(in_channels, out_channels, stride, activation=activation)


def factorised(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    activation: Activation = relu,
) -> nn.Module:
    """1×k and k×1 convolution, each of which moves by the stride along its own axis."""
    half = kernel // 2
    row = DenseConv2d(in_channels, out_channels, (1, kernel), (1, stride), (0, half), bias=False)
    column = DenseConv2d(
        out_channels, out_channels, (kernel, 1), (stride, 1), (half, 0), bias=False
    )
    return nn.Sequential(row, column, nn.BatchNorm2d(out_channels), activation(out_channels))


def bottleneck(
    in_channels: int,
    out_channels: int,
    kernel: int = 3,
    stride: int = 1,
    *,
    activation: Activation = relu,
) -> nn.Module:
    """1×1 convolution to a quarter of the channels, k×k and 1×1."""
    middle = out_channels // 4
    return nn.Sequential(
        ConvNormAct(in_channels, middle, 1),
        ConvNormAct(middle, middle, kernel, stride),
        ConvNormAct(middle, out_channels, 1, activation=activation),
    )


_UNITS: dict[str, Unit] = {
    "standard": ConvNormAct,
    "p4": P4Unit,
    "grouped": GroupedUnit,
    "separable": separable,
    "factorised": factorised,
    "bottleneck": bottleneck,
}
_FOR_PICTURES = ("standard", "p4", "factorised")
_ACTIVATIONS: dict[str, tuple[Activation, int]] = {"relu": (relu, 1), "crelu": (crelu, 2)}


def _chosen(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name]


class Toolbox:
    """Makes the layers of an encoder from the named parts: `layer` is what `VGG10` takes."""

    def __init__(self, convolution: str, activation: str, stem: str) -> None:
        stems: dict[str, Unit] = {
            "3x3": self._unit,
            "7x7": partial(self._unit, kernel=7),
            "three 3x3": self._three,
        }
        self.convolution = convolution
        self.unit: Unit = _chosen("convolution", convolution, _UNITS)
        self.activation, self.copies = _chosen("activation", activation, _ACTIVATIONS)
        self.stem: Unit = _chosen("stem", stem, stems)

    def layer(self, in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
        """A convolution with norm and activation; the strided one is the stem."""
        make = self._unit if stride == 1 else self.stem
        return make(in_channels, out_channels, stride=stride)

    def _unit(
        self, in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1
    ) -> nn.Module:
        sees_picture = in_channels == 3 and self.convolution not in _FOR_PICTURES
        unit = ConvNormAct if sees_picture else self.unit
        width = out_channels // self.copies
        return unit(in_channels, width, kernel, stride, activation=self.activation)

    def _three(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        return nn.Sequential(
            self._unit(in_channels, out_channels, stride=stride),
            self._unit(out_channels, out_channels),
            self._unit(out_channels, out_channels),
        )
