from __future__ import annotations

import ctypes
import gc
import importlib.metadata
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from litescene.core import BundleError, InputError, MissingExtraError, UnknownNameError
from litescene.core.cache import cache_folder, prune
from litescene.runtime import ENGINES, Bundle, create_engine, default_threads, engines, selection
from litescene.runtime.catalog import find
from litescene.runtime.segmentation import label_agreement


def expected(bundle: Bundle, batch: np.ndarray) -> np.ndarray:
    """The tiny network in float64: average over 8×8, then a 1×1 convolution."""
    import onnx
    from onnx import numpy_helper

    weights = {t.name: t for t in onnx.load_from_string(bundle.model).graph.initializer}
    kernel = numpy_helper.to_array(weights["w0"]).astype(np.float64)[:, :, 0, 0]
    n, h, w, _ = batch.shape
    pooled = (batch / 255.0).reshape(n, h // 8, 8, w // 8, 8, 3).mean((2, 4))
    return np.einsum("nhwc,kc->nkhw", pooled, kernel)


def available(name: str) -> None:
    if not engines.installed(name.partition("-")[0]):
        pytest.skip(f"{name} is not installed")
    if name == "openvino-bf16" and not engines.has_bf16():
        pytest.skip("this processor has no bf16")


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_takes_any_size_and_batch(name: str, segmentation_bundle: Bundle) -> None:
    available(name)
    engine = create_engine(name, segmentation_bundle, threads=1)
    rng = np.random.default_rng(0)
    exact = engine.name in ("openvino-f32", "onnxruntime")
    for shape in [(1, 64, 96), (2, 64, 96), (1, 96, 64), (1, 64, 96)]:
        batch = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        (output,) = engine.run(batch)
        want = expected(segmentation_bundle, batch)
        assert output.dtype == np.float32
        np.testing.assert_allclose(output, want, atol=1e-5 if exact else 0.05)


def test_openvino_keeps_few_shapes_and_stores_compiled_networks(
    segmentation_bundle: Bundle, own_cache: Path
) -> None:
    available("openvino-f32")
    engine = engines.OpenVinoEngine(segmentation_bundle, 1, "f32")
    for width in range(64, 64 + 8 * 6, 8):
        engine.run(np.zeros((1, 64, width, 3), np.uint8))
    assert len(engine._networks._requests) == engines.KEPT_SHAPES
    assert len(list((own_cache / "compiled").glob("*.ov"))) == 6


def test_a_stored_network_is_used_and_a_damaged_one_compiled_anew(
    segmentation_bundle: Bundle, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    available("openvino-f32")
    caplog.set_level(logging.INFO, "litescene")
    batch = np.full((1, 64, 96, 3), 77, np.uint8)
    first = create_engine("openvino-f32", segmentation_bundle, 1).run(batch)[0].copy()
    assert "compiling tiny for 96×64" in caplog.text
    caplog.clear()
    second = create_engine("openvino-f32", segmentation_bundle, 1).run(batch)[0].copy()
    assert "compiling" not in caplog.text
    (stored,) = (own_cache / "compiled").glob("*.ov")
    whole = stored.read_bytes()
    np.testing.assert_array_equal(first, second)
    damaged = [whole[:50], *(_flipped(whole, share) for share in (0.0, 0.2, 0.5, 0.8, 0.95))]
    for content in damaged:
        caplog.clear()
        stored.write_bytes(content)
        third = create_engine("openvino-f32", segmentation_bundle, 1).run(batch)[0]
        assert "not usable" in caplog.text
        np.testing.assert_array_equal(first, third)


def _flipped(content: bytes, share: float) -> bytes:
    """With the bits of 64 bytes turned over, `share` of the way through."""
    at = int(share * (len(content) - 64))
    return content[:at] + bytes(255 - byte for byte in content[at : at + 64]) + content[at + 64 :]


FORK = """
import os, signal, sys
import numpy as np
from litescene.core import InputError
from litescene.runtime.bundle import Bundle
from litescene.runtime.engines import create_engine
bundle = Bundle.from_bytes(open(sys.argv[1], "rb").read(), "tiny")
engine = create_engine("openvino-f32", bundle, 2)
batch = np.full((1, 64, 96, 3), 77, np.uint8)
engine.run(batch)
if child := os.fork():
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
signal.alarm(30)
try:
    engine.run(batch)
except InputError as error:
    os._exit(0 if "'spawn'" in str(error) else 3)  # as multiprocessing ends its children
os._exit(4)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_network_in_a_forked_process_is_refused(
    segmentation_bytes: bytes, tmp_path: Path
) -> None:
    """Rather than waited for: the threads that would answer are not in it."""
    available("openvino-f32")
    (tmp_path / "tiny.onnx").write_bytes(segmentation_bytes)
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(tmp_path / "tiny.onnx")]
    assert subprocess.run(command, timeout=120, check=False).returncode == 0


def test_no_thread_of_openvino_outlives_the_program(
    segmentation_bytes: bytes, tmp_path: Path
) -> None:
    # One that Python ends inside of OpenVINO aborts the program after its work is done.
    available("openvino-f32")
    (tmp_path / "tiny.onnx").write_bytes(segmentation_bytes)
    program = """
import atexit, sys, threading
@atexit.register
def left():
    print([t.name for t in threading.enumerate() if t.name == "litescene-openvino"])
import numpy as np
from litescene.runtime import Bundle, create_engine
engines = [create_engine("openvino-f32", Bundle.open(sys.argv[1]), 1) for _ in range(2)]
for engine in engines:
    engine.run(np.zeros((1, 64, 64, 3), np.uint8))
del engine, engines[0]
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "tiny.onnx")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (0, "[]\n"), ended.stderr


def test_an_unwritable_cache_is_no_obstacle(
    segmentation_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    available("openvino-f32")
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path / "file"))
    engine = create_engine("openvino-f32", segmentation_bundle, 1)
    assert engine.run(np.zeros((1, 64, 64, 3), np.uint8))[0].shape == (1, 4, 8, 8)


def test_an_unknown_engine_gets_near_names(segmentation_bundle: Bundle) -> None:
    with pytest.raises(UnknownNameError, match="did you mean openvino"):
        create_engine("openvno", segmentation_bundle)


def test_an_engine_that_is_not_installed_names_its_extra(
    segmentation_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "installed", lambda package: False)
    with pytest.raises(MissingExtraError, match=r"litescene\[onnxruntime\]"):
        create_engine("onnxruntime", segmentation_bundle)
    monkeypatch.setattr(selection, "installed", lambda package: False)
    with pytest.raises(MissingExtraError):
        selection.candidates()


def test_bf16_on_a_processor_without_it_says_what_to_use(
    segmentation_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    available("openvino-f32")
    monkeypatch.setattr(engines, "has_bf16", lambda: False)
    with pytest.raises(InputError, match="openvino-f32"):
        create_engine("openvino-bf16", segmentation_bundle)
    assert create_engine("openvino", segmentation_bundle).name == "openvino-f32"


@pytest.mark.parametrize("name", ["openvino-f32", "onnxruntime"])
def test_a_model_that_the_engine_cannot_read_is_a_bundle_error(
    name: str, segmentation_bundle: Bundle
) -> None:
    available(name)
    broken = segmentation_bundle.model.replace(b"AveragePool", b"AveragePoll")
    bundle = Bundle("broken", segmentation_bundle.contract, "0" * 64, broken)
    with pytest.raises(BundleError, match="cannot read 'broken'"):
        create_engine(name, bundle, 1).run(np.zeros((1, 64, 64, 3), np.uint8))


def test_threads_are_the_cores_of_this_process() -> None:
    if hasattr(os, "sched_getaffinity"):
        assert default_threads() == len(os.sched_getaffinity(0))


class FixedEngine:
    """Gives fixed outputs after a fixed time."""

    def __init__(self, name: str, milliseconds: float, output: np.ndarray) -> None:
        self.name, self._seconds, self._output = name, milliseconds / 1e3, output

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        import time

        time.sleep(self._seconds)
        return [self._output]


@pytest.mark.parametrize(
    ("stated", "share", "winner"),
    [
        (None, 1.0, "openvino-bf16"),
        (None, 0.9, "onnxruntime"),
        (0.995, 0.0, "openvino-bf16"),
        (0.98, 1.0, "onnxruntime"),
        (None, None, "onnxruntime"),
    ],
)
def test_bf16_is_chosen_only_where_it_decides_as_float32(
    stated: float | None, share: float | None, winner: str, bundle_of
) -> None:
    output = np.zeros((1, 4, 8, 8), np.float32)
    speeds = {"openvino-f32": 9.0, "onnxruntime": 4.0, "openvino-bf16": 1.0}
    candidates = {name: FixedEngine(name, ms, output) for name, ms in speeds.items()}
    parity = {} if stated is None else {"bf16_agreement": stated}
    choice = selection.measure(
        candidates, bundle_of(parity=parity), np.zeros((1, 64, 64, 3), np.uint8), lambda a, b: share
    )
    assert choice.engine == winner


def test_a_choice_is_measured_once_and_remembered(
    segmentation_bundle: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    if len(selection.candidates()) < 2:
        pytest.skip("one engine only: nothing to choose")
    caplog.set_level(logging.INFO, "litescene")
    batch = np.random.default_rng(0).integers(0, 256, (1, 96, 128, 3), dtype=np.uint8)
    first = selection.choose(segmentation_bundle, batch, label_agreement, threads=1)
    assert "choosing the engine for tiny" in caplog.text
    caplog.clear()
    second = selection.choose(segmentation_bundle, batch, label_agreement, threads=1)
    assert "choosing" not in caplog.text
    assert first.name == second.name
    (cache_folder() / "engines.json").write_text("{damaged")
    selection.choose(segmentation_bundle, batch, label_agreement, threads=1)
    assert "not readable" in caplog.text


def test_an_engine_whose_distribution_has_another_name_has_a_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import onnxruntime

    def absent(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", absent)
    assert selection._version("onnxruntime") == onnxruntime.__version__


def test_the_cache_drops_what_was_unused_longest(tmp_path: Path) -> None:
    for i in range(5):
        file = tmp_path / f"{i}.ov"
        file.write_bytes(bytes(100))
        os.utime(file, (1000 + i, 1000 + i))
    prune(tmp_path, ".ov", limit=250)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["3.ov", "4.ov"]


def test_the_cache_folder_follows_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LITESCENE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "litescene"


class _SignalStack(ctypes.Structure):
    _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)]


def signal_stack() -> tuple[int | None, int]:
    """Where this thread's signal handlers run, as the system says."""
    stack = _SignalStack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return stack.sp, stack.flags


@pytest.mark.skipif(sys.platform != "linux", reason="signal stacks are looked up as Linux does")
def test_networks_that_come_and_go_in_any_order_leave_the_callers_signal_stack_alone(
    segmentation_bundle: Bundle, own_cache: Path
) -> None:
    available("openvino-f32")
    before = signal_stack()
    batch = np.zeros((1, 64, 96, 3), np.uint8)
    first = create_engine("openvino-f32", segmentation_bundle, threads=1)
    first.run(batch)
    second = create_engine("openvino-f32", segmentation_bundle, threads=1)
    second.run(batch)
    assert signal_stack() == before
    del first
    gc.collect()
    second.run(np.zeros((1, 96, 64, 3), np.uint8))
    del second
    gc.collect()
    assert signal_stack() == before


@pytest.mark.parametrize("name", ENGINES)
def test_after_a_run_an_engine_leaves_the_cores_to_others(name: str) -> None:
    available(name)
    engine = create_engine(name, find("yolov5_lite_e"), 2)
    picture = np.zeros((1, 320, 320, 3), np.uint8)
    used = []
    for _ in range(20):
        engine.run(picture)
        began = time.process_time()
        time.sleep(0.005)
        used.append(time.process_time() - began)
    assert np.median(used) < 0.002  # OpenVINO looks for work for one millisecond
