from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tiny_bundles
from litescene.runtime import write_metadata

_CODE = """
import logging, numpy as np
logging.basicConfig(level=logging.INFO)
from litescene.runtime import upsample
upsample.upsample_argmax(np.zeros((2, 3, 3), np.float32), 9, 9)
upsample.upsample_argmax(np.zeros((2, 3, 3), np.float32), 9, 9)
"""


@pytest.mark.slow
def test_a_compilation_is_announced_once_per_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    command = [sys.executable, "-c", _CODE]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert first.stderr.count("compiling the upsampling kernels") == 1
    assert "compiling" not in second.stderr


def test_a_kernel_that_never_ran_is_announced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from litescene.runtime.kernels import announce

    class Kernel:
        class stats:
            cache_path = str(tmp_path)

        @staticmethod
        def py_func() -> None: ...

    caplog.set_level(logging.INFO, "litescene")
    announce("the test's kernels", Kernel)
    assert "compiling the test's kernels" in caplog.text
    caplog.clear()
    name = Kernel.py_func.__qualname__
    (tmp_path / f"module.{name}-12.py311.nbi").touch()
    announce("the test's kernels", Kernel)
    assert caplog.text == ""


def test_an_object_that_labels_nothing_announces_nothing(tmp_path: Path) -> None:
    """An error about data that do not fit comes alone, on a fresh machine too."""
    (tmp_path / "seg.onnx").write_bytes(
        write_metadata(tiny_bundles.segmentation_model(), tiny_bundles.segmentation_contract())
    )
    command = [sys.executable, "-m", "litescene.cli", "evaluate", "seg.onnx", "--data", "camvd:x"]
    fresh = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
    ended = subprocess.run(
        command, cwd=tmp_path, env=fresh, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
