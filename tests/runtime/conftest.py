"""Fixtures of tiny bundles; no test touches the user's cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from litescene.runtime import Bundle, write_metadata
from tiny_bundles import (
    detection_contract,
    detection_model,
    segmentation_contract,
    segmentation_model,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test touches the user's cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LITESCENE_CACHE", str(folder))
    return folder


@pytest.fixture
def segmentation_bytes() -> bytes:
    return write_metadata(segmentation_model(), segmentation_contract())


@pytest.fixture
def segmentation_bundle(segmentation_bytes: bytes) -> Bundle:
    return Bundle.from_bytes(segmentation_bytes, "tiny")


@pytest.fixture
def detection_bundle() -> Bundle:
    return Bundle.from_bytes(write_metadata(detection_model(), detection_contract()), "tiny_boxes")


@pytest.fixture
def bundle_of() -> Callable[..., Bundle]:
    """Make a segmentation bundle with other facts in its contract."""

    def make(size: tuple[int, int] = (96, 128), **facts: object) -> Bundle:
        contract = segmentation_contract(size, **facts)
        return Bundle.from_bytes(write_metadata(segmentation_model(), contract), "tiny")

    return make


@pytest.fixture
def picture() -> np.ndarray:
    """96×128 RGB of coloured patches."""
    rng = np.random.default_rng(5)
    patches = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.ascontiguousarray(patches.repeat(16, 0).repeat(16, 1))
