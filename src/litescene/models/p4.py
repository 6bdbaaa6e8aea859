"""Convolutions that turn with the picture: the group p4 of shifts and quarter turns.

Paper: Cohen and Welling, "Group Equivariant Convolutional Networks", ICML 2016, arXiv 1602.07576.
Every filter is applied in its four orientations. A map of C filters has 4·C channels, the
orientations of a filter beside each other; a quarter turn of the picture turns the map and moves
the orientations on by one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ORIENTATIONS = 4


def quarter_turn(x: Tensor) -> Tensor:
    """The last two axes turned by 90° against the clock, as `torch.rot90` does."""
    # Rows are taken by number: the exporter to ONNX folds that into a constant, not `flip`.
    rows = torch.arange(x.shape[-1] - 1, -1, -1, device=x.device)
    return x.transpose(-1, -2).index_select(-2, rows)


class P4Conv(nn.Conv2d):
    """Convolution with every filter in four orientations.

    Args:
        in_channels: of the input, all orientations counted.
        filters: the output has four times as many channels.
        lifting: the input is a picture, or any map without orientations; otherwise it is the
            output of such a layer, and a turned filter reads its orientations moved on by as many.

    """

    def __init__(
        self, in_channels: int, filters: int, kernel: int = 3, stride: int = 1, *, lifting: bool
    ) -> None:
        if not lifting and in_channels % ORIENTATIONS:
            raise ValueError(
                f"{in_channels} channels are not {ORIENTATIONS} orientations of filters"
            )
        super().__init__(in_channels, filters, kernel, stride, kernel // 2, bias=False)
        self.lifting = lifting

    def oriented_kernel(self) -> Tensor:
        """The kernel 4·filters×in×k×k."""
        turned = [self.weight]
        for _ in range(ORIENTATIONS - 1):
            kernel = quarter_turn(turned[-1])
            if not self.lifting:
                by_orientation = kernel.reshape(len(kernel), -1, ORIENTATIONS, *kernel.shape[2:])
                kernel = by_orientation.roll(1, 2).flatten(1, 2)
            turned.append(kernel)
        return torch.stack(turned, 1).flatten(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×4·filters×⌈H/stride⌉×⌈W/stride⌉ for odd kernels."""
        return F.conv2d(x, self.oriented_kernel(), None, self.stride, self.padding)


class P4Norm(nn.Module):
    """Batch norm with one mean, variance, factor and offset for the orientations of a filter."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        """N×4·filters×H×W to the same shape."""
        n, channels, height, width = x.shape
        joined = x.reshape(n, channels // ORIENTATIONS, ORIENTATIONS * height, width)
        return self.norm(joined).reshape(n, channels, height, width)


def pool_orientations(x: Tensor) -> Tensor:
    """The largest answer of the four orientations: N×4·C×H×W to N×C×H×W that turns as a picture."""
    n, channels, height, width = x.shape
    return x.reshape(n, channels // ORIENTATIONS, ORIENTATIONS, height, width).amax(2)
