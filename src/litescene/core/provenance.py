"""Where a measurement comes from: code, machine and date, for result files and cards."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_PACKAGES = ("numpy", "openvino", "onnxruntime", "torch")


_PACKAGE = Path(__file__).resolve().parent.parent


def commit() -> str | None:
    """The commit of a source checkout, with `-dirty` where it was changed; None if installed.

    Stored measurements are no part of what is measured: their change does not count.

    An environment inside somebody else's checkout does not make its commit ours: the package has
    to lie at `src/litescene` of the checkout.
    """
    top = _git("rev-parse", "--show-toplevel")
    if top is None or (Path(top) / "src" / "litescene").resolve() != _PACKAGE:
        return None
    head = _git("describe", "--always", "--abbrev=12", "--exclude=*")
    stored = ("benchmarks/results", "src/litescene/results")
    measured = (":/", *(f":(top,exclude){folder}" for folder in stored))
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *measured)
    return f"{head}-dirty" if changed else head


def _git(*words: str) -> str | None:
    """What git answers inside the package; None without git and outside of a checkout."""
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=_PACKAGE,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def installed_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Versions of those of the distributions that are installed, in the given order."""
    found = {}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def provenance() -> dict[str, Any]:
    """Date (UTC), machine, cores, Python, package versions and commit; plain JSON."""
    import litescene

    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "litescene": litescene.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "packages": installed_versions(_PACKAGES),
    }


def processor() -> str:
    """Name of the processor, as exact as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
