"""The exception tree: everything litescene raises on purpose has one root.

    LitesceneError
    ├── InputError            the user's mistake: exit code 2
    │   ├── SourceError       a video, camera, folder or picture that cannot be read
    │   ├── CameraError       a camera specification that is wrong or does not fit
    │   ├── BundleError       a bundle without metadata, with a wrong digest or of another task
    │   ├── DataError         a data set that is missing, malformed or empty
    │   │   └── AbsentSplitError  a data set of which there is no such split
    │   ├── RecipeError       a training recipe with unknown keys or values
    │   ├── CheckpointError   a checkpoint that is damaged or belongs to another network
    │   ├── UnknownNameError  a model, engine or format that does not exist
    │   ├── OperatorError     tensors or numbers that an operator cannot take; a ValueError too
    │   └── OutputError       results that cannot be written (full disk, no permission)
    ├── MissingExtraError     an optional dependency that is not installed: exit code 2
    ├── ParityError           an export whose outputs differ from the trained network
    └── DivergedError         a training whose loss is no longer finite

A message says what was given, what was expected and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LitesceneError(Exception):
    """Root of every error that litescene raises on purpose."""

    exit_code = 1


class InputError(LitesceneError):
    """Something the user gave is wrong."""

    exit_code = 2


class SourceError(InputError):
    """A video, camera, folder or picture cannot be read."""


class CameraError(InputError):
    """A camera specification is wrong or does not fit the pictures."""


class BundleError(InputError):
    """A bundle has no metadata, a wrong digest, or does another task."""


class DataError(InputError):
    """A data set is missing, malformed or empty."""


class AbsentSplitError(DataError):
    """A data set has no such split, or this copy of it is without it; nothing is damaged."""


class RecipeError(InputError):
    """A training recipe has unknown keys or values."""


class CheckpointError(InputError):
    """A checkpoint is damaged or belongs to another network."""


class OperatorError(InputError, ValueError):
    """An operator was given tensors or numbers that it cannot take; the message names shapes."""


class OutputError(InputError):
    """Results cannot be written."""


class UnknownNameError(InputError):
    """A name that is not in a registry; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        hint = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(names)}"
        super().__init__(f"there is no {kind} '{name}'; {hint}")


class MissingExtraError(LitesceneError):
    """An optional dependency is not installed."""

    exit_code = 2

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an extra: pip install 'litescene[{extra}]'")


class ParityError(LitesceneError):
    """An exported network does not compute what the trained one computes."""


class DivergedError(LitesceneError):
    """The loss of a training is no longer finite."""
