"""What all predictors share: a bundle, a picture in, an engine chosen at first use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import PIL.Image
from numpy.typing import NDArray

from litescene.core.contract import TaskName
from litescene.core.errors import BundleError, UnknownNameError
from litescene.core.frame import Frame, Image
from litescene.media.pictures import read_picture
from litescene.runtime.bundle import Bundle
from litescene.runtime.catalog import find
from litescene.runtime.engines import ENGINES, Batch, Engine, Outputs, create_engine
from litescene.runtime.selection import Agreement, choose

Picture = Path | str | bytes | NDArray[Any] | PIL.Image.Image | Frame
"""A path, encoded bytes, an H×W×3 uint8 RGB array, a PIL image, or a frame."""


def as_image(picture: Picture) -> Image:
    """Any accepted form of a picture as H×W×3 uint8 RGB."""
    return picture.image if isinstance(picture, Frame) else read_picture(picture)


def open_bundle(bundle: Bundle | str | Path, task: TaskName) -> Bundle:
    """A bundle of the wanted task from itself, a shipped name or a file."""
    found = bundle if isinstance(bundle, Bundle) else find(bundle)
    if found.contract.task != task:
        raise BundleError(
            f"'{found.name}' does {found.contract.task}, not {task}; `litescene models` lists "
            "what there is"
        )
    return found


class LazyEngine:
    """An engine by name; with `auto` it is chosen on the first batch."""

    def __init__(self, bundle: Bundle, name: str, threads: int | None, agree: Agreement) -> None:
        if name != "auto" and name not in ENGINES:
            raise UnknownNameError("engine", name, (*ENGINES, "auto"))
        self._bundle, self._threads, self._agree = bundle, threads, agree
        self._engine: Engine | None = None
        if name != "auto":
            self._engine = create_engine(name, bundle, threads)

    @property
    def name(self) -> str:
        """Name of the engine; `auto` until it is chosen."""
        return self._engine.name if self._engine else "auto"

    def run(self, batch: Batch) -> Outputs:
        """Outputs for N×H×W×3 uint8 RGB; valid until the next call."""
        if self._engine is None:
            self._engine = choose(self._bundle, batch, self._agree, self._threads)
        return self._engine.run(batch)
