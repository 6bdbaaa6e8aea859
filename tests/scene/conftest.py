"""A short drive through a world of textured planes, and a tiny bundle to run the main job with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from short_drive import HEIGHT, WIDTH, RunJob, frames_of

import litescene
import tiny_bundles
from litescene.core import Frame
from litescene.media import VideoWriter
from litescene.runtime import write_metadata
from litescene.scene import SceneResult


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's cache."""
    monkeypatch.setenv("LITESCENE_CACHE", str(shared_cache))


@pytest.fixture(scope="session")
def segmenter_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "seg.onnx"
    contract = tiny_bundles.segmentation_contract((HEIGHT, WIDTH))
    path.write_bytes(write_metadata(tiny_bundles.segmentation_model(), contract))
    return path


@pytest.fixture(scope="session")
def detector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "det.onnx"
    contract = replace(tiny_bundles.detection_contract(), thresholds={"score": 0.93, "iou": 0.5})
    path.write_bytes(write_metadata(tiny_bundles.detection_model(), contract))
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
