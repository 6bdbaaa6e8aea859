"""Networks that were pickled whole: their weights, without any of their code.

`torch.save(network)` stores objects of the author's classes. Each is read as a `ForeignModule`,
which has the class's name and the attributes that the file gives it, and can do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from litescene.core import CheckpointError
from litescene.training.foreign.unpickle import Pending

_PACKAGES = ("torch.nn.modules.", "models.", "utils.")
"""Where the classes of pickled networks are: PyTorch's own, and those of YOLOv5's descendants."""
_DEEPEST = 40
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class ForeignClass:
    """The name of a class that stands in a file."""

    name: str


@dataclass(slots=True, eq=False)
class ForeignModule(Pending):
    """An object of a foreign class: its attributes, once the file has given them."""

    name: str = ""
    attributes: dict[str, Any] = field(default_factory=dict, repr=False)


def foreign_class(module: str, name: str) -> ForeignClass | None:
    """The class, if it may belong to a pickled network."""
    full = f"{module}.{name}"
    return ForeignClass(full) if full.startswith(_PACKAGES) else None


def state_of(module: ForeignModule) -> dict[str, Tensor]:
    """Parameters and buffers by the names that PyTorch would give them.

    Raises:
        CheckpointError: an object has not what a network has, or there is no end of them.

    """
    found: dict[str, Tensor] = {}
    visited = 0
    waiting = [("", module, 0)]
    while waiting:
        prefix, part, depth = waiting.pop()
        visited += 1
        if depth > _DEEPEST:
            raise CheckpointError(f"its modules are nested deeper than {_DEEPEST}")
        if visited + len(found) > _MOST:
            raise CheckpointError(f"it has more than {_MOST:,} modules and weights")
        for kind in ("_parameters", "_buffers"):
            for name, value in _named(part, kind).items():
                if isinstance(value, Tensor):
                    found[f"{prefix}{name}"] = value
        for name, child in _named(part, "_modules").items():
            if isinstance(child, ForeignModule):
                waiting.append((f"{prefix}{name}.", child, depth + 1))
    return found


def _named(module: ForeignModule, kind: str) -> dict[Any, Any]:
    part = module.attributes.get(kind, {})
    if not isinstance(part, dict):
        raise CheckpointError(f"its {module.name[:60]} has no {kind} as networks have them")
    return part
