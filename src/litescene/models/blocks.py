"""Blocks that several networks share. Shapes are N×C×H×W."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvNormAct(nn.Sequential):
    """Convolution ("same" padding for odd kernels), batch norm, activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        *,
        bias: bool = False,
        activation: type[nn.Module] | None = nn.ReLU,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=bias
            ),
            nn.BatchNorm2d(out_channels, eps=eps, momentum=momentum),
        ]
        if activation is not None:
            layers.append(activation())
        super().__init__(*layers)


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear resize (half-pixel centres) of `x` to the height and width of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _averaging_matrix(size: int, bins: int, like: Tensor) -> Tensor:
    """bins×size matrix; row i averages cells floor(i·size/bins) to ceil((i+1)·size/bins)."""
    position = torch.arange(size, device=like.device)
    index = torch.arange(bins, device=like.device)
    start = (index * size) // bins
    end = ((index + 1) * size + bins - 1) // bins
    inside = (position[None, :] >= start[:, None]) & (position[None, :] < end[:, None])
    weights = inside.to(like.dtype)
    return weights / weights.sum(1, keepdim=True)


def adaptive_average(x: Tensor, bins: int) -> Tensor:
    """Adaptive average pooling to bins×bins, as two matrix products.

    Equal to `adaptive_avg_pool2d`, but it exports to ONNX with a dynamic height and width.
    """
    if bins == 1:
        return x.mean((2, 3), keepdim=True)
    rows = _averaging_matrix(x.shape[2], bins, x)
    columns = _averaging_matrix(x.shape[3], bins, x)
    return torch.matmul(torch.matmul(rows, x), columns.transpose(0, 1))
