"""Tiny bundles as files, and the command line run inside the test's own process."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import PIL.Image
import pytest

import tiny_bundles
from litescene.cli import main
from litescene.runtime import write_metadata


@dataclass(frozen=True)
class Ended:
    """How a call of the command line ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Ended]


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """A run folder as another process holds it that trains there."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "claim.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture
def trained_elsewhere() -> Callable[[Path], AbstractContextManager[None]]:
    """`held`, for tests."""
    return held


@pytest.fixture
def tiny() -> ModuleType:
    """The models that the runtime's tests build."""
    return tiny_bundles


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in its own folder, with its own cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """`call("segment", "x.png")` runs the command line and says how it ended."""

    def run(*arguments: str | Path) -> Ended:
        with pytest.raises(SystemExit) as stopped:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        code = stopped.value.code
        assert isinstance(code, int)
        return Ended(code, out, err)

    return run


@pytest.fixture
def segmenter_file(tiny: ModuleType, tmp_path: Path) -> Path:
    path = tmp_path / "seg.onnx"
    path.write_bytes(write_metadata(tiny.segmentation_model(), tiny.segmentation_contract()))
    return path


@pytest.fixture
def detector_file(tiny: ModuleType, tmp_path: Path) -> Path:
    path = tmp_path / "det.onnx"
    path.write_bytes(write_metadata(tiny.detection_model(), tiny.detection_contract()))
    return path


def patches(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(small.repeat(16, 0).repeat(16, 1))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "scene.png"
    PIL.Image.fromarray(patches(5)).save(path)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(3):
        PIL.Image.fromarray(patches(index)).save(folder / f"p{index}.png")
    return folder


RECIPE = """
name = "tiny"
task = "segmentation"
epochs = 2
batch_size = 2
precision = "32-true"
evaluate_every = 1

[model]
name = "pp_liteseg_t"

[segmentation]
data = "camvid:set"
stages = [{ height = 64, width = 64 }]
"""


@pytest.fixture
def recipe(place: Path) -> Path:
    """A recipe for four pictures whose brightness is their class."""
    rng = np.random.default_rng(2)
    for split in ("train", "val"):
        (place / "set" / split).mkdir(parents=True)
        (place / "set" / f"{split}annot").mkdir()
        for index in range(4):
            labels = rng.integers(0, 11, (4, 4), dtype=np.uint8).repeat(24, 0).repeat(24, 1)
            grey = (labels * 23).astype(np.uint8)
            picture = np.stack([grey, grey, grey], axis=2)
            PIL.Image.fromarray(picture).save(place / f"set/{split}/{index}.png")
            PIL.Image.fromarray(labels).save(place / f"set/{split}annot/{index}.png")
    path = place / "tiny.toml"
    path.write_text(RECIPE)
    return path
