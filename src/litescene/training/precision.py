"""The precision that a run computes in: the recipe's, where the processor is made for it."""

from __future__ import annotations

import platform
from typing import Literal

import torch

Precision = Literal["32-true", "bf16-mixed"]

_FOR_BF16 = ({"avx512_f", "avx512_bw", "avx512_vl", "avx512_dq"}, {"avx_vnni", "avx_ne_convert"})
"""Instructions of which oneDNN needs all of a set for its convolutions in bf16."""


def precision_here(wanted: Precision) -> Precision:
    """`wanted`, but float32 for bf16 on a processor whose convolutions in bf16 are emulated.

    There they are slow and less exact: measured on one core of a Zen 3 (ResNet-18, 32 pictures of
    64×64, forward and backward), 7.6 s against 0.63 s in float32. An accelerator, and a
    processor of another family than x86-64, compute as they are asked to.
    """
    if wanted == "32-true" or torch.accelerator.is_available() or _has_bf16_convolutions():
        return wanted
    return "32-true"


def _has_bf16_convolutions() -> bool:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    has = torch.cpu.get_capabilities()
    return any(all(has.get(name, False) for name in names) for names in _FOR_BF16)
