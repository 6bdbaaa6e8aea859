"""A reader of pickles that builds plain values and runs nothing.

A pickle is a program for a small stack machine. Python's own `pickle.Unpickler` looks up any name,
calls it and sets attributes; even with a `find_class` of one's own it still calls `__setstate__`,
writes into `__dict__`, and reserves as much memory as a line of the file asks for. So this is
another machine for the same language, with four doors to the outside, all of them in `Values`:
what a name means, what an object of a named class is, what a stored object is finished with, and
what a reference into the rest of the file is. A name means nothing unless `Values` knows it, and
then it is a constructor of ours or a mere name. The standard library's `pickletools` parses the
arguments of instructions; those that no file of weights needs are refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Protocol

from litescene.core import CheckpointError

_LITERALS = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "BINUNICODE8"}
    | {"SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "BINBYTES8"}
    | {"SHORT_BINBYTES", "BYTEARRAY8"}
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_IGNORED = frozenset({"PROTO", "FRAME", "STOP"})
_PUTS = frozenset({"BINPUT", "LONG_BINPUT", "MEMOIZE"})
_GETS = frozenset({"BINGET", "LONG_BINGET"})
_DAMAGE = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)
_LONGEST = 128
"""Bits of a number; the longest that such files need is the magic number of old ones, of 77."""
_KEYS = (str, int, float)
"""Types of keys of dictionaries; the hash of a deeply nested tuple would overflow the stack."""


@dataclass(frozen=True, slots=True)
class Constructor:
    """What a known name of the file means: a function of ours."""

    name: str
    make: Callable[..., Any]


@dataclass(slots=True, eq=False)
class Pending:
    """A value that a later instruction finishes; `places` are where it is remembered."""

    places: list[int] = field(default_factory=list)


class Values(Protocol):
    """What a pickle may build beyond numbers, text, lists, tuples and dictionaries.

    Each method raises `CheckpointError` for what it refuses; `TypeError`, `ValueError` and the like
    count as damage.
    """

    def named(self, module: str, name: str) -> object:
        """The meaning of a global name."""
        ...

    def instance(self, target: object, arguments: object) -> object:
        """What stands for an object of the class `target`."""
        ...

    def finish(self, target: object, state: object) -> object:
        """`target` with its state; what it returns takes the place of a `Pending` target."""
        ...

    def referred(self, reference: object) -> object:
        """What a persistent reference into the rest of the file stands for."""
        ...


def unpickle(stream: BytesIO, values: Values) -> Any:
    """The value of the pickle that begins at the stream's position, which moves behind it.

    The stream holds all of its bytes in memory, so that a length that the file merely claims
    reserves none.

    Raises:
        CheckpointError: the pickle wants something that is not allowed, or is damaged.

    """
    machine = _Machine(values, stream.getbuffer().nbytes)
    try:
        for name, argument in _instructions(stream):
            machine.step(name, argument)
        (value,) = machine.stack
    except _DAMAGE as error:
        raise CheckpointError(f"it is damaged or cut off ({_short(str(error))})") from error
    return value


class _Machine:
    def __init__(self, values: Values, size: int) -> None:
        self.values = values
        self.copies = size
        """Items that constructors may still copy; each item takes a byte of the file at least."""
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            if isinstance(argument, int) and argument.bit_length() > _LONGEST:
                raise ValueError(f"a number of {argument.bit_length()} bits")
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _PUTS:
            self._remember(len(self.memo) if argument is None else argument)
        elif name in _GETS:
            self.stack.append(self.memo[argument])
        elif name in _TUPLES:
            self.stack.append(tuple(self._last(_TUPLES[name])))
        elif name not in _IGNORED:
            _STEPS[name](self, argument)

    def _last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("a value is missing")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        return self._last(len(self.stack) - start) if len(self.stack) > start else []

    def _remember(self, index: int) -> None:
        top = self.stack[-1]
        if isinstance(top, Pending):
            top.places.append(index)
        self.memo[index] = top

    def mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def empty_dict(self, _: Any) -> None:
        self.stack.append({})

    def empty_list(self, _: Any) -> None:
        self.stack.append([])

    def tuple_since_mark(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def append(self, _: Any) -> None:
        self._extend(self._last(1))

    def appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise CheckpointError(f"it appends to a {type(target).__name__}, which is refused")
        target.extend(items)

    def set_item(self, _: Any) -> None:
        self._update(self._last(2))

    def set_items(self, _: Any) -> None:
        self._update(self._since_mark())

    def _update(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict:
            raise CheckpointError(f"it sets items of a {type(target).__name__}, which is refused")
        target.update(keyed(zip(flat[::2], flat[1::2], strict=True)))

    def global_name(self, argument: tuple[str, str]) -> None:
        self._push_named(*argument)

    def stack_global(self, _: Any) -> None:
        self._push_named(*self._last(2))

    def _push_named(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise TypeError("a name that is no text")
        self.stack.append(self.values.named(module, name))

    def reduce(self, _: Any) -> None:
        target, arguments = self._last(2)
        if not isinstance(target, Constructor) or type(arguments) is not tuple:
            raise CheckpointError(f"it calls a {type(target).__name__}, which is refused")
        self.copies -= sum(len(item) for item in arguments if isinstance(item, (list, tuple, dict)))
        if self.copies < 0:
            raise CheckpointError("it asks for more memory than it has bytes")
        try:
            self.stack.append(target.make(*arguments))
        except _DAMAGE as error:
            raise CheckpointError(
                f"it gives {target.name} values that do not fit ({_short(str(error))})"
            ) from error

    def instance(self, _: Any) -> None:
        target, arguments = self._last(2)
        self.stack.append(self.values.instance(target, arguments))

    def build(self, _: Any) -> None:
        target, state = self._last(2)
        built = self.values.finish(target, state)
        if isinstance(target, Pending):
            for index in target.places:
                if self.memo[index] is target:
                    self.memo[index] = built
        self.stack.append(built)

    def reference(self, _: Any) -> None:
        self.stack.append(self.values.referred(self._last(1)[0]))


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "EMPTY_DICT": _Machine.empty_dict,
    "EMPTY_LIST": _Machine.empty_list,
    "TUPLE": _Machine.tuple_since_mark,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.global_name,
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.instance,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.reference,
}


_OPCODES = {opcode.code: opcode for opcode in pickletools.opcodes}
_ALLOWED = {*_LITERALS, *_CONSTANTS, *_PUTS, *_GETS, *_TUPLES, *_IGNORED, *_STEPS}


def _instructions(stream: BytesIO) -> Iterator[tuple[str, Any]]:
    """Names and arguments of the instructions, to the end of one pickle."""
    name = ""
    while name != "STOP":
        code = stream.read(1)
        opcode = _OPCODES.get(code.decode("latin-1"))
        if opcode is None:
            raise ValueError(f"no instruction {code!r}")
        name = opcode.name
        if name not in _ALLOWED:
            raise CheckpointError(f"it uses the pickle instruction {name}, which is refused")
        if name == "GLOBAL":  # read here, as pickletools would take a backslash for an escape
            yield name, (_line(stream), _line(stream))
        else:
            yield name, None if opcode.arg is None else opcode.arg.reader(stream)


def _line(stream: BytesIO) -> str:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise ValueError("a line without an end")
    return line[:-1].decode("utf-8")


def keyed(pairs: Any) -> dict[Any, Any]:
    """A dictionary of pairs whose keys are text or numbers."""
    found = {}
    for key, value in pairs:
        if not isinstance(key, _KEYS):
            raise TypeError(f"a {type(key).__name__} as a key")
        found[key] = value
    return found


def refused_name(module: str, name: str) -> CheckpointError:
    """The error for a global name that means nothing to us."""
    return CheckpointError(
        f"it asks for {_short(f'{module}.{name}')}, which is none of the tensors and plain "
        "containers that a file of weights needs; nothing of it was run"
    )


def _short(text: str) -> str:
    """On one line, printable, and no longer than a line."""
    return text.encode("unicode_escape").decode("ascii")[:100]
