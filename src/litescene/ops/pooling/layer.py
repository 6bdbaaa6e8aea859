"""What all poolings share besides their windows: types and memory formats, and the layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from litescene.ops.pooling.windows import Size


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


class PoolLayer(nn.Module):
    """Base of the layers: the windows' numbers, and the function to call with them."""

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
        self.windows = (kernel_size, stride, padding, dilation)
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
