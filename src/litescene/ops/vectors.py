"""Sixteen numbers side by side as types of numba, so that kernels are vector instructions for sure.

Left to itself the compiler vectorises innermost loops alone, and keeps what they accumulate in
memory; here a whole computation stays in registers. `Floats` are sixteen float32, `Ints` as many
int32, `Truths` booleans. They know `+ - * / < > <= >= ==` (also with a single float32 or int32 on
the right), `& |`, and the functions below. They live inside compiled functions only. LLVM splits
them where the machine's registers are narrower.

Multiplications and additions may be fused, and the sign of a zero is not kept; nothing is
reassociated, and NaN and infinities stay what they are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, lower_builtin, register_model, type_callable

from litescene.core.njit import njit
from litescene.ops.flat import WIDTH as WIDTH

FAST: dict[str, Any] = {
    "cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"},
}  # fmt: skip
"""Options of every kernel. numba looks for changes in a kernel's own file alone: after one in what
it calls, delete what numba keeps (`__pycache__/*.nb*`)."""
INLINE = FAST | {"forceinline": True}
"""Options of what is called for every vector."""

_FLAGS = ("contract", "nsz")
_FLOAT, _DOUBLE, _INT, _TRUTH = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(1)


class _Vector(types.Type):
    def __init__(self, name: str) -> None:
        super().__init__(name=name)


Floats, Ints, Truths = _Vector("floats16"), _Vector("ints16"), _Vector("truths16")
_ELEMENT = {Floats: _FLOAT, Ints: _INT, Truths: _TRUTH}
_SINGLE = {Floats: types.float32, Ints: types.int32}


def _vector(element: Any) -> Any:
    return ir.VectorType(element, WIDTH)


@register_model(_Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: _Vector) -> None:
        super().__init__(manager, kind, _vector(_ELEMENT[kind]))


def _repeated(builder: Any, value: Any) -> Any:
    """A single value in every place."""
    one = ir.Constant(_INT, 0)
    undefined = ir.Constant(_vector(value.type), ir.Undefined)
    first = builder.insert_element(undefined, value, one)
    return builder.shuffle_vector(first, undefined, ir.Constant(_vector(_INT), [0] * WIDTH))


def _define(function: Any, kind: _Vector, answer: _Vector, make: Callable[..., Any]) -> None:
    """Give an operator of Python a meaning for two vectors, and for a vector and a single value."""
    single = _SINGLE.get(kind)

    @type_callable(function)
    def typed(context: Any) -> Any:
        del context

        def typer(a: Any, b: Any) -> Any:
            return answer if a == kind and (b == kind or (single and b == single)) else None

        return typer

    @lower_builtin(function, kind, kind)
    def vectors(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return make(builder, *args)

    if single:

        @lower_builtin(function, kind, single)
        def mixed(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            del context, signature
            return make(builder, args[0], _repeated(builder, args[1]))


def _floating(name: str) -> Callable[..., Any]:
    return lambda builder, a, b: getattr(builder, name)(a, b, flags=_FLAGS)


def _compared(name: str, sign: str) -> Callable[..., Any]:
    return lambda builder, a, b: getattr(builder, name)(sign, a, b)


def _whole(name: str) -> Callable[..., Any]:
    return lambda builder, a, b: getattr(builder, name)(a, b)


for _function, _name in (
    (operator.add, "fadd"), (operator.iadd, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):  # fmt: skip
    _define(_function, Floats, Floats, _floating(_name))
for _function, _name in (
    (operator.add, "add"), (operator.sub, "sub"), (operator.and_, "and_"), (operator.or_, "or_"),
    (operator.xor, "xor"), (operator.lshift, "shl"),
):  # fmt: skip
    _define(_function, Ints, Ints, _whole(_name))
for _function, _sign in (
    (operator.lt, "<"), (operator.gt, ">"), (operator.le, "<="), (operator.ge, ">="),
    (operator.eq, "=="),
):  # fmt: skip
    _define(_function, Floats, Truths, _compared("fcmp_ordered", _sign))
    _define(_function, Ints, Truths, _compared("icmp_signed", _sign))
for _function, _name in ((operator.and_, "and_"), (operator.or_, "or_")):
    _define(_function, Truths, Truths, _whole(_name))


@intrinsic
def pointer(_: Any, array: Any) -> Any:
    """To the first element of a contiguous array that was handed to the kernel.

    Compiled code counts the references to an array wherever it is handed on, which takes as long
    as the arithmetic; pointers are plain numbers. They are indexed from 0 on, without checks, and
    keep nothing alive: what a kernel allocates itself would be freed after its last use by name.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def ahead(_: Any, start: Any, count: Any) -> Any:
    """The pointer to start[count]."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return builder.gep(args[0], [args[1]])

    return start(start, types.int64), generate


def _place(builder: Any, start: Any, at: Any, element: Any) -> Any:
    """Pointer to `WIDTH` elements from start[at] on."""
    return builder.bitcast(builder.gep(start, [at]), _vector(element).as_pointer())


_STORED = {types.float32: _FLOAT, types.uint16: ir.IntType(16)}


def _as_float32(builder: Any, value: Any, single: bool) -> Any:
    """Of what was read: float32, or uint16 that are bfloat16, the upper halves of float32."""
    whole, floating = (_INT, _FLOAT) if single else (_vector(_INT), _vector(_FLOAT))
    if value.type == floating:
        return value
    half = ir.Constant(_INT, 16) if single else ir.Constant(whole, [16] * WIDTH)
    return builder.bitcast(builder.shl(builder.zext(value, whole), half), floating)


def _read(builder: Any, signature: Any, start: Any, at: Any) -> Any:
    """`WIDTH` elements as float32."""
    element = _STORED[signature.args[0].dtype]
    align = 2 if element != _FLOAT else 4
    value = builder.load(_place(builder, start, at, element), align=align)
    return _as_float32(builder, value, single=False)


@intrinsic
def load(_: Any, start: Any, at: Any) -> Any:
    """start[at : at + 16] of float32, or of uint16 that are bfloat16."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context
        return _read(builder, signature, *args)

    return Floats(start, types.int64), generate


@intrinsic
def load_one(_: Any, start: Any, at: Any) -> Any:
    """start[at] as float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return _as_float32(builder, builder.load(builder.gep(args[0], [args[1]])), single=True)

    return types.float32(start, types.int64), generate


@intrinsic
def load_apart(_: Any, start: Any, at: Any) -> Any:
    """start[at : at + 31 : 2] as `load`; reads no element beyond."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context
        start, at = args
        second = builder.add(at, ir.Constant(at.type, WIDTH - 1))
        halves = [_read(builder, signature, start, place) for place in (at, second)]
        taken = [*range(0, WIDTH, 2), *range(WIDTH + 1, 2 * WIDTH, 2)]
        return builder.shuffle_vector(*halves, ir.Constant(_vector(_INT), taken))

    return Floats(start, types.int64), generate


@intrinsic
def store(_: Any, start: Any, at: Any, value: Any) -> Any:
    """start[at : at + 16] = value."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del signature
        builder.store(args[2], _place(builder, args[0], args[1], _FLOAT), align=4)
        return context.get_dummy_value()

    return types.none(start, types.int64, Floats), generate


@intrinsic
def add_to(_: Any, sums: Any, at: Any, value: Any) -> Any:
    """sums[at : at + 16] += value, the sums being float64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del signature
        place = _place(builder, args[0], args[1], _DOUBLE)
        wide = builder.fpext(args[2], _vector(_DOUBLE))
        before = builder.load(place, align=8)
        builder.store(builder.fadd(before, wide), place, align=8)
        return context.get_dummy_value()

    return types.none(sums, types.int64, Floats), generate


@intrinsic
def all_of(_: Any, value: Any) -> Any:
    """A float32 in every place."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return _repeated(builder, args[0])

    return Floats(types.float32), generate


@intrinsic
def whole_of(_: Any, value: Any) -> Any:
    """An int32 in every place."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return _repeated(builder, args[0])

    return Ints(types.int32), generate


@intrinsic
def numbered(_: Any) -> Any:
    """0, 1, … 15."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, builder, signature, args
        return ir.Constant(_vector(_INT), list(range(WIDTH)))

    return Ints(), generate


@intrinsic
def where(_: Any, condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return builder.select(*args)

    return a(Truths, a, b), generate


@intrinsic
def bits(_: Any, value: Any) -> Any:
    """The int32 with the bits of float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return builder.bitcast(args[0], _vector(_INT))

    return Ints(Floats), generate


@intrinsic
def floats(_: Any, value: Any) -> Any:
    """The float32 with the bits of int32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return builder.bitcast(args[0], _vector(_FLOAT))

    return Floats(Ints), generate


@intrinsic
def root(_: Any, value: Any) -> Any:
    """Square roots."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        kind = ir.FunctionType(_vector(_FLOAT), [_vector(_FLOAT)])
        name = f"llvm.sqrt.v{WIDTH}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)

    return Floats(Floats), generate


def _woven(low: bool) -> Any:
    @intrinsic
    def woven(_: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            del context, signature
            half = range(WIDTH // 2) if low else range(WIDTH // 2, WIDTH)
            order = [place for i in half for place in (i, WIDTH + i)]
            return builder.shuffle_vector(*args, ir.Constant(_vector(_INT), order))

        return Floats(Floats, Floats), generate

    return woven


woven_low, woven_high = _woven(True), _woven(False)
"""a0 b0 a1 b1 … of two vectors: the first sixteen, and the others."""


def _unwoven(first: int) -> Any:
    @intrinsic
    def unwoven(_: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            del context, signature
            order = ir.Constant(_vector(_INT), list(range(first, 2 * WIDTH, 2)))
            return builder.shuffle_vector(*args, order)

        return Floats(Floats, Floats), generate

    return unwoven


evens, odds = _unwoven(0), _unwoven(1)
"""Every second of thirty-two places, from the first and from the second on."""

_SIGN, _MAGNITUDE = np.int32(-0x80000000), np.int32(0x7FFFFFFF)


@njit(**INLINE)
def magnitude(x):  # type: ignore[no-untyped-def]
    """|x|."""
    return floats(bits(x) & _MAGNITUDE)


@njit(**INLINE)
def signed_by(x, y):  # type: ignore[no-untyped-def]
    """x, negated where y is negative."""
    return floats(bits(x) ^ (bits(y) & _SIGN))


@njit(**INLINE)
def between(x, low, high):  # type: ignore[no-untyped-def]
    """x with 0 outside the places from low up to high."""
    place = numbered()
    inside = (place >= np.int32(low)) & (place < np.int32(high))
    return where(inside, x, all_of(np.float32(0)))
