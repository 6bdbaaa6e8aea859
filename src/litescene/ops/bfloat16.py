"""bfloat16 in numba's kernels, which know no such type: the upper half of a float32's bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit, types
from numba.extending import intrinsic
from torch import Tensor

_HALF, _ODD, _QUIET = np.uint32(0x7FFF), np.uint32(1), np.uint32(0x40)
_SHIFT = np.uint32(16)


@intrinsic
def _bits(_: Any, x: Any) -> Any:
    """The uint32 with the bits of a float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.uint32))

    return types.uint32(types.float32), generate


@intrinsic
def _float(_: Any, bits: Any) -> Any:
    """The float32 with the bits of a uint32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.float32))

    return types.float32(types.uint32), generate


@njit(inline="always")
def widened(half):  # type: ignore[no-untyped-def]
    """The float32 of a bfloat16's bits (uint16)."""
    return _float(np.uint32(half) << _SHIFT)


@njit(inline="always")
def narrowed(x):  # type: ignore[no-untyped-def]
    """The bits (uint16) of the bfloat16 nearest to a float32, ties to even; NaN stays NaN."""
    bits = _bits(x)
    near = (bits + _HALF + ((bits >> _SHIFT) & _ODD)) >> _SHIFT
    return np.uint16((bits >> _SHIFT) | _QUIET if np.isnan(x) else near)


def as_flat_bits(x: Tensor) -> Any:
    """N×C×H×W bfloat16 as a flat NumPy array of uint16, N×H×W×C; a copy if not so in memory."""
    return x.detach().permute(0, 2, 3, 1).view(torch.uint16).numpy().reshape(-1)
