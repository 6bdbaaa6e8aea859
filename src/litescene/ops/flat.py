"""Tensors as the flat arrays that numba's kernels take."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

WIDTH = 16
"""Numbers that a kernel computes side by side."""
KERNEL_TYPES = (torch.bfloat16, torch.float32)
"""What `as_flat` takes."""


def as_flat(x: Tensor) -> Any:
    """N×C×H×W as a flat NumPy array N×H×W×C of float32, or uint16 for the bits of bfloat16.

    A copy if it lies otherwise in memory.
    """
    rows = x.detach().permute(0, 2, 3, 1)
    return (rows.view(torch.uint16) if x.dtype == torch.bfloat16 else rows).numpy().reshape(-1)
