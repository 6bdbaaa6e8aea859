"""`examples/cpp` is built where the tools are there, and finds the boxes that Python finds."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import Image
from litescene.export.flavours import convert
from litescene.media.letterbox import Letterbox
from litescene.runtime.bundle import Bundle
from litescene.runtime.catalog import find
from litescene.runtime.detection import find_boxes
from litescene.runtime.engines import OpenVinoEngine
from litescene.runtime.nms import MAX_BOXES
from litescene.synth import Street

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "cpp"
SIZE = (256, 320)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (shutil.which("cmake") and shutil.which("c++")):
        pytest.skip("no CMake or no C++ compiler")
    openvino = pytest.importorskip("openvino.utils")
    build = tmp_path_factory.mktemp("build")
    where = f"-DOpenVINO_DIR={openvino.get_cmake_path()}"
    ran = subprocess.run(
        ["cmake", "-S", SOURCE, "-B", build, where], capture_output=True, text=True, check=False
    )
    if 'provided by "OpenCV"' in ran.stderr:
        pytest.skip("no OpenCV for C++ (libopencv-dev)")
    assert ran.returncode == 0, ran.stderr
    made = subprocess.run(["cmake", "--build", build], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    assert "warning" not in made.stdout + made.stderr
    return build / "detect"


@pytest.fixture(scope="module")
def eager_detector() -> Bundle:
    """One that finds something in every picture."""
    return with_thresholds(score=0.03, iou=0.4)


def with_thresholds(score: float, iou: float) -> Bundle:
    bundle = find("yolov5_lite_e")
    thresholds = {"score": score, "iou": iou}
    return replace(bundle, contract=replace(bundle.contract, thresholds=thresholds))


def by_python(bundle: Bundle, picture: Image) -> tuple[np.ndarray, np.ndarray]:
    box = Letterbox.plan((picture.shape[0], picture.shape[1]), SIZE, auto=False)
    heads = OpenVinoEngine(bundle, 2, "f32", store=False).run(box.apply(picture)[None])
    contract = bundle.contract
    rows = find_boxes([head[0] for head in heads], contract, **contract.thresholds)
    return box.to_picture(rows[:, :4]), rows[:, 4:]


@pytest.mark.slow
def test_boxes_are_those_of_python(program: Path, eager_detector: Bundle, tmp_path: Path) -> None:
    convert(eager_detector, "openvino", tmp_path / "model", SIZE)
    network = [tmp_path / "model" / f"yolov5_lite_e.{ending}" for ending in ("xml", "json")]
    frames = [frame.image for frame in islice(Street(3, 640, 480, 2.0).frames(), 9)]
    shapes = [(480, 640), (801, 1000)[::-1], (333, 479), (100, 640), (256, 320)]
    found = 0
    for index, (height, width) in enumerate(shapes):
        whole = PIL.Image.fromarray(frames[2 * index % 9])
        picture = np.asarray(whole.resize((width, height), PIL.Image.Resampling.BICUBIC))
        file, drawn = tmp_path / f"{index}.png", tmp_path / f"drawn{index}.png"
        PIL.Image.fromarray(picture).save(file)
        ran = subprocess.run(
            [program, *network, file, drawn], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        lines = [line.split() for line in ran.stdout.splitlines()]
        boxes, scores = by_python(eager_detector, picture)
        names = eager_detector.contract.taxonomy.names
        assert [line[0] for line in lines] == [names[int(c)] for c in scores[:, 1]]
        values = np.array([[float(v) for v in line[1:]] for line in lines])
        np.testing.assert_allclose(values[:, 0], scores[:, 0], atol=1e-3)
        np.testing.assert_allclose(values[:, 1:], boxes, atol=0.05)
        assert (np.asarray(PIL.Image.open(drawn)) != picture).any()
        found += len(lines)
    assert found > 20


@pytest.mark.slow
def test_no_more_boxes_stay_than_in_python(program: Path, tmp_path: Path) -> None:
    eager = with_thresholds(score=1e-4, iou=0.9)
    convert(eager, "openvino", tmp_path, SIZE)
    network = [tmp_path / f"yolov5_lite_e.{ending}" for ending in ("xml", "json")]
    picture = next(iter(Street(3, 640, 480, 2.0).frames())).image
    PIL.Image.fromarray(picture).save(tmp_path / "street.png")
    ran = subprocess.run(
        [program, *network, tmp_path / "street.png"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    scores = np.array([float(line.split()[1]) for line in ran.stdout.splitlines()])
    _, by_scores = by_python(eager, picture)
    assert len(scores) == len(by_scores) == MAX_BOXES
    np.testing.assert_allclose(scores, by_scores[:, 0], atol=1e-3)


@pytest.mark.slow
def test_errors_say_what_is_wrong(program: Path, eager_detector: Bundle, tmp_path: Path) -> None:
    convert(eager_detector, "openvino", tmp_path, SIZE)
    network = [tmp_path / f"yolov5_lite_e.{ending}" for ending in ("xml", "json")]
    absent = tmp_path / "absent.png"
    for words, code, said in (
        (network, 2, "usage: detect"),
        ([*network, absent], 1, f"detect: cannot read {absent}"),
    ):
        ran = subprocess.run([program, *words], capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (code, "")
        assert ran.stderr.splitlines()[-1].startswith(said)
