"""What this machine offers to litescene, found out by looking only."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from litescene.core.cache import cache_folder, can_be_written
from litescene.core.errors import BundleError
from litescene.core.provenance import installed_versions, processor
from litescene.runtime.catalog import WEIGHTS, ShippedBundle, shipped
from litescene.runtime.engines import default_threads, installed

State = Literal["ok", "note", "problem"]
ENGINE_PACKAGES = ("openvino", "onnxruntime")
EXTRAS = {
    "train": ("torch", "lightning-fabric", "safetensors", "pydantic", "tensorboard", "onnx"),
    "synth": ("embreex",),
    "view": ("viser",),
    "deploy": ("onnxslim", "ncnn", "pnnx", "MNN"),
    "gpu": ("triton",),
}
"""Packages of the optional extras, as their distributions are called."""

_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_VNNI = ("avx512_vnni", "avx_vnni")
_LEAST_SPACE = 1 << 30
_LEAST_PYTHON, _FIRST_UNTESTED = (3, 11), (3, 14)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a report; a `problem` needs something done, a `note` does not."""

    name: str
    state: State
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def inspect_machine(weights: Path = WEIGHTS) -> list[Check]:
    """Python, processor, engines, extras, shipped bundles, cache and disk; reads only."""
    return [
        _python(),
        _processor(),
        *_engines(),
        *_extras(),
        *_bundles(weights),
        _cache(),
        _disk(),
    ]


def has_vnni() -> bool:
    """Whether the processor has instructions for sums of products of 8-bit integers."""
    return not _flags().isdisjoint(_VNNI)


def _python() -> Check:
    fits = _LEAST_PYTHON <= sys.version_info[:2] < _FIRST_UNTESTED
    text = f"{platform.python_version()} on {platform.platform()}"
    return Check(
        "python", "ok" if fits else "problem", text + ("" if fits else "; needs 3.11-3.13")
    )


def _processor() -> Check:
    flags = _flags()
    features = [f for f in _FEATURES if f in flags]
    said = ", ".join(features) if features else "none of " + ", ".join(_FEATURES)
    text = f"{processor()}, {default_threads()} of {os.cpu_count()} cores; {said}"
    return Check("processor", "ok" if features or not flags else "note", text)


def _flags() -> set[str]:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return set()
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()


def _engines() -> Iterator[Check]:
    found = [name for name in ENGINE_PACKAGES if installed(name)]
    for name in ENGINE_PACKAGES:
        if name in found:
            version = installed_versions([name]).get(name, "installed")
            yield Check(f"engine {name}", "ok", version)
        else:
            state: State = "note" if found else "problem"
            yield Check(f"engine {name}", state, f"not installed: pip install {name}")


def _extras() -> Iterator[Check]:
    for extra, packages in EXTRAS.items():
        versions = installed_versions(packages)
        missing = [package for package in packages if package not in versions]
        if not missing:
            listed = ", ".join(f"{p} {v}" for p, v in versions.items())
            yield Check(f"extra {extra}", "ok", listed)
        else:
            hint = f"without {', '.join(missing)}: pip install 'litescene[{extra}]'"
            yield Check(f"extra {extra}", "note", hint)


def _bundles(weights: Path) -> Iterator[Check]:
    bundles = shipped(weights)
    if not bundles:
        yield Check("bundles", "problem", f"none in {weights}; install litescene again")
    for entry in bundles.values():
        yield _bundle(entry)


def _bundle(entry: ShippedBundle) -> Check:
    try:
        bundle = entry.open()
    except BundleError as error:
        return Check(f"bundle {entry.name}", "problem", str(error))
    size = entry.path.stat().st_size / 1e6
    text = f"{bundle.contract.task}, {size:.1f} MB, SHA-256 {entry.sha256[:16]}... as packaged"
    return Check(f"bundle {entry.name}", "ok", text)


def _cache() -> Check:
    folder = cache_folder()
    if can_be_written(folder):
        return Check("cache", "ok", f"{folder} can be written")
    return Check(
        "cache", "note", f"{folder} cannot be written; every start compiles (set LITESCENE_CACHE)"
    )


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free
    state: State = "ok" if free >= _LEAST_SPACE else "problem"
    return Check("disk", state, f"{free / 1e9:.1f} GB free in the current folder")
