"""What convolutions with gradients of their own share: autocast, the bias, and the layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

Pair = tuple[int, int]


def as_autocast(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the CPU's autocast precision where it is on; a custom gradient gets no such cast."""
    if x.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        precision = torch.get_autocast_dtype("cpu")
        return x.to(precision), weight.to(precision)
    return x, weight


def with_bias(y: Tensor, bias: Tensor | None) -> Tensor:
    """y N×D×H×W plus a bias of D values, if there is one."""
    return y if bias is None else y + bias.to(y.dtype)[:, None, None]


class OwnConv2d(nn.Conv2d):
    """A convolution computed by `operator`, called as `conv2d` without its last argument."""

    operator: ClassVar[Callable[..., Tensor]]

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×D×H'×W'."""
        how: Any = self.stride, self.padding, self.dilation
        return type(self).operator(x, self.weight, self.bias, *how)
