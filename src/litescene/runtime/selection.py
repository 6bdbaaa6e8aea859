"""`auto`: which engine is the fastest here, by a short measurement that is kept.

The candidates run in turn on a real picture (the first one that the predictor gets). bf16 is a
candidate only where its decisions agree with float32: the share stated by the bundle's
`parity["bf16_agreement"]`, or else measured on that picture, must reach `AGREEMENT`. The choice
is kept per machine, engine versions, threads and bundle.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from litescene.core.cache import cache_folder
from litescene.core.errors import MissingExtraError, OutputError
from litescene.core.provenance import processor
from litescene.media.atomic import write_atomic
from litescene.runtime.bundle import Bundle
from litescene.runtime.engines import (
    Batch,
    Engine,
    Outputs,
    create_engine,
    default_threads,
    has_bf16,
    installed,
)

AGREEMENT = 0.99
ROUNDS = 8
_log = logging.getLogger("litescene")

Agreement = Callable[[Outputs, Outputs], float | None]
"""Share of decisions that two outputs have in common; None where there is nothing to decide."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A measurement: the engine chosen, least milliseconds of each, bf16's agreement if known."""

    engine: str
    milliseconds: Mapping[str, float]
    agreement: float | None


def candidates() -> list[str]:
    """Engines that can run on this machine, exact ones first."""
    names = ["openvino-f32"] if installed("openvino") else []
    if installed("onnxruntime"):
        names.append("onnxruntime")
    if names[:1] == ["openvino-f32"] and has_bf16():
        names.append("openvino-bf16")
    if not names:
        raise MissingExtraError("running a network", "onnxruntime")
    return names


def choose(bundle: Bundle, batch: Batch, agree: Agreement, threads: int | None = None) -> Engine:
    """The fastest engine that decides as float32 does; measured once, then remembered.

    Args:
        bundle: the network.
        batch: a real picture as the network gets it, 1×H×W×3 uint8.
        agree: compares the outputs of two engines for `batch`.
        threads: cores to use; all that the process may use by default.

    """
    threads = threads or default_threads()
    names = candidates()
    if len(names) == 1:
        return create_engine(names[0], bundle, threads)
    key = _key(bundle, names, threads)
    kept = _read_choices().get(key)
    if kept in names:
        return create_engine(kept, bundle, threads)
    _log.info("choosing the engine for %s among %s, once", bundle.name, ", ".join(names))
    engines = {name: create_engine(name, bundle, threads) for name in names}
    choice = measure(engines, bundle, batch, agree)
    _log.info("chosen: %s (%s)", choice.engine, _describe(choice))
    if "openvino-bf16" not in names or choice.agreement is not None:
        _keep_choice(key, choice.engine)
    return engines[choice.engine]


def measure(
    engines: Mapping[str, Engine], bundle: Bundle, batch: Batch, agree: Agreement
) -> Choice:
    """Run all engines in turn, `ROUNDS` times after a warm-up, and choose.

    The least time counts: a busy machine makes times longer, never shorter, and the choice is
    kept for quieter days.
    """
    outputs = {name: [o.copy() for o in e.run(batch)] for name, e in engines.items()}
    times: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(ROUNDS):
        for name, engine in engines.items():
            began = time.perf_counter()
            engine.run(batch)
            times[name].append((time.perf_counter() - began) * 1e3)
    least = {name: min(values) for name, values in times.items()}
    agreement = None
    if "openvino-bf16" in engines:
        stated = bundle.contract.parity.get("bf16_agreement")
        agreement = (
            float(stated)
            if stated is not None
            else agree(outputs["openvino-f32"], outputs["openvino-bf16"])
        )
    exact = agreement is not None and agreement >= AGREEMENT
    allowed = [name for name in engines if exact or name != "openvino-bf16"]
    return Choice(min(allowed, key=least.__getitem__), least, agreement)


def _describe(choice: Choice) -> str:
    text = ", ".join(f"{name} {ms:.1f} ms" for name, ms in choice.milliseconds.items())
    if choice.agreement is not None:
        text += f"; bf16 decides as float32 in {100 * choice.agreement:.2f} %"
    return text


def _key(bundle: Bundle, names: list[str], threads: int) -> str:
    packages = sorted({name.partition("-")[0] for name in names})
    versions = [_version(package) for package in packages]
    facts = (processor(), threads, names, versions, bundle.digest)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _version(package: str) -> str:
    """Of a module, whose distribution may be called otherwise (onnxruntime-gpu)."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(package), "__version__", ""))


def _file() -> Path:
    return cache_folder() / "engines.json"


def _read_choices() -> dict[str, str]:
    try:
        kept = json.loads(_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        _log.info("the kept engine choices in %s are not readable (%s)", _file(), error)
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep_choice(key: str, engine: str) -> None:
    choices = {**_read_choices(), key: engine}
    try:
        write_atomic(_file(), json.dumps(choices, indent=2))
    except OutputError as error:
        _log.info("the choice of the engine is not kept: %s", error)
