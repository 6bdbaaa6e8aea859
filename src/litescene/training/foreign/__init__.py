"""Checkpoints of other programs: read without running anything, mapped onto our networks."""

from litescene.training.foreign.convert import (
    PUBLISHED,
    import_checkpoint,
    load_official,
    with_void,
)
from litescene.training.foreign.files import read_foreign, read_weights

__all__ = [
    "PUBLISHED",
    "import_checkpoint",
    "load_official",
    "read_foreign",
    "read_weights",
    "with_void",
]
