"""A short drive through a world of textured planes, and a tiny bundle to run the main job with."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from short_drive import HEIGHT, WIDTH, RunJob, frames_of

import litescene
from litescene.core import Frame
from litescene.media import VideoWriter
from litescene.runtime import write_metadata
from litescene.scene import SceneResult


@pytest.fixture(scope="session")
def tiny() -> ModuleType:
    """The models that the runtime's tests build."""
    path = Path(__file__).parent.parent / "runtime" / "conftest.py"
    spec = spec_from_file_location("tiny_bundles", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's cache."""
    monkeypatch.setenv("LITESCENE_CACHE", str(shared_cache))


@pytest.fixture(scope="session")
def segmenter_file(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "seg.onnx"
    contract = tiny.segmentation_contract((HEIGHT, WIDTH))
    path.write_bytes(write_metadata(tiny.segmentation_model(), contract))
    return path


@pytest.fixture(scope="session")
def detector_file(tiny: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "det.onnx"
    contract = replace(tiny.detection_contract(), thresholds={"score": 0.93, "iou": 0.5})
    path.write_bytes(write_metadata(tiny.detection_model(), contract))
    return path


@pytest.fixture(scope="session")
def drive() -> list[Frame]:
    return list(frames_of())


@pytest.fixture(scope="session")
def drive_file(drive: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "drive.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, 10) as video:
        for frame in drive:
            video.write(frame.image, frame.time)
    return path


@pytest.fixture
def run_job(segmenter_file: Path, tmp_path: Path) -> RunJob:
    """`litescene.run` with the tiny segmenter and without a detector, into `tmp_path/out`."""

    def run(source: Any, **settings: Any) -> SceneResult:
        chosen: dict[str, Any] = {
            "out": tmp_path / "out",
            "camera": "fov=70",
            "segment": segmenter_file,
            "detect": None,
            "engine": "onnxruntime",
        }
        return litescene.run(source, **(chosen | settings))

    return run
