"""What all poolings share besides their windows: types and memory formats, and the layer."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from litescene.core.errors import OperatorError
from litescene.ops.pooling.windows import Size, Windows, dims_of, traced


def precise(x: Tensor) -> Tensor:
    """x in the precision to compute with: float32 for half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def as_given(y: Tensor, x: Tensor) -> Tensor:
    """y in the type and the memory format of the input."""
    y = y.to(x.dtype)
    form = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    if x.ndim > 3 and x.is_contiguous(memory_format=form) and not x.is_contiguous():
        return y.contiguous(memory_format=form)
    return y.contiguous()


def per_output(
    name: str, value: float | Tensor, x: Tensor, windows: Windows, highest: float = 1.0
) -> Tensor:
    """A number, or one per channel or position, as a tensor that broadcasts to N×C×out.

    An `OperatorError` is raised if it does not, or leaves 0 to `highest`; not while a graph is
    traced, nor for tensors without values.
    """
    exact = torch.promote_types(x.dtype, torch.float32)
    if isinstance(value, Tensor):
        given = value.to(x.device, exact)
    else:
        given = x.new_full((), value, dtype=exact)
    if traced() or torch.compiler.is_compiling() or x.is_meta:
        return given
    if given.numel() == 1:
        given = given.reshape(())
    out = (int(x.shape[1]), *windows.output_size(tuple(x.shape[2:])))
    if not _broadcasts(tuple(given.shape), out):
        raise OperatorError(
            f"{name} of shape {tuple(given.shape)} does not fit the output, channels first: {out}"
        )
    # A number is looked at itself: to look at a tensor is to wait for the GPU.
    least, most = given.detach().aminmax() if isinstance(value, Tensor) else (value, value)
    low, high = float(least), float(most)
    if not 0 <= low <= high <= highest:
        ends = f"is in [0, {highest:g}]" if highest < math.inf else "is at least 0"
        raise OperatorError(f"{name} {ends}, not {low:g} to {high:g}")
    return given


def _broadcasts(shape: tuple[int, ...], out: tuple[int, ...]) -> bool:
    if len(shape) > len(out):
        return False
    pairs = zip(reversed(shape), reversed(out), strict=False)
    return all(have in (1, want) for have, want in pairs)


def options_of(operator: Callable[..., Any]) -> set[str]:
    """Names of what a pooling's function can be told by name, the windows' options included."""
    parameters = inspect.signature(operator).parameters.values()
    named = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    windowed = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    return named | {"ceil_mode", "count_include_pad"} if windowed else named


def require_options(name: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse options that a pooling does not have, with an `OperatorError`."""
    if strange := sorted(set(given) - set(known)):
        has = ", ".join(sorted(known))
        raise OperatorError(f"pooling '{name}' has no option {', '.join(strange)}; it has {has}")


class PoolLayer(nn.Module):
    """Base of the layers: the windows' numbers, and the function to call with them.

    Raises `OperatorError` for options that the function has not, and for numbers that make no
    windows in any dimension.
    """

    operator: Callable[..., Any]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        **options: Any,
    ) -> None:
        super().__init__()
        require_options(type(self).__name__, options, options_of(type(self).operator))
        self.windows = (kernel_size, stride, padding, dilation)
        given = [numbers for numbers in self.windows if numbers is not None]
        Windows.of(dims_of(*given), *self.windows)  # refuses what makes none
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        """N×C×size to N×C×out."""
        y: Tensor = type(self).operator(x, *self.windows, **self.options)
        return y

    def extra_repr(self) -> str:
        """The numbers, as they were given."""
        names = ("kernel_size", "stride", "padding", "dilation")
        given = dict(zip(names, self.windows, strict=True)) | self.options
        return ", ".join(f"{name}={value}" for name, value in given.items())
