from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import logging, numpy as np
logging.basicConfig(level=logging.INFO)
from litescene.runtime import upsample
upsample.announce_compilation()
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
    assert "compiling the upsampling kernels" in first.stderr
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
