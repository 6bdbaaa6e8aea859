"""The section that says what each pooling keeps of pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PICTURE = Path("pictures") / "pooling_fidelity.png"

EXPLAINED = """\
PSNR and SSIM, means over the pictures, at factors of 2 and 4. *Against area* compares the pooled
picture with the area average, which is what average pooling gives; *bilinear* compares the original
with the pooled picture after bilinear up-sampling. Poolings that learn stand as they begin, for
AdaPool with β = 0.5; *best β* is the best of a sweep in steps of 0.1, chosen on the same pictures.
AdaUnPool goes back with the windows' weights, a number for each element of the original: it knows
more than the pooled picture, so its row shows what it brings back, not what a picture of that size
can hold."""


def fidelity(file: Path) -> str:
    """Explanation, conditions, table and picture; nothing where it was not measured."""
    if not file.is_file():
        return ""
    record = json.loads(file.read_text("utf-8"))
    given, machine = record["conditions"], record["machine"]
    names = ", ".join(f"{len(given['names'][name])} of {name}" for name in given["sets"])
    line = (
        f"{given['pictures']} pictures ({names}), at equal distances through their sorted names; "
        f"written by `benchmarks/pooling_fidelity.py`. ({machine['processor']}, "
        f"{machine['date']}, commit {machine['commit']})"
    )
    parts = [EXPLAINED, line, record["table"], gain(record["factors"])]
    if (Path(__file__).parent / PICTURE).is_file():
        parts.append(f"![The same part of a picture under each pooling]({PICTURE.as_posix()})")
        parts.append(
            "A part of a picture of the built-in street at a factor of 4, and the PSNR of the whole"
            " picture after bilinear up-sampling."
        )
    return "\n\n".join(parts)


def gain(factors: Mapping[str, Any]) -> str:
    """A sentence on what AdaPool brings against the plain mean."""
    found = [
        f"{one['up']['adapool']['psnr'] - one['up']['average']['psnr']:+.2f} dB at {factor}"
        for factor, one in factors.items()
    ]
    return f"After bilinear up-sampling, AdaPool against average pooling: {', '.join(found)}."
