"""The formats of other runtimes: how each is written, and run to see what it computes."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from litescene.core import BundleError
from litescene.export.flavours.opset11 import broken_rules, lowered
from litescene.export.flavours.plain_graph import INPUT, Graph
from litescene.media.atomic import write_atomic
from litescene.runtime.quiet import openvino

Planes = NDArray[np.float32]
Run = Callable[[Planes], list[Planes]]
"""1×3×H×W planes to the outputs."""


@dataclass(frozen=True, slots=True)
class Target:
    """A format of another runtime.

    `write` puts files into a folder under a name, and gives their names; `load` runs them.
    `tolerance` is the largest difference to float32 by rounding, as a share of the largest output.
    Quantised bundles are for those with an `engine`, in which they run in the same runtime.
    """

    packages: tuple[str, ...]
    endings: tuple[str, ...]
    write: Callable[[Graph, Path, str], None]
    load: Callable[[Path, str, Graph], Run]
    tolerance: float
    finishes: bool = False
    """Whether a detector's last steps may be inside."""
    open_sizes: bool = False
    """Whether sizes may stay open."""
    engine: str | None = None

    def files(self, name: str) -> list[str]:
        """Names of its files."""
        return [f"{name}{ending}" for ending in self.endings]

    def missing(self) -> list[str]:
        """Packages that are not installed."""
        return [p for p in self.packages if importlib.util.find_spec(p) is None]


def _write_onnx(model: Graph, folder: Path, name: str) -> None:
    write_atomic(folder / f"{name}.onnx", model.SerializeToString())


def _load_onnx(folder: Path, name: str, model: Graph) -> Run:
    import onnxruntime

    del model
    file = folder / f"{name}.onnx"
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return lambda x: [np.asarray(y) for y in session.run(None, {INPUT: x})]


def _write_tengine(model: Graph, folder: Path, name: str) -> None:
    old = lowered(model)
    if broken := broken_rules(old):
        raise BundleError(f"Tengine's converter would not read the graph: {'; '.join(broken[:4])}")
    _write_onnx(old, folder, name)


def _write_openvino(model: Graph, folder: Path, name: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        file = Path(made) / "model.onnx"
        file.write_bytes(model.SerializeToString())
        converted = openvino().convert_model(file)
        openvino().save_model(converted, Path(made) / f"{name}.xml", compress_to_fp16=False)
        for ending in (".bin", ".xml"):
            write_atomic(folder / f"{name}{ending}", (Path(made) / f"{name}{ending}").read_bytes())


def _load_openvino(folder: Path, name: str, model: Graph) -> Run:
    del model
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino().Core().compile_model(folder / f"{name}.xml", "CPU", exact)

    def run(x: Planes) -> list[Planes]:
        found = compiled(x)
        return [np.array(found[output]) for output in compiled.outputs]

    return run


def _write_ncnn(model: Graph, folder: Path, name: str) -> None:
    import pnnx

    with tempfile.TemporaryDirectory() as made:
        (Path(made) / "model.onnx").write_bytes(model.SerializeToString())
        sides = ",".join(str(d.dim_value) for d in model.graph.input[0].type.tensor_type.shape.dim)
        _converted([pnnx.EXEC_PATH, "model.onnx", f"inputshape=[{sides}]f32"], made, "pnnx")
        for ending in (".param", ".bin"):
            file = Path(made) / f"model.ncnn{ending}"
            if not file.is_file():
                raise BundleError("pnnx wrote no files of ncnn for this network")
            write_atomic(folder / f"{name}.ncnn{ending}", file.read_bytes())


def _load_ncnn(folder: Path, name: str, model: Graph) -> Run:
    import ncnn

    count = len(model.graph.output)
    net = ncnn.Net()
    files = (folder / f"{name}.ncnn.param", folder / f"{name}.ncnn.bin")
    if net.load_param(str(files[0])) or net.load_model(str(files[1])):
        raise BundleError(f"ncnn does not load {files[0].name}: it lacks one of its layers")

    def run(x: Planes) -> list[Planes]:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(x[0]).clone())  # a Mat does not own an array's memory
        found = [extractor.extract(f"out{i}") for i in range(count)]
        if any(code for code, _ in found):
            raise BundleError("ncnn could not compute an output")
        return [np.array(value)[None] for _, value in found]

    return run


_CONVERT_TO_MNN = "import sys, _tools; _tools.mnnconvert(sys.argv)"
"""MNN's converter without its command line, which installs a package by pip and reports every
conversion, with the machine's name, to MNN's maker."""


def _write_mnn(model: Graph, folder: Path, name: str) -> None:
    with tempfile.TemporaryDirectory() as made:
        (Path(made) / "model.onnx").write_bytes(model.SerializeToString())
        words = ["-f", "ONNX", "--modelFile", "model.onnx", "--MNNModel", "model.mnn"]
        command = [sys.executable, "-c", _CONVERT_TO_MNN, *words, "--bizCode", "litescene"]
        _converted(command, made, "MNN's converter")
        file = Path(made) / "model.mnn"
        if not file.is_file():
            raise BundleError("MNN's converter wrote no file for this network")
        write_atomic(folder / f"{name}.mnn", file.read_bytes())


def _load_mnn(folder: Path, name: str, model: Graph) -> Run:
    with contextlib.redirect_stdout(io.StringIO()):
        from MNN import expr, nn

    outputs = [output.name for output in model.graph.output]
    module = nn.load_module_from_file(str(folder / f"{name}.mnn"), [INPUT], outputs)

    def run(x: Planes) -> list[Planes]:
        found = module.forward([expr.const(x, list(x.shape), expr.NCHW)])
        return [np.array(expr.convert(value, expr.NCHW).read()) for value in found]

    return run


def _converted(command: list[str], folder: str, what: str) -> None:
    """Run a converter; its own words are shown where it fails."""
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode:
        last = (ran.stderr or ran.stdout).strip().splitlines()[-1:] or ["without a word"]
        raise BundleError(f"{what} failed ({ran.returncode}): {last[0][:200]}")


TARGETS: Mapping[str, Target] = {
    "onnx": Target(
        ("onnxruntime",), (".onnx",), _write_onnx, _load_onnx, 1e-4, finishes=True, open_sizes=True,
        engine="onnxruntime",
    ),
    "openvino": Target(
        ("openvino",), (".xml", ".bin"), _write_openvino, _load_openvino, 1e-4,
        finishes=True, open_sizes=True, engine="openvino-f32",
    ),
    "tengine": Target(("onnxruntime",), (".onnx",), _write_tengine, _load_onnx, 1e-4),
    "ncnn": Target(("pnnx", "ncnn"), (".ncnn.param", ".ncnn.bin"), _write_ncnn, _load_ncnn, 2e-2),
    "mnn": Target(("MNN",), (".mnn",), _write_mnn, _load_mnn, 1e-3),
}  # fmt: skip
"""By the name that `litescene export --to` takes. ncnn's weights have 16 bits."""
