"""Ranges that tensors share, so that values move between them without another scale.

A concatenation of integers is a copy where all of its parts and its result have one scale, and a
multiplication of every value where they do not. Parts that hold no negative value share with each
other only: the zero of a wider range would lie above the least integer, and ONNX Runtime leaves
rectifying to that least integer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from litescene.export.nodes import integer

Range = tuple[float, float]
"""Least and largest value."""
_MOVING = {"Split", "Slice", "Transpose", "Reshape", "MaxPool", "Resize"}


def shared_ranges(graph: Any, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """The widest of the ranges of tensors between which values only move.

    Args:
        graph: an `onnx.GraphProto`.
        ranges: least and largest value by tensor.

    Returns:
        The same tensors with ranges that hold theirs.

    """
    leader = {name: name for name in ranges}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for one, other in _ties(graph, ranges):
        leader[find(one)] = find(other)
    found: dict[str, Range] = {}
    for name, (low, high) in ranges.items():
        before = found.get(find(name), (low, high))
        found[find(name)] = (min(low, before[0]), max(high, before[1]))
    return {name: found[find(name)] for name in ranges}


def _ties(graph: Any, ranges: Mapping[str, Range]) -> Iterator[tuple[str, str]]:
    for node in graph.node:
        if node.op_type == "Concat" and integer(node, "axis", 0) == 1:
            tied = [node.output[0], *node.input]
            signed = _signed(ranges, node.output[0])
            tied = [name for name in tied if _signed(ranges, name) == signed]
        elif node.op_type in _MOVING:
            tied = [node.input[0], *node.output]
        else:
            continue
        known = [name for name in tied if name in ranges]
        yield from itertools.pairwise(known)


def _signed(ranges: Mapping[str, Range], name: str) -> bool:
    return name in ranges and ranges[name][0] < 0.0
