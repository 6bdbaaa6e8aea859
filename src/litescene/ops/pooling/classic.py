"""Average, maximum and power-average pooling, and the way back from a maximum.

They are what the learned poolings are compared with, behind the same functions and layers; the
windows are described in `windows`. Average and maximum are PyTorch's own where it has them, and
add what it lacks: an average with dilation, a maximum that counts padding as zeros.

The power average is Gulcehre et al., "Learned-Norm Pooling for Deep Feedforward and Recurrent
Neural Networks", ECML PKDD 2014 (with a given p), and without the mean Sermanet et al.,
"Convolutional Neural Networks Applied to House Numbers Digit Classification", ICPR 2012. Ours is
of magnitudes, as the norm is; PyTorch's `lp_pool` cuts windows whose sum is negative to 0.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core.errors import OperatorError
from litescene.ops.pooling.layer import PoolLayer, as_given, precise
from litescene.ops.pooling.weighting import choice, counted, mean
from litescene.ops.pooling.windows import Size, Windows, around, elements, traced, windows_for

Normalize = Literal["mean", "sum"]

_AVERAGES: tuple[Any, ...] = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
_MAXIMA: tuple[Any, ...] = (F.max_pool1d, F.max_pool2d, F.max_pool3d)


def avg_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    **how: bool,
) -> Tensor:
    """Mean of every window; padding counts only with `count_include_pad`.

    >>> avg_pool(torch.tensor([[[1.0, 2.0, 6.0]]]), 2, padding=1)
    tensor([[[1., 4.]]])
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    return as_given(averages(precise(x), windows), x)


def averages(v: Tensor, windows: Windows) -> Tensor:
    """Means of windows that were checked; N×C×out."""
    if set(windows.dilation) != {1} or (windows.ceil_mode and traced()) or _refused(v, windows):
        # What PyTorch has not, and what ONNX runtimes do not agree on.
        return mean(*elements(v, windows)).squeeze(2)
    average: Tensor = _AVERAGES[v.ndim - 3](
        v,
        windows.kernel,
        windows.stride,
        windows.padding,
        windows.ceil_mode,
        windows.count_include_pad,
    )
    return average


def _refused(v: Tensor, windows: Windows) -> bool:
    """Whether PyTorch's average refuses what is one: no channels, or padding that is needed.

    In three dimensions it wants the kernel to fit without padding. A traced graph has no sizes to
    look at; there PyTorch's average is taken.
    """
    if traced():
        return False
    small = any(k > size for k, size in zip(windows.kernel, v.shape[2:], strict=True))
    return v.shape[1] == 0 or (v.ndim == 5 and small)


def max_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    **how: bool,
) -> Tensor:
    """Maximum of every window; its gradient goes to the first of equal ones.

    >>> max_pool(torch.tensor([[[1.0, 2.0, 6.0]]]), 2, padding=1)
    tensor([[[1., 6.]]])
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    return as_given(maxima(x, windows), x)


def maxima(v: Tensor, windows: Windows) -> Tensor:
    """Maxima of windows that were checked; N×C×out."""
    if not traced() and v.shape[1] == 0:
        return averages(v, windows)  # as empty; PyTorch's maximum refuses it
    highest = _MAXIMA[v.ndim - 3]
    if windows.count_include_pad:
        return highest(bordered(v, windows), windows.kernel, windows.stride, 0, windows.dilation)
    return highest(v, *_numbers(windows), windows.ceil_mode)


def bordered(v: Tensor, windows: Windows) -> Tensor:
    """v with its padding, 0 where that counts and else -∞, and -∞ where windows reach beyond."""
    none = (0,) * len(windows.kernel)
    edge = 0.0 if windows.count_include_pad else -math.inf
    over = around(none, windows.overhang(tuple(v.shape[2:])))
    return F.pad(F.pad(v, around(windows.padding), value=edge), over, value=-math.inf)


def _numbers(windows: Windows) -> tuple[tuple[int, ...], ...]:
    return windows.kernel, windows.stride, windows.padding, windows.dilation


def lp_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    power: float = 2.0,
    normalize: Normalize = "mean",
    **how: bool,
) -> Tensor:
    """Power average (mean |x|^p)^(1/p) of every window, or with `sum` its L_p norm.

    `power` is p, at least 1 and finite: 1 averages magnitudes, and with rising p it nears their
    maximum. Magnitudes are divided by the window's largest before the power is taken, which
    cancels, so neither large nor small values leave the type's range. A window of zeros gives 0,
    with a gradient of 0.

    >>> lp_pool(torch.tensor([[[3.0, -4.0]]]), 2, normalize="sum")
    tensor([[[5.]]])
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    choice("normalize", normalize, Normalize)
    if not 1 <= power < math.inf:
        raise OperatorError(f"power is {power}; it is at least 1 and finite")
    v, inside = elements(precise(x), windows)
    magnitude = counted(v, inside).abs()
    size = magnitude.detach().amax(2)
    none = size == 0
    size = torch.where(none, torch.ones_like(size), size)
    powers = (magnitude / size[:, :, None]) ** power
    total = powers.sum(2)
    if normalize == "mean":
        total = total / (windows.count if inside is None else inside.sum(2))
    root = torch.where(none, torch.ones_like(total), total) ** (1 / power)
    return as_given(torch.where(none, torch.zeros_like(root), root * size), x)


def max_pool_with_places(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    """`max_pool`, and where each maximum was: its index in the flattened input, N×C×out."""
    windows = windows_for(x, kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)
    if not traced() and x.shape[1] == 0:
        y = maxima(x, windows)
        return as_given(y, x), torch.empty_like(y, dtype=torch.int64)
    y, places = _MAXIMA[x.ndim - 3](x, *_numbers(windows), ceil_mode, return_indices=True)
    return as_given(y, x), places


def max_unpool(y: Tensor, places: Tensor, size: tuple[int, ...]) -> Tensor:
    """Values at the places of the maxima in an input of that size, 0 elsewhere.

    y and `places` are N×C×out as `max_pool_with_places` gives them, `size` the input's last
    dimensions. Where windows overlap and share a maximum, one of their values is kept, as with
    PyTorch's `max_unpool`: all are equal if y are the maxima themselves.

    Raises `OperatorError` if y and places differ in shape, or places lie outside of the size.
    """
    dims = y.ndim - 2
    if places.shape != y.shape or places.dtype != torch.int64 or len(size) != dims:
        raise OperatorError(
            f"y {tuple(y.shape)} and places {tuple(places.shape)} ({places.dtype}) of an input of "
            f"size {tuple(size)}: shapes must be equal, places int64, and the size have the "
            f"{dims} dimensions of y"
        )
    count = math.prod(size)
    if not (traced() or torch.compiler.is_compiling()) and places.numel():
        first, last = int(places.min()), int(places.max())
        if first < 0 or last >= count:
            raise OperatorError(f"places {first} to {last} do not lie in a size of {tuple(size)}")
    spread = y.new_zeros(*y.shape[:2], count).scatter(2, places.flatten(2), y.flatten(2))
    return spread.reshape(*y.shape[:2], *size)


class AvgPool(PoolLayer):
    """`avg_pool` as a layer."""

    operator = staticmethod(avg_pool)


class MaxPool(PoolLayer):
    """`max_pool` as a layer."""

    operator = staticmethod(max_pool)


class LpPool(PoolLayer):
    """`lp_pool` as a layer."""

    operator = staticmethod(lp_pool)


class MaxUnPool(nn.Module):
    """`max_unpool` as a layer."""

    def forward(self, y: Tensor, places: Tensor, size: tuple[int, ...]) -> Tensor:
        """N×C×out, its places and the input's last dimensions to N×C×size."""
        return max_unpool(y, places, size)
