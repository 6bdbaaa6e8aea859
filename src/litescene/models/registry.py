"""The registry of networks: plain, small, and the source of every table about them."""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, Literal, TypeVar

from torch import nn

from litescene.core import InputError, UnknownNameError
from litescene.core.contract import TaskName

ModelTask = TaskName | Literal["backbone"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A registered network: `build(**options)` makes it, the rest describes it.

    `parameters` maps a number of classes to the expected trainable parameters at inference;
    `training_parameters` the same with training heads; `published` holds figures of the paper;
    `size` is the default input (height, width).
    """

    name: str
    task: ModelTask
    build: Callable[..., nn.Module]
    paper: str
    year: int
    size: tuple[int, int]
    parameters: Mapping[int, int] = field(default_factory=dict)
    training_parameters: Mapping[int, int] = field(default_factory=dict)
    published: Mapping[str, float | str] = field(default_factory=dict)


_VARIANTS: dict[str, Variant] = {}
Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


def register(
    name: str, *, task: ModelTask, paper: str, year: int, size: tuple[int, int], **facts: Any
) -> Callable[[Builder], Builder]:
    """Decorate a builder function to register it as `name`; warns when the name is taken."""

    def keep(build: Builder) -> Builder:
        if name in _VARIANTS:
            warnings.warn(f"model '{name}' is registered twice; the later one wins", stacklevel=2)
        _VARIANTS[name] = Variant(name, task, build, paper, year, size, **facts)
        return build

    return keep


def variant(name: str) -> Variant:
    """The registered variant `name`; `UnknownNameError` with near names otherwise."""
    if name not in _VARIANTS:
        raise UnknownNameError("model", name, _VARIANTS)
    return _VARIANTS[name]


def create_model(name: str, **options: Any) -> nn.Module:
    """Build a network with random weights, e.g. `create_model("pp_liteseg_t", num_classes=11)`.

    Raises `UnknownNameError`, and `InputError` for a number of classes below 1.
    """
    classes = options.get("num_classes", 1)
    if classes < 1:
        raise InputError(f"num_classes is {classes}; a network tells at least 1 class")
    return variant(name).build(**options)


def create_bare(name: str, **options: Any) -> nn.Module:
    """`create_model` without the training heads, if the network has any: as at inference."""
    build = variant(name).build
    headless = {"training_heads": False} if "training_heads" in signature(build).parameters else {}
    return create_model(name, **headless, **options)


def list_models(pattern: str = "*", task: ModelTask | None = None) -> list[str]:
    """Names that match a shell pattern, of one task or of all, sorted."""
    return sorted(
        v.name
        for v in _VARIANTS.values()
        if fnmatch.fnmatch(v.name, pattern) and task in (None, v.task)
    )
