"""What is known of the files that the authors of a network published."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from litescene.models import InputSpec
from litescene.training.foreign.keys import Table, Weights

IMAGENET = InputSpec((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CITYSCAPES_MEAN = (72.39239876 / 255, 82.90891754 / 255, 73.15835921 / 255)
"""Mean of Cityscapes' training pictures: blue, green, red."""
_SIZES = {"camvid": (360, 480), "cityscapes": (512, 1024)}


def no_options(weights: Weights) -> dict[str, Any]:
    """A network without options other than the number of classes."""
    return {}


@dataclass(frozen=True)
class Published:
    """How a network's official files are read.

    `table` maps module names (see `keys`). `classes` is the official weight that has one row (or,
    with `classes_axis` 1, one column) per class. `options` reads the builder's options off the
    weights. `ignored` are official modules without use in inference. `compiled_norms` are official
    batch norms of a kind that scales by |weight| + 1e-5 where others scale by the weight.
    """

    code: str
    """Where the official code is."""
    license: str
    """Of the code and, as far as the authors say, of the files."""
    table: Table
    classes: str
    classes_axis: int = 0
    classes_of: Callable[[int], int] = int
    """Number of classes by the number of rows."""
    options: Callable[[Weights], dict[str, Any]] = no_options
    boxes: bool = False
    """Whether the network detects; its classes are then COCO's if there are as many."""
    input_spec: InputSpec = field(default_factory=InputSpec)
    input_of: Mapping[str, InputSpec] = field(default_factory=dict)
    """Input convention by data set, where it differs from `input_spec`."""
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=lambda: dict(_SIZES))
    """Height and width of the training by data set."""
    size: tuple[int, int] | None = None
    """Of the training with any other data; without it the user has to say."""
    void_first: tuple[str, ...] = ()
    """Data sets for which the class of everything else is the first and not the last."""
    ignored: tuple[str, ...] = ()
    compiled_norms: tuple[str, ...] = ()
