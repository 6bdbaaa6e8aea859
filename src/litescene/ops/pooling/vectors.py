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
from numba import njit, types
from numba.core.datamodel import models
from numba.extending import intrinsic, lower_builtin, register_model, type_callable

WIDTH = 16

FAST: dict[str, Any] = {
    "cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract", "nsz"},
}  # fmt: skip
"""Options of every kernel."""
INLINE = FAST | {"forceinline": True}
"""Options of what is called for every vector."""

_FLAGS = ("contract", "nsz")
_FLOAT, _DOUBLE, _INT, _TRUTH = ir.FloatType(), ir.DoubleType(), ir.IntType(32), ir.IntType(1)


class _Vector(types.Type):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        super().__init__(name=name)


Floats, Ints, Truths = _Vector("floats16"), _Vector("ints16"), _Vector("truths16")
_ELEMENT = {Floats: _FLOAT, Ints: _INT, Truths: _TRUTH}
_SINGLE = {Floats: types.float32, Ints: types.int32}


def _vector(element: Any) -> Any:
    return ir.VectorType(element, WIDTH)


@register_model(_Vector)
class _Model(models.PrimitiveModel):  # type: ignore[misc]
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
    """To the first element of a contiguous array, which has to be kept (see `keep`).

    Compiled code counts the references to an array wherever it is handed on, which takes as long
    as the arithmetic; pointers are plain numbers. They are indexed from 0, without checks.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_array(signature.args[0])(context, builder, args[0]).data

    return types.CPointer(array.dtype)(array), generate


@intrinsic
def keep(_: Any, array: Any) -> Any:
    """Nothing, but until here the array is in use and not freed."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del builder, signature, args
        return context.get_dummy_value()

    return types.none(array), generate


def _place(builder: Any, start: Any, at: Any, element: Any) -> Any:
    """Pointer to `WIDTH` elements from start[at] on."""
    return builder.bitcast(builder.gep(start, [at]), _vector(element).as_pointer())


@intrinsic
def load(_: Any, start: Any, at: Any) -> Any:
    """start[at : at + 16] of float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        return builder.load(_place(builder, *args, _FLOAT), align=4)

    return Floats(start, types.int64), generate


@intrinsic
def load_apart(_: Any, start: Any, at: Any) -> Any:
    """start[at : at + 31 : 2] of float32; reads no element beyond."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del context, signature
        start, at = args
        second = builder.add(at, ir.Constant(at.type, WIDTH - 1))
        halves = [
            builder.load(_place(builder, start, place, _FLOAT), align=4) for place in (at, second)
        ]
        taken = [*range(0, WIDTH, 2), *range(WIDTH + 1, 2 * WIDTH, 2)]
        return builder.shuffle_vector(*halves, ir.Constant(_vector(_INT), taken))

    return Floats(start, types.int64), generate


@intrinsic
def store(_: Any, start: Any, at: Any, value: Any) -> Any:
    """start[at : at + 16] = value."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del signature
        builder.store(args[2], _place(builder, *args[:2], _FLOAT), align=4)
        return context.get_dummy_value()

    return types.none(start, types.int64, Floats), generate


@intrinsic
def add_to(_: Any, sums: Any, value: Any) -> Any:
    """sums[:16] += value, the sums being float64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        del signature
        place = _place(builder, args[0], ir.Constant(ir.IntType(64), 0), _DOUBLE)
        before = builder.load(place, align=8)
        wide = builder.fpext(args[1], _vector(_DOUBLE))
        builder.store(builder.fadd(before, wide), place, align=8)
        return context.get_dummy_value()

    return types.none(sums, Floats), generate


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
        return builder.call(
            builder.module.declare_intrinsic("llvm.sqrt", [_vector(_FLOAT)]), args
        )

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
