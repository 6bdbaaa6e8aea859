"""Poolings that draw in training and take an expectation in evaluation.

Stochastic pooling: Zeiler and Fergus, "Stochastic Pooling for Regularization of Deep Convolutional
Neural Networks", ICLR 2013. An element is drawn with a probability proportional to its value; in
evaluation it is weighted by that probability.

S3Pool: Zhai et al., "S3Pool: Pooling with Stochastic Spatial Sampling", CVPR 2017. A maximum with
stride 1, of which rows and columns are drawn; in evaluation cells are averaged.

Readings. The first paper's values are those of a ReLU: here a negative value has the probability 0,
and in a window without a positive one all elements are equally likely. The second paper's windows
are as far apart as they are long; here every kernel, stride and padding is taken: the maximum has
the kernel, and the rows and columns are thinned out by the stride. Its released code (Theano)
averages in evaluation over cells that begin half a stride before the map; here they are those that
a training draws from with the smallest grid, whose expectation they are.

Both draw from PyTorch's generator of the input's device (S3Pool of the CPU), so
`torch.manual_seed` repeats them.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from litescene.core.errors import OperatorError
from litescene.ops.pooling.classic import averages, bordered, maxima
from litescene.ops.pooling.layer import PoolLayer, as_given, precise
from litescene.ops.pooling.weighting import Inside, counted
from litescene.ops.pooling.windows import Size, Windows, elements, per_axis, traced, windows_for


def stochastic_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    training: bool = False,
    **how: bool,
) -> Tensor:
    """An element of every window, drawn with a probability proportional to its value.

    Without `training` the elements' sum weighted by these probabilities, Σ x² / Σ x where none is
    negative. The gradient goes to what was drawn, or through the probabilities too.

    >>> stochastic_pool(torch.tensor([[[0.0, 1.0, 3.0, 0.0]]]), 4)
    tensor([[[2.5000]]])
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    v, inside = elements(precise(x), windows)
    likely = _likely(v, inside)
    if training:
        # The largest of w / E, E exponentially distributed, is each with probability w / Σ w.
        race = likely.detach() / torch.empty_like(likely).exponential_()
        y = v.gather(2, race.argmax(2, keepdim=True)).squeeze(2)
        y = y + 0 * likely.detach().sum(2)  # what is not finite is seen, drawn or not
    else:
        y = (likely / likely.sum(2, keepdim=True) * counted(v, inside)).sum(2)
    return as_given(y, x)


def _likely(v: Tensor, inside: Inside) -> Tensor:
    """Probabilities of the elements but for a factor: at most 1, and 0 outside."""
    positive = counted(v, inside).relu()
    largest = positive.detach().amax(2, keepdim=True)
    even = torch.ones_like(v) if inside is None else inside.to(v.dtype).expand_as(v)
    none = largest == 0
    return torch.where(none, even, positive / torch.where(none, torch.ones_like(largest), largest))


def s3_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    grid: Size | None = None,
    training: bool = False,
    **how: bool,
) -> Tensor:
    """Maximum with stride 1, and of its rows and columns one in `stride`, drawn.

    The map of the maxima is cut into strips of `grid` rows, and of columns; each gives grid/stride
    of its rows, drawn and kept in order, the last strip what is missing. They are the same for all
    images and channels of a batch. `grid` is the stride or a multiple of it (by default the
    stride); the larger, the more the result is distorted. Without `training` cells as large as the
    stride are averaged.

    >>> s3_pool(torch.tensor([[[1.0, 2.0, 6.0, 0.0, 0.0]]]), 2)
    tensor([[[4., 3.]]])
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    strips = windows.stride if grid is None else per_axis("grid", grid, x.ndim - 2)
    for g, s in zip(strips, windows.stride, strict=True):
        if g < s or g % s:
            raise OperatorError(f"grid is {strips}; it must be a multiple of {windows.stride}")
    dense = _dense(precise(x), windows)
    if training:
        for axis, (g, s) in enumerate(zip(strips, windows.stride, strict=True)):
            rows = drawn_rows(int(dense.shape[axis + 2]), g, s)
            dense = dense.index_select(axis + 2, rows.to(dense.device))
        return as_given(dense, x)
    zeros, ones = (0,) * len(strips), (1,) * len(strips)
    cells = Windows(windows.stride, windows.stride, zeros, ones, ceil_mode=True)
    return as_given(averages(dense, cells), x)


def _dense(v: Tensor, windows: Windows) -> Tensor:
    """Maxima with stride 1, from the first window to the last."""
    ones, zeros = (1,) * len(windows.kernel), (0,) * len(windows.kernel)
    if not traced():
        replace(windows, stride=ones, ceil_mode=False).output_size(tuple(v.shape[2:]))
    return maxima(bordered(v, windows), Windows(windows.kernel, ones, zeros, windows.dilation))


def drawn_rows(count: int, grid: int, stride: int) -> Tensor:
    """⌈count / stride⌉ of the rows 0 to count - 1, ascending: of each strip grid / stride."""
    strips, each = -(-count // grid), grid // stride
    order = torch.rand(strips, grid)
    rest = count - (strips - 1) * grid
    order[-1, rest:] = 2  # rows that are not there come last
    first = grid * torch.arange(strips)[:, None]
    rows = (order.argsort(1)[:, :each] + first).flatten()
    return rows[: -(-count // stride)].sort().values


class _Drawing(PoolLayer):
    """A layer that draws in training mode."""

    def forward(self, x: Tensor) -> Tensor:
        """N×C×size to N×C×out."""
        y: Tensor = type(self).operator(x, *self.windows, training=self.training, **self.options)
        return y


class StochasticPool(_Drawing):
    """`stochastic_pool` as a layer, drawing in training mode."""

    operator = staticmethod(stochastic_pool)


class S3Pool(_Drawing):
    """`s3_pool` as a layer, drawing in training mode."""

    operator = staticmethod(s3_pool)
