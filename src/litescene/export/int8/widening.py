"""Channels added to a graph, so that kernels for integers find whole vectors of them.

The integer kernels of ONNX Runtime for depthwise convolutions work on 16 channels at a time and
fall back to slow ones where the count is not a multiple: 60 channels took five times as long as
64 (measured on an AVX-512 VNNI processor). The new channels have weights of zero wherever they are
read, so no result changes. A convolution makes them of weights of zero, a concatenation repeats
parts that it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.export.nodes import channel_counts, constants, integer, readers, replace_input

MULTIPLE = 16
_BY_ITSELF = {
    *("Relu", "LeakyRelu", "Sigmoid", "HardSigmoid", "HardSwish", "Clip"),
    *("MaxPool", "AveragePool", "GlobalAveragePool", "Resize"),
}
"""Operators that treat every channel by itself."""
Reader = tuple[Any, int]
"""A node, and at which channel of its input the new ones are put in."""


def widen(model: Any) -> None:
    """Give the inputs of depthwise convolutions a multiple of 16 channels, where that is possible.

    Args:
        model: an `onnx.ModelProto` whose weights are stored. It is changed in place and computes
            the same.

    """
    _share_joins(model.graph)
    _Widening(model).run()
    del model.graph.value_info[:]


def _share_joins(graph: Any) -> None:
    """A concatenation takes from an earlier one what both of them join."""
    joins = [n for n in graph.node if n.op_type == "Concat" and integer(n, "axis", 0) == 1]
    for place, later in enumerate(joins):
        for earlier in sorted(joins[:place], key=lambda node: -len(node.input)):
            parts, run = list(later.input), list(earlier.input)
            starts = [i for i in range(len(parts) - len(run) + 1) if parts[i : i + len(run)] == run]
            if len(run) > 1 and starts:
                parts[starts[0] : starts[0] + len(run)] = [earlier.output[0]]
                del later.input[:]
                later.input.extend(parts)


class _CannotError(Exception):
    """Channels cannot be added here."""


@dataclass(slots=True)
class _Widening:
    """A graph that gets wider, node by node."""

    model: Any
    known: dict[str, NDArray[Any]] = field(init=False)
    counts: dict[str, int] = field(init=False)
    readers: dict[str, list[Any]] = field(init=False)
    outputs: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.known = constants(self.model.graph)
        self.counts = channel_counts(self.model)
        self.readers = readers(self.model.graph)
        self.outputs = {output.name for output in self.model.graph.output}

    def run(self) -> None:
        """Go through the graph once, from its beginning."""
        for node in self.model.graph.node:
            name = node.output[0]
            count = self.counts.get(name, 0)
            missing = -count % MULTIPLE
            if not missing or not self._can_make(node):
                continue
            try:
                behind = list(self._behind(name, count, node.op_type))
                repeated = self._repeated(node, missing)
            except _CannotError:
                continue
            if len({reader.output[0] for reader, _ in behind}) < len(behind):
                continue  # reached in two ways, so the places would move
            if any(self._is_depthwise(reader) for reader, _ in behind):
                self._make(node, missing, repeated)
                for reader, at in behind:
                    self._read(reader, at, missing)

    def _can_make(self, node: Any) -> bool:
        if node.op_type == "Concat":
            return integer(node, "axis", 0) == 1 and all(n in self.counts for n in node.input)
        return self._is_plain(node)

    def _is_plain(self, node: Any) -> bool:
        return (
            node.op_type == "Conv"
            and integer(node, "group", 1) == 1
            and all(name in self.known for name in node.input[1:])
        )

    def _is_depthwise(self, node: Any) -> bool:
        if node.op_type != "Conv" or not all(name in self.known for name in node.input[1:]):
            return False
        shape = self.known[node.input[1]].shape
        return integer(node, "group", 1) == shape[0] > 1 == shape[1]

    def _behind(self, name: str, at: int, kind: str) -> Iterator[Reader]:
        """All that reads a tensor, directly or through others, until it is summed up.

        A concatenation of a convolution's channels gets its own, so that its count is right.
        """
        if name in self.outputs:
            raise _CannotError(name)
        for reader in self.readers.get(name, []):
            if self._is_plain(reader):
                yield reader, at
                continue
            before = 0
            if reader.op_type == kind == "Concat" and integer(reader, "axis", 0) == 1:
                parts = list(reader.input)
                if parts.count(name) > 1 or not all(part in self.counts for part in parts):
                    raise _CannotError(name)
                before = sum(self.counts[part] for part in parts[: parts.index(name)])
            elif reader.op_type not in _BY_ITSELF and not self._is_depthwise(reader):
                raise _CannotError(name)
            yield reader, at + before
            yield from self._behind(reader.output[0], at + before, kind)

    def _repeated(self, node: Any, missing: int) -> Sequence[str]:
        """Parts of a concatenation that have so many channels together."""
        if node.op_type != "Concat":
            return ()
        found: dict[int, tuple[str, ...]] = {0: ()}
        for name in sorted(node.input, key=lambda part: -self.counts[part]):
            for total, parts in list(found.items()):
                if total + self.counts[name] <= missing:
                    found.setdefault(total + self.counts[name], (*parts, name))
        if missing not in found:
            raise _CannotError(node.name)
        return found[missing]

    def _make(self, node: Any, missing: int, repeated: Sequence[str]) -> None:
        self.counts[node.output[0]] += missing
        if node.op_type == "Concat":
            node.input.extend(repeated)
            return
        for index in range(1, len(node.input)):
            self._insert(node, index, 0, len(self.known[node.input[index]]), missing)

    def _read(self, node: Any, at: int, missing: int) -> None:
        if self._is_plain(node):
            self._insert(node, 1, 1, at, missing)
            return
        if node.output[0] in self.counts:
            self.counts[node.output[0]] += missing
        if node.op_type == "Conv":
            for index in range(1, len(node.input)):
                self._insert(node, index, 0, at, missing)
            for attribute in node.attribute:
                if attribute.name == "group":
                    attribute.i += missing

    def _insert(self, node: Any, index: int, axis: int, at: int, missing: int) -> None:
        value = self.known[node.input[index]]
        wider = np.insert(value, [at] * missing, 0, axis)
        self.known[replace_input(self.model.graph, node, index, wider)] = wider
