"""The precision that a run computes in: the recipe's, where the processor is made for it."""

from __future__ import annotations

import platform
from typing import Literal

import torch

from litescene.core.provenance import processor

Precision = Literal["32-true", "bf16-mixed"]


def precision_here(wanted: Precision) -> Precision:
    """`wanted`, but float32 for bf16 on an x86-64 processor that multiplies bf16 no faster.

    AMX does, and AVX512-BF16 on AMD's processors. On Intel's, AVX512-BF16 without AMX (an older
    processor, or a virtual machine that hides it) takes longer than float32, and bf16 emulated by
    AVX512 or AVX2 much longer, at less exactness. One step of PP-LiteSeg-B (eight pictures of
    320×240) on one core of a Xeon with AVX512-BF16: 2.0 s in bf16, 1.4 s in float32; emulated by
    its AVX512 4.7 s; ResNet-18 (32 pictures of 64×64, forward and backward) on a Zen 3: 7.6 s
    against 0.63 s. Instructions that only convert bf16 (AVX-NE-CONVERT) were not measured; they
    multiply in float32. An accelerator, and a processor of another family than x86-64, compute as
    they are asked to.
    """
    if wanted == "32-true" or torch.accelerator.is_available() or _is_fast_in_bf16():
        return wanted
    return "32-true"


def _is_fast_in_bf16() -> bool:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    has = torch.cpu.get_capabilities()
    if has.get("amx_bf16", False):
        return True
    return has.get("avx512_bf16", False) and "AMD" in processor()
