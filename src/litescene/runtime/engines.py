"""Inference engines behind one small interface.

    openvino         OpenVINO in the best precision of the machine (bf16, else float32)
    openvino-f32     OpenVINO, float32
    openvino-bf16    OpenVINO, bf16 inside; inputs and outputs are as always
    onnxruntime      ONNX Runtime on the CPU, float32

`auto` (see `runtime.selection`) is not an engine but a choice between these.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib.metadata
import importlib.util
import io
import logging
import os
import time
import weakref
from collections import OrderedDict
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from litescene.core.cache import cache_folder, prune
from litescene.core.errors import (
    BundleError,
    InputError,
    MissingExtraError,
    OutputError,
    UnknownNameError,
)
from litescene.core.provenance import processor
from litescene.media.atomic import write_atomic
from litescene.runtime.bundle import Bundle
from litescene.runtime.quiet import openvino

ENGINES = ("openvino", "openvino-f32", "openvino-bf16", "onnxruntime")
KEPT_SHAPES = 4
"""Compiled input shapes that an engine keeps in memory."""

Batch = NDArray[np.uint8]
Outputs = list[NDArray[np.float32]]
_log = logging.getLogger("litescene")


class Engine(Protocol):
    """A network ready to run. Not to be called from two threads at once."""

    name: str

    def run(self, batch: Batch) -> Outputs:
        """Outputs for N×H×W×3 uint8 RGB; valid until the next call."""
        ...


def default_threads() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


@functools.cache
def has_bf16() -> bool:
    """Whether OpenVINO computes in bf16 on this processor."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def check_engine(name: str) -> None:
    """Raise what `create_engine` would raise for this name."""
    if name not in ENGINES:
        raise UnknownNameError("engine", name, (*ENGINES, "auto"))
    package = name.partition("-")[0]
    if not installed(package):
        raise MissingExtraError(f"the engine '{name}'", package)
    if name == "openvino-bf16":
        _need_bf16()


def _need_bf16() -> None:
    if not has_bf16():
        raise InputError("this processor has no bf16; use the engine openvino-f32")


def create_engine(name: str, bundle: Bundle, threads: int | None = None) -> Engine:
    """Make one of `ENGINES` for a bundle.

    Raises:
        UnknownNameError: no such engine.
        MissingExtraError: its package is not installed.
        InputError: bf16 is asked for and the processor has none.

    """
    check_engine(name)
    package = name.partition("-")[0]
    threads = threads or default_threads()
    if package == "onnxruntime":
        return OnnxRuntimeEngine(bundle, threads)
    precision = name.partition("-")[2] or ("bf16" if has_bf16() else "f32")
    return OpenVinoEngine(bundle, threads, precision)


class OnnxRuntimeEngine:
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Its threads would look for work after a run, and take a core from what comes next.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.model, options, providers=["CPUExecutionProvider"]
            )
        except (
            states.Fail,
            states.InvalidGraph,
            states.InvalidProtobuf,
            states.NotImplemented,
        ) as error:
            raise BundleError(f"ONNX Runtime cannot read '{bundle.name}': {error}") from error
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: Batch) -> Outputs:
        """Outputs for N×H×W×3 uint8 RGB."""
        outputs: Outputs = self._session.run(None, {self._input: batch})
        return outputs


class OpenVinoEngine:
    """OpenVINO on the CPU; every input shape is compiled for itself and kept on disk.

    Compiling for a fixed shape makes faster code than a dynamic shape, and the compiled form
    loads in a fraction of the time that reading and compiling the ONNX file takes. Without
    `store` nothing is kept on disk.

    A thread of the engine's own does all the work: OpenVINO gives the thread that runs a network
    another signal stack and takes it back when the network goes. Where networks go in another
    order than they came, as in a caller's thread they may, a stack that is gone stays in use,
    and the next Ctrl-C ends the program with a segmentation fault.

    A forked process has no such thread, nor OpenVINO's own ones; there `run` is an `InputError`.
    """

    def __init__(self, bundle: Bundle, threads: int, precision: str, *, store: bool = True) -> None:
        if precision == "bf16":
            _need_bf16()
        self.name = f"openvino-{precision}"
        self._process = os.getpid()
        self._networks = _Networks(bundle, threads, precision, store)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        thread = Thread(
            target=_serve, args=(self._networks, self._jobs), name="litescene-openvino", daemon=True
        )
        _serving[thread] = self._jobs
        thread.start()
        # A SimpleQueue may be used wherever garbage is collected, even in its own `put`.
        weakref.finalize(self, self._jobs.put, None).atexit = False

    def run(self, batch: Batch) -> Outputs:
        """Outputs for N×H×W×3 uint8 RGB; valid until the next call."""
        if self._process != os.getpid():
            raise InputError(
                "this network was loaded before the process was forked, and OpenVINO's threads are "
                "not in it; start processes with multiprocessing's 'spawn'"
            )
        answer: _Answer = SimpleQueue()
        self._jobs.put((batch, answer))
        outputs = answer.get()
        if isinstance(outputs, Exception):
            raise outputs
        return outputs


_Answer = SimpleQueue[Outputs | Exception]
_Job = tuple[Batch, _Answer]
_serving: weakref.WeakKeyDictionary[Thread, SimpleQueue[_Job | None]] = weakref.WeakKeyDictionary()


@atexit.register
def _end_threads() -> None:
    # A thread that is inside OpenVINO when Python ends is torn out of it, and that aborts the
    # program after its work is done.
    serving = list(_serving.items())
    for _, jobs in serving:
        jobs.put(None)
    for thread, _ in serving:
        thread.join()


def _serve(networks: _Networks, jobs: SimpleQueue[_Job | None]) -> None:
    """Run what comes, until the engine is gone; free the networks in the thread that made them."""
    while (job := jobs.get()) is not None:
        batch, answer = job
        try:
            answer.put(networks.run(batch))
        except Exception as error:  # raised where it was asked for
            answer.put(error)
        del job, batch, answer
    networks.clear()


class _Networks:
    """The compiled forms of one bundle, for the shapes used last."""

    def __init__(self, bundle: Bundle, threads: int, precision: str, store: bool) -> None:
        self._core = openvino().Core()
        self.name = f"openvino-{precision}"
        self._bundle, self._store = bundle, store
        self._settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "CACHE_MODE": "OPTIMIZE_SPEED",
            # Pinned, all networks of one thread would share the first core.
            "ENABLE_CPU_PINNING": False,
        }
        self._requests: OrderedDict[tuple[int, ...], Any] = OrderedDict()

    def run(self, batch: Batch) -> Outputs:
        """Outputs for one batch; valid until the next call."""
        request = self._requests.get(batch.shape)
        if request is None:
            request = self._compiled(batch.shape).create_infer_request()
            self._requests[batch.shape] = request
            if len(self._requests) > KEPT_SHAPES:
                self._requests.popitem(last=False)
        self._requests.move_to_end(batch.shape)
        results = request.infer([batch], share_inputs=True, share_outputs=True)
        return [results[i] for i in range(len(results))]

    def clear(self) -> None:
        """Free all compiled forms."""
        self._requests.clear()

    def _compiled(self, shape: tuple[int, ...]) -> Any:
        stored = self._stored_at(shape)
        if self._store and os.path.isfile(stored):
            try:
                exported = _unsealed(stored.read_bytes())
                model = self._core.import_model(io.BytesIO(exported), "CPU", self._settings)
                os.utime(stored)
                return model
            except (OSError, RuntimeError, ValueError) as error:
                _log.info("the compiled network %s is not usable (%s)", stored, error)
        return self._compile(shape, stored)

    def _compile(self, shape: tuple[int, ...], stored: Path) -> Any:
        size = f"{shape[2]}×{shape[1]}"
        _log.info("compiling %s for %s (%s), once", self._bundle.name, size, self.name)
        began = time.perf_counter()
        try:
            model = self._core.read_model(io.BytesIO(self._bundle.model))
            model.reshape(list(shape))
            compiled = self._core.compile_model(model, "CPU", self._settings)
        except RuntimeError as error:
            raise BundleError(
                f"OpenVINO cannot read '{self._bundle.name}' at {size}: {error}"
            ) from error
        _log.info("compiled in %.1f s", time.perf_counter() - began)
        if self._store:
            self._keep(compiled, stored)
        return compiled

    def _keep(self, compiled: Any, stored: Path) -> None:
        try:
            write_atomic(stored, _sealed(_exported(compiled)))
            prune(stored.parent, stored.suffix)
        except OutputError as error:
            _log.info("the compiled network is not kept: %s", error)

    def _stored_at(self, shape: tuple[int, ...]) -> Path:
        """File of the compiled form; its name covers everything that the form depends on."""
        facts = (
            self._bundle.digest,
            shape,
            sorted(self._settings.items()),
            importlib.metadata.version("openvino"),
            processor(),
        )
        key = hashlib.sha256(repr(facts).encode()).hexdigest()[:24]
        return cache_folder() / "compiled" / f"{self._bundle.name}-{key}.ov"


def _sealed(content: bytes) -> bytes:
    """With a digest before it: OpenVINO takes changed weights for good ones."""
    return hashlib.sha256(content).digest() + content


def _unsealed(stored: bytes) -> bytes:
    """What was sealed; `ValueError` for anything else."""
    content = stored[hashlib.sha256().digest_size :]
    if _sealed(content) != stored:
        raise ValueError("it is damaged")
    return content


def _exported(compiled: Any) -> bytes:
    exported = compiled.export_model()
    return exported if isinstance(exported, bytes) else exported.getvalue()
