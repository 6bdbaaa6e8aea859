"""From the names of official weights to ours, by tables of modules.

A table maps the official name of each module that has weights to the name of ours. `#` stands for a
number, and the numbers of both sides are the same, in their order:

    {"encoder.level2.#.c1.conv": "encoder.level2.blocks.#.reduce"}

The last part of a weight's name (`weight`, `bias`, `running_mean`, `running_var`) is the same on
both sides; Paddle's `_mean` and `_variance` are the running ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from litescene.core import CheckpointError

Table = Mapping[str, str]
Weights = Mapping[str, Tensor]

CONV_NORM = {"conv": "0", "bn": "1"}
"""A convolution and its batch norm, as most codes name them, to `ConvNormAct`."""
CONV_NORM_ACT = {**CONV_NORM, "act": "2"}
NORM_ACT = {"bn": "0", "act": "1"}

_LEAVES = {"_mean": "running_mean", "_variance": "running_var"}
_COUNTER = "num_batches_tracked"
"""Steps that a batch norm has seen: not in older files, and of no use after training."""
_SHOWN = 4


def within(official: str, ours: str, table: Table) -> dict[str, str]:
    """The table of a part of a network, put where the part is; an empty name is the part itself."""
    return {_joined(official, o): _joined(ours, m) for o, m in table.items()}


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


def renamed(
    weights: Weights,
    table: Table,
    wanted: Weights,
    ignored: Iterable[str] = (),
    change: Callable[[str, Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """Official weights under our names, as many and of the shapes that `wanted` has.

    Args:
        weights: by official name.
        table: see above.
        wanted: our network's state.
        ignored: official modules (with all below them) that our network does without.
        change: makes a weight, given with its official name, what our network computes with; it
            is asked once all have their places and shapes.

    Raises:
        CheckpointError: a weight has no place in our network, one of ours gets none, or a shape
            differs; the message names the first of each.

    """
    rules = [(_pattern(template), ours) for template, ours in table.items()]
    skipped = [re.compile(_pattern(name).pattern + r"(\..+)?") for name in ignored]
    found: dict[str, Tensor] = {}
    official: dict[str, str] = {}
    strange: list[str] = []
    for name, value in weights.items():
        module, _, leaf = name.rpartition(".")
        if leaf == _COUNTER or any(s.fullmatch(name) or s.fullmatch(module) for s in skipped):
            continue
        ours = f"{_translated(module, rules)}.{_LEAVES.get(leaf, leaf)}"
        if ours in wanted:
            found[ours], official[ours] = value, name
        else:
            strange.append(name)
    counters = {n: torch.zeros_like(v) for n, v in wanted.items() if n.endswith(_COUNTER)}
    found = {**counters, **found}
    _require_all(found, wanted, strange)
    if change is not None:
        found |= {ours: change(name, found[ours]) for ours, name in official.items()}
    return {name: found[name].to(value.dtype).contiguous() for name, value in wanted.items()}


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.escape(template).replace(r"\#", r"(\d+)"))


def _translated(module: str, rules: list[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, ours in rules:
        match = pattern.fullmatch(module)
        if match is not None:
            numbers = iter(match.groups())
            return re.sub("#", lambda _: next(numbers), ours)  # noqa: B023 - used at once
    return None


def _require_all(found: Weights, wanted: Weights, strange: list[str]) -> None:
    absent = [name for name in wanted if name not in found]
    misshapen = [
        f"{name} is {tuple(found[name].shape)}, expected {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in found and found[name].shape != value.shape
    ]
    problems = [
        f"{what} {_listed(names)}"
        for what, names in (
            ("it has no place for", strange),
            ("it finds nothing for", absent),
            ("shapes differ:", misshapen),
        )
        if names
    ]
    if problems:
        raise CheckpointError(f"the weights do not fit this network: {'; '.join(problems)}")


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
