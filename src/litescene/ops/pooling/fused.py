"""The fused kernels in PyTorch's graph: which inputs they take, and gradients.

Kernels are a module with `takes`, `dense`, `forward` and `backward`: `cpu_launch` for the CPU,
`triton_launch` for GPUs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.ops.pooling.windows import Windows, around, traced

Reference = Callable[[Tensor, Tensor, Windows], Tensor]
"""From x, β and the windows to the output; for gradients of gradients."""

KERNELS = {"cpu": "cpu_launch", "cuda": "triton_launch"}
"""The modules by device, which are imported where they are used."""


def _kernels(x: Tensor) -> Any:
    return importlib.import_module(f"litescene.ops.pooling.{KERNELS[x.device.type]}")


def takes(x: Tensor, windows: Windows) -> bool:
    """Whether a kernel computes this: there is one, and no graph is being traced."""
    return (
        x.device.type in KERNELS
        and not traced()
        and not torch.compiler.is_compiling()
        and bool(_kernels(x).takes(x, windows))
    )


def pool(
    x: Tensor, beta: Tensor, windows: Windows, mode: int, exact: bool, reference: Reference
) -> Tensor:
    """N×C×out of x N×C×size; β broadcasts to C×out; `mode` is a sum of `weighting`'s bits.

    The type is x's or float32, the memory format is the kernel's choice.
    """
    if windows.count_include_pad:
        x = F.pad(x, around(windows.padding))
        none = (0,) * len(windows.kernel)
        windows = Windows(windows.kernel, windows.stride, none, windows.dilation, windows.ceil_mode)
    y: Tensor = _Fused.apply(  # type: ignore[no-untyped-call]
        _kernels(x).dense(x), beta.float(), windows, mode, exact, reference
    )
    return y


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        beta: Tensor,
        windows: Windows,
        mode: int,
        exact: bool,
        reference: Reference,
    ) -> Tensor:
        ctx.save_for_backward(x, beta)
        ctx.how = windows, mode, exact, reference
        y: Tensor = _kernels(x).forward(x, beta, windows, mode)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, beta = ctx.saved_tensors
        windows, mode, exact, reference = ctx.how
        if torch.is_grad_enabled():
            found = _twice(x, beta, windows, reference, grads[0])
        else:
            learn = ctx.needs_input_grad[1]
            found = _kernels(x).backward(x, grads[0], beta, windows, mode, exact, learn)
        return (*found, None, None, None, None)


def _twice(
    x: Tensor, beta: Tensor, windows: Windows, reference: Reference, g: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients that can be differentiated again: those of the reference."""
    y = reference(x, beta, windows)
    wanted = [t for t in (x, beta) if t.requires_grad]
    found = iter(torch.autograd.grad(y, wanted, g, create_graph=True, allow_unused=True))
    return tuple(next(found) if t.requires_grad else None for t in (x, beta))
