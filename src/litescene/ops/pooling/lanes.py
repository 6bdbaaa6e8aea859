"""The output and the gradients of sixteen windows side by side, by any weights; see `survey`.

`delta` is None for eM, eDSCW and AdaPool, of which `mode` says which; for inverse distances see
`by_inverse`. As None has a type of its own, either is compiled without the other.
"""

from __future__ import annotations

from litescene.core.njit import njit
from litescene.ops.pooling import by_exponential, by_inverse
from litescene.ops.vectors import INLINE

_exponential_answer, _exponential_pull = by_exponential.answer, by_exponential.pull
_inverse_answer, _inverse_pull = by_inverse.answer, by_inverse.pull


@njit(**INLINE)
def answer(taps, inside, count, whole, share, mode, delta, kept):  # type: ignore[no-untyped-def]
    """The output of sixteen windows with β `share`; `kept` is scratch as for `pull`."""
    if delta is not None:
        return _inverse_answer(taps, inside, count, whole, delta, kept)
    if count == 4 and whole:
        # 2×2, by far the commonest: with constants the compiler unrolls all loops
        return _exponential_answer(taps, inside, 4, True, share, mode)
    return _exponential_answer(taps, inside, count, whole, share, mode)


@njit(**INLINE)
def pull(taps, inside, count, whole, g, share, mode, delta, exact, kept, back, at, step):  # type: ignore[no-untyped-def]
    """The gradients of sixteen windows: to back[at + t·step :] that of element t; answers β's.

    g is that of the output; `kept` is scratch for two vectors per element. What it gives to the
    places of none is to be ignored.
    """
    if delta is not None:
        return _inverse_pull(taps, inside, count, whole, delta, g, exact, kept, back, at, step)
    if count == 4 and whole:
        return _exponential_pull(taps, inside, 4, True, g, share, mode, exact, kept, back, at, step)
    return _exponential_pull(
        taps, inside, count, whole, g, share, mode, exact, kept, back, at, step
    )
