"""Blocks that several networks share. Shapes are N×C×H×W."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.ops import DenseConv2d, DepthwiseConv2d, PReLU

Back = Callable[[Tensor], Tensor]
"""Brings a map of a pooling's output size back to its input's size."""
Activation = Callable[[int], nn.Module]
"""Makes the activation of so many channels; `PReLU` is one (a slope per channel)."""


def relu(_channels: int) -> nn.Module:
    """ReLU."""
    return nn.ReLU()


def relu6(_channels: int) -> nn.Module:
    """ReLU cut at 6."""
    return nn.ReLU6()


def leaky_relu(_channels: int) -> nn.Module:
    """ReLU with the slope 0.01 below 0."""
    return nn.LeakyReLU()


def elu(_channels: int) -> nn.Module:
    """Exponential linear unit."""
    return nn.ELU()


def single_prelu(_channels: int) -> nn.Module:
    """PReLU with one slope for all channels."""
    return PReLU()


class ConvNormAct(nn.Sequential):
    """Convolution ("same" padding for odd kernels unless given), batch norm, activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int] = 3,
        stride: int = 1,
        groups: int = 1,
        *,
        dilation: int | tuple[int, int] = 1,
        padding: int | None = None,
        bias: bool = False,
        activation: Activation | None = relu,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        steps = (dilation, dilation) if isinstance(dilation, int) else dilation
        same = (sides[0] // 2 * steps[0], sides[1] // 2 * steps[1])
        around = same if padding is None else (padding, padding)
        conv: nn.Module
        if groups == in_channels == out_channels:
            conv = DepthwiseConv2d(in_channels, sides, stride, around, steps, bias=bias)
        elif groups == 1:
            conv = DenseConv2d(in_channels, out_channels, sides, stride, around, steps, bias=bias)
        else:
            conv = nn.Conv2d(in_channels, out_channels, sides, stride, around, steps, groups, bias)
        layers: list[nn.Module] = [
            conv,
            nn.BatchNorm2d(out_channels, eps=eps, momentum=momentum),
        ]
        if activation is not None:
            layers.append(activation(out_channels))
        super().__init__(*layers)


class NormAct(nn.Sequential):
    """Batch norm and activation."""

    def __init__(
        self, channels: int, activation: Activation | None = relu, *, eps: float = 1e-5
    ) -> None:
        super().__init__(nn.BatchNorm2d(channels, eps=eps))
        if activation is not None:
            self.append(activation(channels))


class ConvPoolDown(nn.Module):
    """Half the size, as ENet begins: 3×3 stride 2 beside a maximum, concatenated, normalised.

    The convolution gives the channels that the maximum does not. `pool` is the maximum's side.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        pool: int = 2,
        bias: bool = True,
        activation: Activation = relu,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.conv = DenseConv2d(in_channels, out_channels - in_channels, 3, 2, 1, bias=bias)
        # The last, incomplete 2×2 window of an odd side counts, as the convolution's does.
        self.pool = nn.MaxPool2d(pool, 2, (pool - 1) // 2, ceil_mode=pool % 2 == 0)
        self.norm = NormAct(out_channels, activation, eps=eps)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×⌈h/2⌉×⌈w/2⌉, the convolution's channels first."""
        return self.norm(torch.cat([self.conv(x), self.pool(x)], 1))


def doubling(
    in_channels: int, out_channels: int, kernel: int, *, bias: bool = True
) -> nn.ConvTranspose2d:
    """Transposed convolution with a kernel of 2 or 3 and stride 2: exactly twice the size."""
    odd = kernel % 2
    return nn.ConvTranspose2d(in_channels, out_channels, kernel, 2, odd, odd, bias=bias)


class SeparableConv(nn.Sequential):
    """Depthwise 3×3 and pointwise 1×1 convolution, each with batch norm and activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        dilation: int | tuple[int, int] = 1,
        depthwise_activation: Activation | None = relu,
        activation: Activation | None = relu,
        bias: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(
            ConvNormAct(
                in_channels,
                in_channels,
                3,
                stride,
                in_channels,
                dilation=dilation,
                bias=bias,
                activation=depthwise_activation,
                eps=eps,
            ),
            ConvNormAct(in_channels, out_channels, 1, bias=bias, activation=activation, eps=eps),
        )


class InvertedResidual(nn.Module):
    """1×1 convolution to `expansion` times the width, depthwise 3×3, linear 1×1; MobileNetV2.

    The input is added when the shape stays.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        expansion: int = 6,
        *,
        activation: Activation = relu,
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        self.body = nn.Sequential(
            ConvNormAct(in_channels, width, 1, activation=activation),
            ConvNormAct(width, width, 3, stride, width, activation=activation),
            ConvNormAct(width, out_channels, 1, activation=None),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×out×⌈H/stride⌉×⌈W/stride⌉."""
        y: Tensor = self.body(x)
        return x + y if self.residual else y


def resize_to(x: Tensor, like: Tensor, *, align_corners: bool = False) -> Tensor:
    """Bilinear resize of `x` to the height and width of `like`."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=align_corners)


def crop_to(x: Tensor, like: Tensor) -> Tensor:
    """The upper left part of `x` with the height and width of `like`."""
    return x[..., : like.shape[-2], : like.shape[-1]]


def pad_to_multiple(x: Tensor, divisor: int) -> Tensor:
    """`x` with its last row and column repeated until its sides are multiples of `divisor`."""
    height, width = x.shape[-2:]
    below, right = -height % divisor, -width % divisor
    return _repeat_last(x, below, right)


def pad_to_least(x: Tensor, side: int) -> Tensor:
    """`x` with its last row and column repeated until both sides are at least `side`."""
    # max(0, d) without a comparison, which a traced graph would not keep
    below, right = ((d + abs(d)) // 2 for d in (side - length for length in x.shape[-2:]))
    return _repeat_last(x, below, right)


def _repeat_last(x: Tensor, below: int, right: int) -> Tensor:
    tracing = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if not tracing and below == right == 0:
        return x
    # autocast pads in float32, and all that follows would stay in it
    return F.pad(x, (0, right, 0, below), mode="replicate").to(x.dtype)


def pad_as_tensorflow(x: Tensor) -> Tensor:
    """Zeros around `x` as TensorFlow's SAME has them before a 3×3 window of stride 2.

    One row above and below an odd height, only one below an even height; columns alike.
    """
    height, width = x.shape[-2:]
    return F.pad(x, (width % 2, 1, height % 2, 1))


def channel_halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the second half of the channels of N×C×H×W, C even."""
    half = int(x.shape[1]) // 2  # a constant also in a trace
    return x[:, :half], x[:, half:]


def channel_shuffle(x: Tensor, groups: int = 2) -> Tensor:
    """Interleave the channels of `groups` equal groups: N×C×H×W to the same shape.

    Raises `ValueError` if C is not a multiple of `groups`.
    """
    n, c, h, w = x.shape
    if c % groups:
        raise ValueError(f"{c} channels cannot be shuffled in {groups} groups")
    if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
        # A constant order, which the export takes into the weights, see `export.shuffles`. (PyTorch
        # documents is_tracing, but neither exports nor types it.)
        return x[:, torch.arange(int(c)).view(groups, -1).T.flatten()]
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


def _averaging_matrix(size: int, bins: int, like: Tensor) -> Tensor:
    """bins×size matrix; row i averages cells floor(i·size/bins) to ceil((i+1)·size/bins)."""
    position = torch.arange(size, device=like.device)
    index = torch.arange(bins, device=like.device)
    start = (index * size) // bins
    end = ((index + 1) * size + bins - 1) // bins
    inside = (position[None, :] >= start[:, None]) & (position[None, :] < end[:, None])
    weights = inside.to(like.dtype)
    return weights / weights.sum(1, keepdim=True)


def adaptive_average(x: Tensor, bins: int | tuple[int, int]) -> Tensor:
    """Adaptive average pooling to bins×bins (or rows×columns), as two matrix products.

    Equal to `adaptive_avg_pool2d`, but it exports to ONNX with a dynamic height and width, of the
    bins too.
    """
    if bins == 1:
        return x.mean((2, 3), keepdim=True)
    height, width = (bins, bins) if isinstance(bins, int) else bins
    rows = _averaging_matrix(x.shape[2], height, x)
    columns = _averaging_matrix(x.shape[3], width, x)
    return torch.matmul(torch.matmul(rows, x), columns.transpose(0, 1))


def first_maximum(x: Tensor) -> tuple[Tensor, Tensor]:
    """2×2 maximum N×C×h/2×w/2 of N×C×h×w (even sides) and its place N×C×4×h/2×w/2.

    The place is 1 for that cell of the window, row by row, that has the first of equal maxima,
    else 0.
    """
    cells = [x[..., i::2, j::2] for i in range(2) for j in range(2)]
    left = cells[0] >= cells[1], cells[2] >= cells[3]
    rows = torch.maximum(cells[0], cells[1]), torch.maximum(cells[2], cells[3])
    upper = rows[0] >= rows[1]
    chosen = upper & left[0], upper & ~left[0], ~upper & left[1], ~upper & ~left[1]
    return torch.maximum(*rows), torch.stack(chosen, 2).to(x.dtype)


def max_pool_with_place(x: Tensor) -> tuple[Tensor, Tensor]:
    """2×2 maximum of N×C×h×w with even sides, and its place as `max_unpool` takes it.

    Torch's own, but in an ONNX graph by `first_maximum`: the graph has then no scattering, which
    runtimes lack or do slowly. The values are equal, ties included.
    """
    if torch.onnx.is_in_onnx_export():
        return first_maximum(x)
    return F.max_pool2d(x, 2, return_indices=True)


def max_unpool(x: Tensor, place: Tensor) -> Tensor:
    """N×C×h×w to N×C×2h×2w with the values at the places of the maxima, 0 elsewhere."""
    if torch.onnx.is_in_onnx_export():
        return F.pixel_shuffle((x[:, :, None] * place).flatten(1, 2), 2)
    return F.max_unpool2d(x, place, (2, 2)).to(x.dtype)  # autocast makes it float32


class MaxPoolAndBack(nn.Module):
    """2×2 maximum, and the way back: `max_unpool` with its place.

    The way back is a function, so that another pooling may take this layer's place and bring its
    own (see `models.pooling`).
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Back]:
        """N×C×h×w with even sides to N×C×h/2×w/2, and back from any map of that shape."""
        pooled, place = max_pool_with_place(x)
        return pooled, functools.partial(max_unpool, place=place)
