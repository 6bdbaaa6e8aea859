"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from real_data import DataSet

CHECKOUT = Path(__file__).resolve().parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell's background jobs ignore Ctrl-C, and so would every program that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)

if not torch.cuda.is_available():
    # Read when Triton is first imported, which the training library does for the first test.
    os.environ["TRITON_INTERPRET"] = "1"


@pytest.fixture(autouse=True)
def logger_as_before() -> Iterator[None]:
    """The command line, run inside a test, sends our log to stderr; the next test wants it back."""
    logger = logging.getLogger("litescene")
    before = (list(logger.handlers), logger.level, logger.propagate)
    yield
    logger.handlers[:], logger.level, logger.propagate = before


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The real data sets; tests that need them are skipped where they are absent."""
    root = Path(os.environ.get("LITESCENE_DATA") or CHECKOUT / "../shared/data").resolve()
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set LITESCENE_DATA to the folder of the data sets")
    return root


@pytest.fixture(scope="session")
def data_set(data_folder: Path) -> DataSet:
    """`data_set("camvid/val")` is that folder or file of the real data sets.

    A test is skipped where it is absent: nobody has to have all the sets.
    """

    def find(name: str) -> Path:
        path = data_folder / name
        if not path.exists():
            pytest.skip(f"no {name} in {data_folder}")
        return path

    return find


@pytest.fixture(scope="session")
def parity_folder(data_folder: Path) -> Path:
    """Inputs and outputs of reference implementations, beside the data sets."""
    root = data_folder.parent / "parity"
    if not root.is_dir():
        pytest.skip(f"no reference outputs at {root}")
    return root


@pytest.fixture(scope="session")
def building_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmentation bundle with CamVid's classes that takes everything for a building."""
    import numpy as np

    from litescene.core import CAMVID, Contract
    from litescene.runtime import write_metadata
    from tiny_bundles import pooled_model

    weight = np.full((len(CAMVID), 3, 1, 1), -1, np.float32)
    weight[CAMVID.names.index("building")] = 1
    model = pooled_model((8,), [weight], [np.zeros(len(CAMVID), np.float32)])
    contract = Contract("segmentation", "building", CAMVID, (240, 320), "upsample_argmax")
    path = tmp_path_factory.mktemp("bundle") / "building.onnx"
    path.write_bytes(write_metadata(model, contract))
    return path
