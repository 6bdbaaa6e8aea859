"""What becomes of the memory that a training step on the CPU gives back."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`."""


def keep_freed_memory() -> None:
    """Let the process keep what it frees until it ends, if its C library is glibc.

    glibc takes every block of more than 32 MB from the system and gives it back when it is freed.
    A step of training frees its maps, and the next one needs as many: a quarter of a million pages
    that the system has to zero again. What stays is not always where the next step could use it, so
    that the peak is a little higher.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows, macOS, musl
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, -1)
