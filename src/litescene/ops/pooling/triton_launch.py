"""How the Triton kernels are launched: memory layout, sizes of blocks, and which kernel."""

from __future__ import annotations

import functools
import importlib.metadata
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from litescene.ops.pooling.weighting import EM, INVERSE, SIMILAR
from litescene.ops.pooling.windows import Windows

Three = tuple[int, int, int]

OLDEST = (3, 5)
"""Version of Triton that compiles the kernels."""
MOST = 64
"""Elements of the largest window: all of a window are held in registers."""
_WARPS = 4
_NUMBERS = {EM: 3, SIMILAR: 4, EM | SIMILAR: 7, INVERSE: 6}
"""What a window's elements share in the gradient."""
NARROW = 2**31 - 2**24
"""Elements up to which offsets, those beyond a tensor's end included, have 32 bits."""
_HOW: dict[str, Any] = {"num_warps": _WARPS, "enable_fp_fusion": True}


@functools.cache
def installed() -> bool:
    """Whether there is a Triton from `OLDEST` on; PyTorch's builds for CUDA bring one."""
    try:
        release = importlib.metadata.version("triton").split(".")
    except importlib.metadata.PackageNotFoundError:
        return False
    return (int(release[0]), int(release[1])) >= OLDEST


def takes(windows: Windows, delta: float | None) -> bool:
    """Whether the kernels compute this: windows of up to `MOST` elements, no pseudo-Huber distance.

    `delta` is that of `fused.pool`.
    """
    return not delta and windows.count <= MOST and installed()


def dense(x: Tensor) -> Tensor:
    """x without gaps, with channels last where it is so already."""
    return x if _channels_last(x) else x.contiguous()


def _channels_last(x: Tensor) -> bool:
    form = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return x.ndim > 3 and x.is_contiguous(memory_format=form) and not x.is_contiguous()


@dataclass(frozen=True, slots=True)
class Layout:
    """Where windows and their elements are in memory; the names are those of `triton_kernel`."""

    planes: int
    channels: int
    size: Three
    out: Three
    shape: tuple[Three, Three, Three, Three]
    last: bool

    @classmethod
    def of(cls, x: Tensor, windows: Windows) -> Self:
        """Of an input N×C×size."""
        size = tuple(x.shape[2:])
        last = _channels_last(x)
        shape = (
            _three(windows.kernel), _three(windows.stride), _three(windows.padding, 0),
            _three(windows.dilation),
        )  # fmt: skip
        planes = x.shape[0] if last else x.shape[0] * x.shape[1]
        out = windows.output_size(size)
        return cls(planes, x.shape[1], _three(size), _three(out), shape, last)

    @property
    def reach(self) -> Three:
        """Positions from a window's first to its last element."""
        return _each(lambda k, d: d * (k - 1) + 1, self.shape[0], self.shape[3])

    @property
    def whole(self) -> bool:
        """Whether all windows lie inside the input."""
        ends = _each(lambda o, s, r: (o - 1) * s + r, self.out, self.shape[1], self.reach)
        return not any(self.shape[2]) and all(_each(lambda e, n: e <= n, ends, self.size))

    @property
    def apart(self) -> bool:
        """Whether windows do not overlap."""
        return all(_each(lambda r, s, o: r <= s or o == 1, self.reach, self.shape[1], self.out))

    @property
    def covers(self) -> bool:
        """Whether every element is in a window, where they do not overlap."""
        kernel, stride, padding, _ = self.shape
        past = _each(lambda o, s, p: o * s - p, self.out, stride, padding)
        return self.reach == kernel == stride and all(_each(lambda e, n: e >= n, past, self.size))

    @property
    def windows(self) -> int:
        """How many there are."""
        return self.planes * math.prod(self.out) * (self.channels if self.last else 1)

    @property
    def pairs(self) -> bool:
        """Whether two neighbours along a row are to be loaded at once."""
        kernel, stride, _, dilation = self.shape
        even = not self.last and stride[2] == 2 and self.size[2] % 2 == 0
        return even and dilation[2] == 1 and kernel[2] > 1

    @property
    def rows_apart(self) -> bool:
        """Whether `pairs` share nothing, and begin with the row."""
        return self.pairs and self.shape[0][2] == 2 and self.shape[2][2] == 0

    def folded(self) -> Layout:
        """The same windows with depths or rows as planes, which spares divisions.

        They can be where a plane's windows fill it exactly and β is the same for all.
        """
        d, h, w = self.size
        stride, out = self.shape[1], self.out
        axis = 0 if d > 1 else 1
        if not self.whole or out[axis] * stride[axis] != self.size[axis]:
            return self
        size, rows = ((stride[0], h, w), (1, *out[1:])) if axis == 0 else (
            (1, stride[1], w), (1, 1, out[2])
        )  # fmt: skip
        planes = self.planes * out[axis]
        return Layout(planes, self.channels, size, rows, self.shape, self.last)


def _three(numbers: tuple[int, ...], other: int = 1) -> Three:
    deep, high, wide = (other,) * (3 - len(numbers)) + tuple(numbers)
    return deep, high, wide


def _each(function: Any, *threes: Three) -> Any:
    return tuple(function(*numbers) for numbers in zip(*threes, strict=True))


@dataclass(frozen=True, slots=True)
class Blocks:
    """How positions N×C×size are shared out to programs."""

    unit: int
    pieces: int
    parts: int
    total: int

    @classmethod
    def of(cls, layout: Layout, size: Three, elements: int) -> Self:
        """About `elements` positions to a program."""
        length = layout.channels if layout.last else size[2]
        unit = _unit(length)
        parts = math.ceil(length / unit)
        rows = size[0] * size[1] * (size[2] if layout.last else 1)
        return cls(unit, elements // unit, parts, layout.planes * rows * parts)

    @property
    def programs(self) -> int:
        """Number of programs."""
        return math.ceil(self.total / self.pieces)


def _unit(length: int) -> int:
    """Length of pieces that leaves the least of a thread block idle, and of those the longest."""
    if length < 4:
        return 1 << (length - 1).bit_length()
    return min((16, 8, 4), key=lambda unit: math.ceil(length / unit) * unit)


def _elements(layout: Layout, most: int) -> int:
    """Windows of a program: `most` for four elements, and fewer where they need more registers."""
    fewer = math.prod(layout.shape[0]) / 4
    return max(32 * _WARPS, min(most, 1 << int(math.log2(most / fewer))))


def _shares(beta: Tensor, x: Tensor, out: tuple[int, ...], mode: int) -> Tensor:
    """β as channels×positions, each 1 where it is the same for all; anything where it is not used.

    Whoever does not use it gives one on the CPU, which is not to be copied for every call.
    """
    if mode != EM | SIMILAR:
        return torch.empty(1, 1, device=x.device)
    whole = beta.detach().reshape(*(1,) * (len(out) + 1 - beta.ndim), *beta.shape)
    if whole.numel() != whole.shape[0]:
        whole = whole.expand(whole.shape[0], *out)
    return whole.reshape(whole.shape[0], -1).contiguous()


def _on(x: Tensor) -> AbstractContextManager[Any]:
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def _over_windows(
    layout: Layout, share: Tensor, mode: int, x: Tensor, most: int, pairs: bool
) -> tuple[Blocks, dict[str, Any]]:
    """Blocks of windows, and the arguments that all kernels over windows have."""
    if share.numel() == 1:
        layout = layout.folded()
    blocks = Blocks.of(layout, layout.out, _elements(layout, most))
    align, align_out = layout.channels, 1
    if not layout.last:
        # All loads are to be equally wide, and stores as wide as what a thread has of a load: else
        # values go from thread to thread through shared memory.
        align = layout.size[2] if layout.rows_apart else math.gcd(layout.size[2], 2)
        align_out = math.gcd(layout.out[2], 8 // x.element_size()) if layout.rows_apart else 1
    return blocks, {
        "planes": layout.planes, "channels": layout.channels, "parts": blocks.parts,
        "size": layout.size, "out": layout.out, "SHAPE": layout.shape, "MODE": mode,
        "PAIRS": pairs, "WHOLE": layout.whole, "LAST": layout.last,
        "PER_CHANNEL": share.shape[0] > 1, "PER_POSITION": share.shape[1] > 1,
        "ALIGN": math.gcd(align, 16), "ALIGN_OUT": align_out,
        "UNIT": blocks.unit, "PIECES": blocks.pieces,
        "WIDE": layout.windows * _NUMBERS[mode] > NARROW or x.numel() > NARROW,
    }  # fmt: skip


def forward(x: Tensor, beta: Tensor, windows: Windows, mode: int) -> Tensor:
    """N×C×out of a `dense` x N×C×size, in its type and memory format."""
    from litescene.ops.pooling import triton_kernel

    layout = Layout.of(x, windows)
    out = windows.output_size(tuple(x.shape[2:]))
    y = _like(x, out)
    share = _shares(beta, x, out, mode)
    blocks, given = _over_windows(layout, share, mode, x, 2048 // x.element_size(), layout.pairs)
    if blocks.total:
        with _on(x):
            triton_kernel.forward[(blocks.programs,)](x, y, share, **given, **_HOW)
    return y


def backward(
    x: Tensor, g: Tensor, beta: Tensor, windows: Windows, mode: int, exact: bool, learn: bool
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, if it is learned, of β."""
    layout = Layout.of(x, windows)
    share = _shares(beta, x, tuple(g.shape[2:]), mode)
    g = g.contiguous(memory_format=_format(x))
    method = _backward_apart if layout.apart else _backward_over
    to_x, sums = method(x, g, share, layout, mode, {"EXACT": exact, "LEARN": learn})
    return to_x, _summed(sums, x, beta) if learn else None


def _backward_apart(
    x: Tensor, g: Tensor, share: Tensor, layout: Layout, mode: int, how: dict[str, bool]
) -> tuple[Tensor, Tensor]:
    from litescene.ops.pooling import triton_gradient

    blocks, given = _over_windows(layout, share, mode, x, 512, layout.rows_apart)
    to_x = torch.empty_like(x) if layout.covers else torch.zeros_like(x)
    to_beta, per_piece = _beta_gradient(g, share, layout, blocks, how["LEARN"])
    if blocks.total:
        with _on(x):
            triton_gradient.backward_apart[(blocks.programs,)](
                x, g, share, to_x, to_beta, PER_PIECE=per_piece, **given, **how, **_HOW
            )
    return to_x, to_beta[: blocks.total] if per_piece else to_beta


def _backward_over(
    x: Tensor, g: Tensor, share: Tensor, layout: Layout, mode: int, how: dict[str, bool]
) -> tuple[Tensor, Tensor]:
    from litescene.ops.pooling import triton_gradient

    blocks, given = _over_windows(layout, share, mode, x, 512, layout.pairs)
    to_x = torch.empty_like(x)
    to_beta, per_piece = _beta_gradient(g, share, layout, blocks, how["LEARN"])
    kept = g.new_empty(_NUMBERS[mode], g.numel(), dtype=torch.float32)
    if not blocks.total:
        return to_x, to_beta[:0] if per_piece else to_beta
    positions = Blocks.of(layout, layout.size, 256)
    cover = _each(lambda r, s: (r - 1) // s + 1, layout.reach, layout.shape[1])
    with _on(x):
        triton_gradient.survey[(blocks.programs,)](
            x, g, share, kept, to_beta, g.numel(), PER_PIECE=per_piece, **given, **how, **_HOW
        )
        triton_gradient.gather[(positions.programs,)](
            x, kept, to_x, g.numel(), layout.planes, layout.channels, positions.parts, layout.size,
            layout.out, layout.shape, cover, _NUMBERS[mode], mode, how["EXACT"], layout.last,
            given["ALIGN"] if layout.last else 1, positions.unit, positions.pieces, given["WIDE"],
            **_HOW,
        )  # fmt: skip
    return to_x, to_beta[: blocks.total] if per_piece else to_beta


def _beta_gradient(
    g: Tensor, share: Tensor, layout: Layout, blocks: Blocks, learn: bool
) -> tuple[Tensor, bool]:
    """Where β's gradient goes: a sum for each piece, if all of one has the same β."""
    per_piece = share.shape[1] == 1 and (share.shape[0] == 1 or not layout.last)
    if not learn:
        return share, per_piece  # not written
    if per_piece:
        return g.new_empty(blocks.programs * blocks.pieces, dtype=torch.float32), per_piece
    return torch.empty_like(g, dtype=torch.float32), per_piece


def _summed(sums: Tensor, x: Tensor, beta: Tensor) -> Tensor:
    """Sums of β's gradient in β's shape; they are for each output, or for each piece."""
    if sums.ndim > 1:
        return sums.sum_to_size(beta.shape)
    if beta.numel() == 1:
        return sums.sum().reshape(beta.shape)
    pieces = sums.numel() // max(1, x.shape[0] * x.shape[1])
    return sums.reshape(*x.shape[:2], pieces).sum((0, 2)).reshape(beta.shape)


def _format(x: Tensor) -> torch.memory_format:
    if not _channels_last(x):
        return torch.contiguous_format
    return torch.channels_last if x.ndim == 4 else torch.channels_last_3d


def _like(x: Tensor, out: tuple[int, ...]) -> Tensor:
    shape = (*x.shape[:2], *out)
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_format(x))
