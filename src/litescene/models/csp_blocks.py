"""Blocks of the YOLOv5 family: convolutions with SiLU, cross-stage bottlenecks, SPP, Focus.

Shapes are N×C×H×W. Origin: github.com/ultralytics/yolov5 (v5.0, 2021; no paper); written from a
fact sheet of measured shapes. The cross-stage idea is CSPNet's (Wang et al., CVPR Workshops 2020),
SPP is spatial pyramid pooling with stride 1 (He et al., TPAMI 2015).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.ops import DenseConv2d

BN_EPS = 1e-3
BN_MOMENTUM = 0.03


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with the family's constants."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


class ConvBlock(nn.Module):
    """Convolution without bias, batch norm, SiLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv: nn.Conv2d = DenseConv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = batch_norm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×⌈H/stride⌉×⌈W/stride⌉."""
        return F.silu(self.bn(self.conv(x)))


class Bottleneck(nn.Sequential):
    """1×1 and 3×3 convolution of one width; with `shortcut` the input is added."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__(ConvBlock(channels, channels), ConvBlock(channels, channels, 3))
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×C×H×W."""
        y: Tensor = self[1](self[0](x))
        return x + y if self.shortcut else y


class C3(nn.Module):
    """Cross-stage block: bottlenecks of half the width beside a 1×1, fused by a 1×1."""

    def __init__(self, c_in: int, c_out: int, repeats: int = 1, *, shortcut: bool = False) -> None:
        super().__init__()
        half = c_out // 2
        self.cv1 = ConvBlock(c_in, half)
        self.bottlenecks = nn.Sequential(
            *(Bottleneck(half, shortcut=shortcut) for _ in range(repeats))
        )
        self.cv2 = ConvBlock(c_in, half)
        self.cv3 = ConvBlock(2 * half, c_out)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×H×W."""
        return self.cv3(torch.cat((self.bottlenecks(self.cv1(x)), self.cv2(x)), dim=1))


class SPP(nn.Module):
    """Maxima over windows of several sizes beside the map itself, between two 1×1."""

    def __init__(self, c_in: int, c_out: int, windows: Sequence[int] = (5, 9, 13)) -> None:
        super().__init__()
        half = c_in // 2
        self.cv1 = ConvBlock(c_in, half)
        self.pools = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in windows)
        self.cv2 = ConvBlock(half * (1 + len(windows)), c_out)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×H×W."""
        x = self.cv1(x)
        return self.cv2(torch.cat((x, *(pool(x) for pool in self.pools)), dim=1))


class FocusConv2d(nn.Conv2d):
    """Focus and its 3×3 convolution: every 2×2 block of pixels becomes channels first.

    The four pixels of a block come in the order (row, column) (0, 0), (1, 0), (0, 1), (1, 1), each
    with all its channels. `deployed` is the equal 6×6 convolution with stride 2, which every
    runtime has; strided slices some lack.
    """

    OFFSETS = ((0, 0), (1, 0), (0, 1), (1, 1))

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(4 * c_in, c_out, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W with even sides to N×Cout×H/2×W/2."""
        return super().forward(torch.cat([x[..., r::2, s::2] for r, s in self.OFFSETS], dim=1))

    def deployed(self) -> nn.Conv2d:
        """6×6, stride 2, padding 2: weight [:, :, r::2, s::2] is the part of pixel (r, s)."""
        c_in = self.in_channels // 4
        whole = nn.Conv2d(c_in, self.out_channels, 6, 2, 2, bias=False).to(self.weight)
        with torch.no_grad():
            parts = torch.split(self.weight, c_in, dim=1)
            for (r, s), part in zip(self.OFFSETS, parts, strict=True):
                whole.weight[:, :, r::2, s::2] = part
        return whole


class Focus(ConvBlock):
    """`FocusConv2d`, batch norm, SiLU."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__(c_in, c_out)
        self.conv = FocusConv2d(c_in, c_out)
