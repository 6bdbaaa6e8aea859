"""Channel shuffles taken out of a graph.

A shuffle only says in which order a later layer finds the channels. A convolution may find them in
any order, if its weights are in that order too. So concatenations, shuffles and halves are not
computed but kept in mind, as where each channel is to be found, until a layer needs them: then the
pieces are put side by side as they come, and the weights follow. A unit of ShuffleNetV2 then moves
the half of the channels that it works on, and the half that it passes on stays where it was made.

A traced shuffle is a Gather of channels in a constant order, see `models.blocks.channel_shuffle`.
None stays in a bundle, for OpenVINO 2026 was seen to compute networks with such Gathers wrongly:
where a layer needs the channels in their own order, it becomes Reshape, Transpose, Reshape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from litescene.export.nodes import channel_counts, constants, copied, integer, set_nodes

Order = NDArray[np.int64]
Run = tuple[str, int, int]
"""Channels of a tensor, from the first to before the last."""
_ALIKE = {
    *("Relu", "Sigmoid", "HardSwish", "LeakyRelu", "Clip", "MaxPool", "AveragePool"),
    *("GlobalAveragePool", "Resize", "Pad"),
}
"""Operators that treat every channel by itself and all alike; no network here pads channels."""
_TURN = [0, 2, 1, 3, 4]
"""How the axes of N×groups×C/groups×H×W change places in a shuffle."""


@dataclass(frozen=True, slots=True)
class Unshuffled:
    """A graph without shuffles."""

    model: Any
    orders: dict[int, Order]
    """Which channel stands at each place of the input of a convolution, where that has changed, by
    the convolution's number in the graph. A depthwise one has its kernels in that order."""


class _OrderError(Exception):
    """A layer needs the channels in their own order."""


def has_shuffles(graph: Any) -> bool:
    """Whether an `onnx.GraphProto` computes channel shuffles."""
    known = constants(graph)
    return any(_is_shuffle(node, known) or _turns(node) for node in graph.node)


def without_shuffles(model: Any) -> Unshuffled:
    """The graph with its shuffles taken into the weights of the convolutions behind them.

    Args:
        model: a traced `onnx.ModelProto` whose weights are stored; it is not changed.

    Returns:
        A graph that computes the same up to the order of sums. Where a layer other than a
        convolution needs the channels in their own order, all shuffles are computed.

    """
    if not has_shuffles(model.graph):
        return Unshuffled(model, {})
    try:
        return _Rewriting(model).unshuffled()
    except _OrderError:
        return Unshuffled(_spelt_out(model), {})


def _turns(node: Any) -> bool:
    return node.op_type == "Transpose" and any(list(a.ints) == _TURN for a in node.attribute)


def _is_shuffle(node: Any, known: dict[str, NDArray[Any]]) -> bool:
    """Whether a node interleaves groups of channels: 0, C/g, 2C/g ..., 1, 1 + C/g ... for g."""
    if node.op_type != "Gather" or integer(node, "axis", 0) != 1:
        return False
    order = known.get(node.input[1])
    if order is None or order.ndim != 1 or len(order) < 4:
        return False
    within = max(int(order[1]), 1)
    if len(order) % within:
        return False
    return np.array_equal(order, np.arange(len(order)).reshape(-1, within).T.ravel())


def _treats_alike(node: Any, known: dict[str, NDArray[Any]]) -> bool:
    """Whether what a node does to a channel does not depend on which one it is."""
    if node.op_type == "ReduceMean":
        axes = next((list(a.ints) for a in node.attribute if a.name == "axes"), [])
    elif node.op_type == "Slice" and len(node.input) > 3 and node.input[3] in known:
        axes = known[node.input[3]].tolist()
    else:
        return node.op_type in _ALIKE
    return bool(axes) and set(axes) <= {2, 3}


@dataclass(frozen=True, slots=True)
class _Map:
    """Where each channel of a map is found: in which tensor of the graph, at which place."""

    tensors: tuple[str, ...]
    places: Order

    def taken(self, order: Order) -> _Map:
        """The map of these channels, in this order."""
        return _Map(tuple(self.tensors[i] for i in order), self.places[order])

    def as_runs(self) -> tuple[tuple[Run, ...], Order]:
        """Its channels tensor by tensor, as they come there, and which of its own each is."""
        first = {name: i for i, name in reversed(list(enumerate(self.tensors)))}
        rank = np.array([first[name] for name in self.tensors])
        order = np.lexsort((self.places, rank)).astype(np.int64)
        runs: list[Run] = []
        for channel in order:
            name, place = self.tensors[channel], int(self.places[channel])
            if runs and runs[-1][0] == name and runs[-1][2] == place:
                runs[-1] = (name, runs[-1][1], place + 1)
            else:
                runs.append((name, place, place + 1))
        return tuple(runs), order


@dataclass(slots=True)
class _Rewriting:
    """A graph on its way to one without shuffles."""

    source: Any
    constants: dict[str, NDArray[Any]] = field(init=False)
    counts: dict[str, int] = field(init=False)
    """Channels of the tensors."""
    maps: dict[str, _Map] = field(default_factory=dict)
    """What is not computed, or whose channels are in another order."""
    joins: dict[tuple[Run, ...], str] = field(default_factory=dict)
    steps: list[Any] = field(default_factory=list)
    """Nodes, and between them the runs that are joined."""
    orders: dict[int, Order] = field(default_factory=dict)
    changed: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Weights in their new order."""
    convolutions: int = 0

    def __post_init__(self) -> None:
        self.constants = constants(self.source.graph)
        self.counts = channel_counts(self.source)

    def unshuffled(self) -> Unshuffled:
        """The new graph."""
        for node in self.source.graph.node:
            lazy = self._lazily(node)
            if lazy is not None:
                self.maps[node.output[0]] = lazy
            elif node.op_type == "Conv":
                self._convolution(node)
            else:
                self._other(node)
        for output in self.source.graph.output:
            if output.name in self.maps:
                raise _OrderError(output.name)
        return Unshuffled(self._written(), self.orders)

    def _of(self, name: str) -> _Map | None:
        if name in self.maps:
            return self.maps[name]
        count = self.counts.get(name)
        return None if count is None else _Map((name,) * count, np.arange(count))

    def _lazily(self, node: Any) -> _Map | None:
        """What a node gives, if that is channels of others."""
        if node.op_type == "Concat" and integer(node, "axis", 0) == 1:
            parts = [self._of(name) for name in node.input]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            tensors = tuple(name for part in known for name in part.tensors)
            return _Map(tensors, np.concatenate([part.places for part in known]))
        if _is_shuffle(node, self.constants):
            before = self._of(node.input[0])
            return None if before is None else before.taken(self.constants[node.input[1]])
        if node.op_type == "Slice" and len(node.input) >= 4:
            before, given = self._of(node.input[0]), [self.constants.get(n) for n in node.input[1:]]
            if before is None or any(g is None or g.size != 1 for g in given):
                return None
            start, stop, axis, *step = (int(g.item()) for g in given if g is not None)
            if axis != 1 or step not in ([], [1]):
                return None
            return before.taken(np.arange(len(before.places))[start:stop])
        return None

    def _joined(self, name: str) -> tuple[str, Order]:
        """A tensor with the channels of a map, and which one stands at each place."""
        runs, order = self.maps[name].as_runs()
        only = runs[0]
        if len(runs) == 1 and only[1:] == (0, self.counts.get(only[0])):
            return only[0], order
        if runs not in self.joins:
            self.joins[runs] = name
            self.counts[name] = len(order)
            self.steps.append((name, runs))
        return self.joins[runs], order

    def _convolution(self, node: Any) -> None:
        number, self.convolutions = self.convolutions, self.convolutions + 1
        name = node.input[0]
        if name not in self.maps:
            self.steps.append(node)
            return
        found, order = self._joined(name)
        new = copied(node)
        new.input[0] = found
        if (order != np.arange(len(order))).any():
            weight = self.constants[node.input[1]]
            groups = integer(node, "group", 1)
            if groups == 1:
                self._give(new, 1, weight[:, order])
            elif groups == len(order) == len(weight):
                self._give(new, 1, weight[order])
                if len(node.input) > 2:
                    self._give(new, 2, self.constants[node.input[2]][order])
                self._reordered(node.output[0], order)
            else:
                raise _OrderError(node.name)
            self.orders[number] = order
        self.steps.append(new)

    def _other(self, node: Any) -> None:
        new = copied(node)
        alike = _treats_alike(node, self.constants)
        before = self._of(node.input[0]) if alike else None
        if before is not None:  # also where the inference loses it, behind sizes that are open
            self.counts[node.output[0]] = len(before.places)
        for index, name in enumerate(node.input):
            if name not in self.maps:
                continue
            new.input[index], order = self._joined(name)
            if node.op_type == "Shape" or (order == np.arange(len(order))).all():
                continue
            if index or not alike:
                raise _OrderError(node.name)
            self._reordered(node.output[0], order)
        self.steps.append(new)

    def _give(self, node: Any, index: int, value: NDArray[Any]) -> None:
        name = f"{node.input[index]}.{node.output[0]}"
        self.changed[name] = np.ascontiguousarray(value)
        node.input[index] = name

    def _reordered(self, output: str, order: Order) -> None:
        """Keep in mind that channel `order[i]` of an output stands at place i."""
        self.counts[output] = len(order)
        self.maps[output] = _Map((output,) * len(order), np.argsort(order))

    def _written(self) -> Any:
        copy = onnx.ModelProto()
        copy.CopyFrom(self.source)
        graph = copy.graph
        for name, value in self.changed.items():
            graph.initializer.append(numpy_helper.from_array(value, name))
        set_nodes(graph, list(self._nodes(graph)))
        del graph.value_info[:]
        onnx.checker.check_model(copy)
        return copy

    def _nodes(self, graph: Any) -> Iterator[Any]:
        """The nodes, and those that cut tensors into pieces and join them."""
        cuts = self._cuts()
        pieces: dict[str, list[str]] = {}
        for step in self.steps:
            if not isinstance(step, tuple):
                yield step
                continue
            name, runs = step
            parts: list[str] = []
            for tensor, start, stop in runs:
                places = cuts[tensor]
                if tensor not in pieces and len(places) > 2:
                    pieces[tensor] = [f"{tensor}.{place}" for place in places[:-1]]
                    sizes = numpy_helper.from_array(np.diff(places), f"{tensor}.pieces")
                    graph.initializer.append(sizes)
                    yield helper.make_node(
                        "Split", [tensor, sizes.name], pieces[tensor], f"{tensor}.split", axis=1
                    )
                whole = pieces.get(tensor, [tensor])
                parts += whole[places.index(start) : places.index(stop)]
            yield helper.make_node("Concat", parts, [name], f"{name}.joined", axis=1)

    def _cuts(self) -> dict[str, list[int]]:
        """Where tensors are cut, their ends among them."""
        cuts: dict[str, set[int]] = {}
        for step in self.steps:
            for tensor, start, stop in step[1] if isinstance(step, tuple) else ():
                cuts.setdefault(tensor, {0, self.counts[tensor]}).update((start, stop))
        return {tensor: sorted(places) for tensor, places in cuts.items()}


def _spelt_out(model: Any) -> Any:
    """The graph with every shuffle as Reshape, Transpose, Reshape, for any size."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph, known = copy.graph, constants(model.graph)
    nodes: list[Any] = []
    for node in graph.node:
        if _is_shuffle(node, known):
            nodes += _steps_of_shuffle(graph, node, known[node.input[1]])
        else:
            nodes.append(node)
    set_nodes(graph, nodes)
    onnx.checker.check_model(copy)
    return copy


def _steps_of_shuffle(graph: Any, node: Any, order: Order) -> list[Any]:
    within = int(order[1])
    groups = len(order) // within
    x, (y,) = node.input[0], node.output
    inner = numpy_helper.from_array(np.array([groups, within], np.int64), f"{y}.groups")
    graph.initializer.append(inner)
    steps = [
        helper.make_node("Shape", [x], [f"{y}.batch"], start=0, end=1),
        helper.make_node("Shape", [x], [f"{y}.sides"], start=2),
        helper.make_node("Concat", [f"{y}.batch", inner.name, f"{y}.sides"], [f"{y}.in"], axis=0),
        helper.make_node("Shape", [x], [f"{y}.out"]),
        helper.make_node("Reshape", [x, f"{y}.in"], [f"{y}.apart"]),
        helper.make_node("Transpose", [f"{y}.apart"], [f"{y}.turned"], perm=_TURN),
        helper.make_node("Reshape", [f"{y}.turned", f"{y}.out"], [y]),
    ]
    for step in steps:
        step.name = f"{step.output[0]}.{step.op_type}"
    return steps
