"""Integers that stay integers where nothing is computed.

The quantiser puts a way to floats and back around everything. Around a node that only moves values
between tensors of one scale that way changes nothing, and not every runtime sees it: OpenVINO
computes the maps on both sides of every split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from litescene.export.nodes import constants, copied, makers, readers, set_nodes

_MOVING = {"Split", "Slice", "Concat"}


@dataclass(frozen=True, slots=True)
class _Move:
    """How a node works on integers."""

    parts: list[str]
    """What it takes instead of the same floats."""
    results: list[str]
    """What it gives."""
    same: dict[str, str]
    """Which of its results replaces an integer tensor."""


def move_integers(graph: Any) -> None:
    """Let splits, slices and concatenations of one scale work on the integers themselves.

    Args:
        graph: an `onnx.GraphProto` with QuantizeLinear and DequantizeLinear; changed in place. It
            computes the same, to the bit.

    """
    known, made, reading = constants(graph), makers(graph), readers(graph)
    outputs = {output.name for output in graph.output}
    moves: dict[str, _Move] = {}
    for node in graph.node:
        if node.op_type in _MOVING and not outputs & set(node.output):
            before = [made[name] for name in _moved(node) if name in made]
            behind = [reading.get(name, []) for name in node.output]
            complete = len(before) == len(_moved(node)) and all(behind)
            if complete and _one_scale(before, [o for some in behind for o in some], known):
                results = [some[0].output[0] for some in behind]
                same = {
                    one.output[0]: result
                    for some, result in zip(behind, results, strict=True)
                    for one in some
                }
                moves[node.output[0]] = _Move([one.input[0] for one in before], results, same)
    _apply(graph, moves)


def _moved(node: Any) -> list[str]:
    """The inputs of a node whose values it moves."""
    return list(node.input if node.op_type == "Concat" else node.input[:1])


def _one_scale(before: list[Any], behind: list[Any], known: Mapping[str, NDArray[Any]]) -> bool:
    """Whether integers become floats before a node, and behind it the same integers again."""
    kinds = [("DequantizeLinear", one) for one in before] + [("QuantizeLinear", o) for o in behind]
    if any(node.op_type != kind for kind, node in kinds):
        return False
    maps = [tuple(node.input[1:]) for _, node in kinds]
    if any(name not in known for names in maps for name in names):
        return False
    return len({tuple(known[name].tobytes() for name in names) for names in maps}) == 1


def _apply(graph: Any, moves: Mapping[str, _Move]) -> None:
    same = {name: result for move in moves.values() for name, result in move.same.items()}
    nodes = []
    for node in map(copied, graph.node):
        if node.output[0] in same:  # the way back to integers
            continue
        move = moves.get(node.output[0])
        if move is not None:
            node.input[: len(move.parts)] = move.parts
            node.output[:] = move.results
        node.input[:] = [same.get(name, name) for name in node.input]
        nodes.append(node)
    set_nodes(graph, nodes)
    del graph.value_info[:]
