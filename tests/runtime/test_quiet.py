"""Nothing that litescene does with OpenVINO is reported to its maker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPORTER = """
from pathlib import Path

class Telemetry:
    def __init__(self, *args, **kwargs):
        self.given = args, kwargs

    def __getattr__(self, name):
        if name == "backend":
            raise AttributeError(name)
        def called(*args, **kwargs):
            with open(Path(__file__).with_name("reported.txt"), "a") as file:
                print(name, args, file=file)
        return called
"""
USES = """
import sys
from pathlib import Path

import numpy as np

from litescene.export.flavours import convert
from litescene.runtime.catalog import find
from litescene.runtime.engines import create_engine, has_bf16

has_bf16()
bundle = find("yolov5_lite_e")
create_engine("openvino-f32", bundle, 1).run(np.zeros((1, 64, 64, 3), np.uint8))
convert(bundle, "openvino", Path(sys.argv[1]), (64, 64))
"""


@pytest.mark.parametrize(("program", "reported"), [(USES, False), ("import openvino", True)])
def test_reports(program: str, reported: bool, tmp_path: Path) -> None:
    package = tmp_path / "openvino_telemetry"
    for file, text in (("__init__.py", REPORTER), ("backend/__init__.py", "backend_ga4 = None")):
        (package / file).parent.mkdir(exist_ok=True)
        (package / file).write_text(text)
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out")],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=True,
    )
    assert (package / "reported.txt").exists() == reported
