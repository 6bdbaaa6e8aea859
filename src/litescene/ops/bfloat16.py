"""bfloat16 in numba's kernels, which know no such type: the upper half of a float32's bits.

A kernel that widens what it reads and narrows what it writes takes float32, and uint16 as bfloat16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from litescene.core.njit import njit

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


# The functions behind have no annotations: numba wants those of an overload and of what it gives to
# be the same, and a lambda has none.


def widened(value: Any) -> Any:
    """The float32 of a bfloat16's bits (uint16), or of itself, in kernels only."""
    raise NotImplementedError  # numba takes `_widened` in its place


@overload(widened)
def _widened(value):  # type: ignore[no-untyped-def]
    if value == types.uint16:
        return lambda value: _float(np.uint32(value) << _SHIFT)
    return lambda value: value


def narrowed(x: Any, like: Any) -> Any:
    """A float32 as what `like` is, in kernels only.

    A float32 stays what it is; of uint16 it becomes the bits of the nearest bfloat16, ties to even;
    NaN stays NaN.
    """
    raise NotImplementedError  # numba takes `_narrowed` in its place


@overload(narrowed)
def _narrowed(x, like):  # type: ignore[no-untyped-def]
    if like == types.uint16:
        return lambda x, like: _rounded(x)
    return lambda x, like: x


@njit(inline="always")
def _rounded(x):  # type: ignore[no-untyped-def]
    bits = _bits(x)
    near = (bits + _HALF + ((bits >> _SHIFT) & _ODD)) >> _SHIFT
    return np.uint16((bits >> _SHIFT) | _QUIET if np.isnan(x) else near)
