"""Windows of poolings in one, two or three dimensions: their geometry, and their elements.

Positions, padding, dilation and `ceil_mode` are PyTorch's. Padding is no element of a window unless
`count_include_pad` says so; then it is an element of value 0. What `ceil_mode` adds beyond the
padding is never one.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.core.errors import OperatorError

Size = int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Windows:
    """Kernel, stride, padding and dilation per dimension, checked."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool = False
    count_include_pad: bool = False

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "dilation"):
            if min(getattr(self, name)) < 1:
                raise OperatorError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for k, p in zip(self.kernel, self.padding, strict=True):
            if not 0 <= 2 * p <= k:
                raise OperatorError(
                    f"padding is {self.padding}; it must be from 0 to half the kernel {self.kernel}"
                )

    @classmethod
    def of(
        cls, dims: int, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size,
        *how: bool,
    ) -> Windows:  # fmt: skip
        """From what a pooling is told: numbers hold for all dimensions, the stride may be left out.

        Raises `OperatorError` for numbers that make no windows.
        """
        kernel = per_axis("kernel_size", kernel_size, dims)
        return cls(
            kernel,
            kernel if stride is None else per_axis("stride", stride, dims),
            per_axis("padding", padding, dims),
            per_axis("dilation", dilation, dims),
            *how,
        )

    @property
    def count(self) -> int:
        """Elements of a window, those outside the input included."""
        product = 1
        for k in self.kernel:
            product *= k
        return product

    def reach(self, axis: int) -> int:
        """Input positions from a window's first to its last element along an axis."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def output_size(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Windows along each axis of an input; an `OperatorError` if there is none.

        Also raised if padding and dilation leave a window with no element of the input.
        """
        return tuple(self._along(axis, length, size) for axis, length in enumerate(size))

    def _along(self, axis: int, length: int, size: tuple[int, ...]) -> int:
        s, p, reach = self.stride[axis], self.padding[axis], self.reach(axis)
        room = length + 2 * p - reach
        if room < 0:
            raise OperatorError(
                f"the kernel {self.kernel} with dilation {self.dilation} does not fit into an "
                f"input of size {tuple(size)} with padding {self.padding}"
            )
        count = room // s + 1
        if self.ceil_mode and room % s and count * s < length + p:
            count += 1  # a window more, which starts inside the input or its padding
        if p and self.dilation[axis] > 1:
            self._require_elements(axis, length, count)
        return int(count)

    def _require_elements(self, axis: int, length: int, count: int) -> None:
        for window in range(count):
            first = window * self.stride[axis] - self.padding[axis]
            taps = (first + self.dilation[axis] * i for i in range(self.kernel[axis]))
            if not any(0 <= tap < length for tap in taps):
                raise OperatorError(
                    f"window {window} of axis {axis} has no element of the input (length {length}, "
                    f"kernel {self.kernel}, padding {self.padding}, dilation {self.dilation})"
                )

    def overhang(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Positions beyond the padding that the last windows of each axis reach.

        Computed without a branch over sizes: a traced graph takes any.
        """
        if not self.ceil_mode:
            return (0,) * len(size)
        return tuple(self._over(axis, length) for axis, length in enumerate(size))

    def spare(self, size: tuple[int, ...]) -> tuple[int, ...]:
        """Positions of the far padding that no window of each axis reaches."""
        return tuple(
            max(0, length + 2 * p - (n - 1) * s - self.reach(axis))
            for axis, (n, s, p, length) in enumerate(
                zip(self.output_size(size), self.stride, self.padding, size, strict=True)
            )
        )

    def _over(self, axis: int, length: int) -> int:
        s, p, reach = self.stride[axis], self.padding[axis], self.reach(axis)
        room = length + 2 * p - reach
        over = -room % s
        if s + p <= reach:
            return over  # the window more starts inside the input or its padding at any length
        return over * ((room // s + 1) * s < length + p)


def windows_for(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = False,
) -> Windows:
    """The windows over x, N×C and one to three further dimensions; numbers hold for all of them.

    Raises `OperatorError` for tensors that are not of this form or not of floating point, and for
    numbers that make no windows (but not while a graph is traced, where sizes are not known).
    """
    dims = x.ndim - 2
    if not 1 <= dims <= 3:
        raise OperatorError(
            f"poolings take N×C×L, N×C×H×W or N×C×D×H×W, not a tensor of shape {tuple(x.shape)}"
        )
    if not x.is_floating_point():
        raise OperatorError(f"poolings take floating point, not {x.dtype} (shape {tuple(x.shape)})")
    how = ceil_mode, count_include_pad
    windows = Windows.of(dims, kernel_size, stride, padding, dilation, *how)
    if not traced():
        windows.output_size(tuple(x.shape[2:]))
    return windows


def traced() -> bool:
    """Whether a graph is being traced, in which sizes are no numbers."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def per_axis(name: str, value: Size, dims: int) -> tuple[int, ...]:
    """A number for each of the dimensions, as `int` of whatever integer type it was given.

    Raises `OperatorError` if there are more or fewer, or one of them is no whole number.
    """
    given: Iterable[Any] = value if _several(value) else (value,) * dims
    try:
        values = tuple(operator.index(v) for v in given)
    except TypeError as error:
        raise OperatorError(
            f"{name} is {value!r}; it is a whole number, or one for each of {dims} dimensions"
        ) from error
    if len(values) != dims:
        raise OperatorError(f"{name} is {value}; the input has {dims} dimensions to pool")
    return values


def dims_of(*values: Size) -> int:
    """Dimensions that numbers or several of them are for; 1 where all are single numbers."""
    return max(len(v) if _several(v) else 1 for v in values)


def _several(value: Any) -> TypeGuard[tuple[int, ...]]:
    """Whether it is not one number, as arrays and tensors without dimensions are too."""
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) != 0


def elements(x: Tensor, windows: Windows) -> tuple[Tensor, Tensor | None]:
    """Every window's elements, and which of them count; None where all do.

    x is N×C×size, the elements are N×C×K×out, K going through the kernel in row-major order. The
    second tensor is a mask of 1×1×K×out. Made of slices alone, so it exports to standard operators.
    """
    overhang = windows.overhang(tuple(x.shape[2:]))
    # In a traced graph the overhang is no number: it may be 0 now and not at another size.
    varies = windows.ceil_mode and traced()
    sides = around(windows.padding, overhang)
    taken = _taken(F.pad(x, sides) if varies or any(sides) else x, windows)
    if windows.count_include_pad:
        sides = around((0,) * len(windows.kernel), overhang)
    if not varies and not any(sides):
        return taken, None
    one = torch.ones_like(x[:1, :1])
    if windows.count_include_pad:
        one = F.pad(one, around(windows.padding), value=1.0)
    return taken, _taken(F.pad(one, sides), windows) > 0


def around(padding: tuple[int, ...], overhang: tuple[int, ...] = (0, 0, 0)) -> list[int]:
    """Padding on both sides, and more on the far one, in `F.pad`'s order: the last axis first."""
    pairs = [(p, p + o) for p, o in zip(padding, overhang, strict=False)]
    return [side for pair in reversed(pairs) for side in pair]


def _taken(padded: Tensor, windows: Windows) -> Tensor:
    parts = [padded]
    for axis in range(len(windows.kernel)):
        d, s, last = windows.dilation[axis], windows.stride[axis], windows.reach(axis) - 1
        # Counted from the end, the slices hold for every size that a traced graph may meet.
        spans = [slice(i * d, i * d - last or None, s) for i in range(windows.kernel[axis])]
        ahead = (slice(None),) * (axis + 2)
        parts = [part[(*ahead, span)] for part in parts for span in spans]
    return torch.stack(parts, 2)
