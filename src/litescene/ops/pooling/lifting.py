"""LiftPool: a pooling that can be undone, by the lifting scheme.

Zhao and Snoek, "LiftPool: Bidirectional ConvNet Pooling", ICLR 2021. Along an axis a map is split
into its even and odd rows; with learned P (predict) and U (update)

    detail = odd - P(even),  approximation = even + U(detail)

and back  even = approximation - U(detail),  odd = detail + P(even). Along all axes this gives 2, 4
or 8 sub-bands of half the size; LiftPool is their sum, or the lowest one. LiftUpPool goes back from
there with the details that were kept, exactly but for rounding, whatever P and U are.

Readings (no code is released): P and U are a depthwise convolution of five along the axis with
repeated borders, ReLU, a 1×1 convolution and tanh, each axis with its own, which all sub-bands
share; the axes are taken first to last. The paper's two penalties on P and U are left out. Odd
sizes lose their last row, or with `ceil_mode` have it twice, and on the way back once again.

By nature kernel and stride are 2, padding 0 and dilation 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core.errors import OperatorError
from litescene.ops.pooling.layer import PoolLayer, as_given
from litescene.ops.pooling.weighting import choice
from litescene.ops.pooling.windows import Size, Windows, around, traced, windows_for

Lift = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]
"""P and U: each from a map of half the size along an axis to a map of that size."""
Output = Literal["sum", "low"]


def _same(x: Tensor) -> Tensor:
    return x


def _half(x: Tensor) -> Tensor:
    return x / 2


HAAR: Lift = (_same, _half)
"""Haar's wavelet: the approximation is the mean of a pair, the detail its difference."""


def lift(
    x: Tensor, axis: int, predict: Callable[[Tensor], Tensor], update: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Approximation and detail of x, whose length along the axis (2 is the first) is even."""
    even, odd = (x[(*(slice(None),) * axis, slice(start, None, 2))] for start in (0, 1))
    detail = odd - predict(even)
    return even + update(detail), detail


def unlift(
    low: Tensor,
    detail: Tensor,
    axis: int,
    predict: Callable[[Tensor], Tensor],
    update: Callable[[Tensor], Tensor],
) -> Tensor:
    """What `lift` split, of twice the length along the axis."""
    even = low - update(detail)
    return torch.stack([even, detail + predict(even)], axis + 1).flatten(axis, axis + 1)


def lift_pool(
    x: Tensor,
    kernel_size: Size = 2,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    lifts: Sequence[Lift] | None = None,
    output: Output = "sum",
    ceil_mode: bool = False,
) -> Tensor:
    """The sum of the sub-bands (`sum`) or the lowest of them (`low`).

    `lifts` are P and U of each axis, by default Haar's, with which `low` is the mean.

    Raises `OperatorError` for windows other than 2 with stride 2.

    >>> lift_pool(torch.tensor([[[1.0, 3.0]]]), output="low")
    tensor([[[2.]]])
    """
    given = (kernel_size, stride, padding, dilation)
    return lift_pool_with_details(x, *given, lifts=lifts, output=output, ceil_mode=ceil_mode)[0]


def lift_pool_with_details(
    x: Tensor,
    kernel_size: Size = 2,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    lifts: Sequence[Lift] | None = None,
    output: Output = "sum",
    ceil_mode: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """`lift_pool`, and the other sub-bands, that `lift_unpool` goes back with."""
    windows = windows_for(x, kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)
    choice("output", output, Output)
    require_halves(windows)
    bands = [_even(x, windows)]
    for axis, (predict, update) in enumerate(_per_axis(lifts, x)):
        bands = [part for band in bands for part in lift(band, axis + 2, predict, update)]
    low, details = bands[0], tuple(bands[1:])
    y = sum(details, low) if output == "sum" else low
    return as_given(y, x), details


def _per_axis(lifts: Sequence[Lift] | None, x: Tensor) -> Sequence[Lift]:
    dims = x.ndim - 2
    found = (HAAR,) * dims if lifts is None else lifts
    if len(found) != dims:
        raise OperatorError(f"{len(found)} lifts for the {dims} dimensions of {tuple(x.shape)}")
    return found


def require_halves(windows: Windows) -> None:
    """Refuse windows other than those of lifting with an `OperatorError`."""
    dims = len(windows.kernel)
    numbers = (windows.kernel, windows.stride, windows.padding, windows.dilation)
    if numbers != ((2,) * dims, (2,) * dims, (0,) * dims, (1,) * dims):
        raise OperatorError(
            f"lifting halves: kernel and stride 2, padding 0, dilation 1; not kernel "
            f"{windows.kernel}, stride {windows.stride}, padding {windows.padding}, dilation "
            f"{windows.dilation}"
        )


def _even(x: Tensor, windows: Windows) -> Tensor:
    """x with even lengths: the last row repeated in `ceil_mode`, else cut off."""
    lengths = x.shape[2:]
    if windows.ceil_mode:
        more = tuple(length % 2 for length in lengths)
        return F.pad(x, around((0,) * len(lengths), more), mode="replicate")
    return _cut(x, tuple(length // 2 * 2 for length in lengths))


def _cut(x: Tensor, size: tuple[int, ...]) -> Tensor:
    within: list[Any] = [..., *(slice(length) for length in size)]
    return x[tuple(within)]


def lift_unpool(
    y: Tensor,
    details: Sequence[Tensor],
    size: tuple[int, ...] | None = None,
    *,
    lifts: Sequence[Lift] | None = None,
    output: Output = "sum",
) -> Tensor:
    """The inverse of `lift_pool_with_details`: N×C×out and the details to N×C×size.

    y may be another map than the one that was pooled, as a decoder's. `size` cuts to the input's
    last dimensions (without it twice y's); a last row that was lost does not come back.

    Raises `OperatorError` if details and y do not fit.
    """
    choice("output", output, Output)
    dims = y.ndim - 2
    shapes = {tuple(detail.shape) for detail in details}
    if len(details) != 2**dims - 1 or (not traced() and shapes != {tuple(y.shape)}):
        raise OperatorError(
            f"{len(details)} details of shapes {sorted(shapes)} do not fit y of shape "
            f"{tuple(y.shape)}; expected are {2**dims - 1} of that shape"
        )
    low = y - sum(details) if output == "sum" else y
    bands = [low, *details]
    for axis, (predict, update) in reversed(list(enumerate(_per_axis(lifts, y)))):
        pairs = zip(bands[::2], bands[1::2], strict=True)
        bands = [unlift(*pair, axis + 2, predict, update) for pair in pairs]
    return as_given(bands[0] if size is None else _cut(bands[0], size), y)


class LiftPool(PoolLayer):
    """`lift_pool` with learned P and U of so many channels."""

    operator = staticmethod(lift_pool)

    def __init__(
        self,
        kernel_size: Size = 2,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        *,
        channels: int,
        dims: int = 2,
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, **options)
        self.predicts = nn.ModuleList(lifting_step(channels, axis, dims) for axis in range(dims))
        self.updates = nn.ModuleList(lifting_step(channels, axis, dims) for axis in range(dims))

    def lifts(self) -> list[Lift]:
        """P and U of each axis."""
        return list(zip(self.predicts, self.updates, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """N×C×size to N×C×out."""
        return self.with_details(x)[0]

    def with_details(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The output and the sub-bands that `LiftUpPool` takes."""
        return lift_pool_with_details(x, *self.windows, lifts=self.lifts(), **self.options)


class LiftUpPool(nn.Module):
    """The way back through a `LiftPool`, with its P and U; it has no parameters of its own."""

    def __init__(self, pool: LiftPool) -> None:
        super().__init__()
        self._pool = (pool,)  # in a tuple it is not registered, and saved, a second time

    def forward(
        self, y: Tensor, details: Sequence[Tensor], size: tuple[int, ...] | None = None
    ) -> Tensor:
        """N×C×out and the details to N×C×size."""
        (pool,) = self._pool
        output = pool.options.get("output", "sum")
        return lift_unpool(y, details, size, lifts=pool.lifts(), output=output)


def lifting_step(channels: int, axis: int, dims: int = 2) -> nn.Sequential:
    """A network for P or U along an axis, 0 being the first after the channels."""
    convolution: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
    kernel = tuple(5 if i == axis else 1 for i in range(dims))
    padding = tuple(k // 2 for k in kernel)
    along = convolution(
        channels, channels, kernel, padding=padding, groups=channels, padding_mode="replicate"
    )
    return nn.Sequential(along, nn.ReLU(), convolution(channels, channels, 1), nn.Tanh())
