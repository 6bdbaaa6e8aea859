"""What a foreign checkpoint may hold: tensors, NumPy arrays, plain containers, bare modules.

All names of other libraries that appear in such files are here, each with a constructor of ours.
Sizes, strides and offsets are checked against the bytes that are there, and nothing that a file
asks for takes more memory than the file has bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from litescene.core import CheckpointError
from litescene.training.foreign.modules import ForeignClass, ForeignModule, foreign_class
from litescene.training.foreign.unpickle import Constructor, Pending, keyed, refused_name

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_ARRAYS = {
    "f8": torch.float64,
    "f4": torch.float32,
    "f2": torch.float16,
    "i8": torch.int64,
    "i4": torch.int32,
    "i2": torch.int16,
    "i1": torch.int8,
    "u1": torch.uint8,
    "b1": torch.bool,
}
_LONGEST_SIDE = 2**31
_MOST_NUMBERS = 2**48


@dataclass(frozen=True, slots=True)
class Storage:
    """The numbers behind tensors: `buffer` is their memory, `flat` the same as a tensor."""

    buffer: bytearray
    flat: Tensor

    def fill(self, data: bytes) -> None:
        """Put the bytes of the file into the memory; their number must be right."""
        if len(data) != len(self.buffer):
            raise CheckpointError(f"it is cut off: {len(data)} of {len(self.buffer)} bytes")
        check_truths(data, self.flat.dtype)
        self.buffer[:] = data


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Element type of a NumPy array."""

    dtype: torch.dtype


@dataclass(slots=True, eq=False)
class PendingArray(Pending):
    """A NumPy array before its shape and bytes."""


class Budget:
    """So many bytes may be made from one file."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, size: int) -> None:
        """Count `size` bytes; more than are left is a `CheckpointError`."""
        if size > self.left:
            raise CheckpointError("it asks for more numbers than the file can hold")
        self.left -= size


def _no_storage(reference: object) -> Storage:
    raise CheckpointError("it refers to storages, but has none")


class TensorValues:
    """The allow-list; `storage` makes a storage for a reference, `size` is that of the file."""

    def __init__(self, size: int, storage: Callable[[object], object] = _no_storage) -> None:
        self.budget = Budget(4 * size)  # text to bytes to array is three copies of one number
        self.referred = storage
        numpy_cores = ("numpy.core", "numpy._core")
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): _ordered_dict,
            ("builtins", "tuple"): _tuple,
            ("__builtin__", "tuple"): _tuple,
            ("builtins", "set"): _tuple,
            ("__builtin__", "set"): _tuple,
            ("builtins", "bytes"): _no_bytes,
            ("__builtin__", "bytes"): _no_bytes,
            ("torch", "Size"): _tuple,
            ("torch._utils", "_rebuild_tensor"): _tensor,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor_v2,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            ("_codecs", "encode"): self._encoded,
            ("numpy", "dtype"): _array_type,
            ("numpy", "ndarray"): _never,
        }
        for core in numpy_cores:
            known[core + ".multiarray", "_reconstruct"] = _begun_array
            known[core + ".multiarray", "scalar"] = self._scalar
            known[core + ".numeric", "_frombuffer"] = self._array_of
        self._known: dict[tuple[str, str], object] = {
            key: Constructor(".".join(key), make) for key, make in known.items()
        }
        self._known |= {("torch", name): dtype for name, dtype in _STORAGES.items()}

    def named(self, module: str, name: str) -> object:
        """A constructor of ours, the element type of a storage, or a network's class as a name."""
        meaning = self._known.get((module, name)) or foreign_class(module, name)
        if meaning is None:
            raise refused_name(module, name)
        return meaning

    def instance(self, target: object, arguments: object) -> object:
        """A part of a pickled network, as its attributes alone."""
        if not isinstance(target, ForeignClass) or arguments != ():
            raise CheckpointError(
                f"it makes an instance of a {type(target).__name__}, which is refused"
            )
        return ForeignModule(name=target.name)

    def finish(self, target: object, state: object) -> object:
        """An array gets its content; an ordered dictionary's attributes are left out."""
        if isinstance(target, ForeignModule) and isinstance(state, dict):
            target.attributes = state
            return target
        if isinstance(target, PendingArray):
            _version, shape, kind, fortran, data = _fields(state, 5)
            return self._array(data, kind, shape, bool(fortran))
        if isinstance(target, ArrayType):
            if not isinstance(state, tuple) or state[1] not in ("<", "|", "="):
                raise CheckpointError("it holds numbers in another byte order than little-endian")
            return target
        # PyTorch hangs the versions of the modules onto the dictionary of their weights.
        if type(target) is dict and isinstance(state, dict) and set(state) <= {"_metadata"}:
            return target
        raise CheckpointError(f"it sets the state of a {type(target).__name__}, which is refused")

    def _encoded(self, text: str, encoding: str) -> bytes:
        """Bytes, as Python 3 writes them for Python 2."""
        if encoding not in ("latin1", "latin-1") or not isinstance(text, str):
            raise ValueError("bytes in an unknown encoding")
        self.budget.take(len(text))
        return text.encode("latin-1")

    def _scalar(self, kind: ArrayType, data: object) -> float | int | bool:
        value: float | int | bool = self._array(data, kind, (), False).item()
        return value

    def _array_of(self, data: object, kind: object, shape: object, order: object) -> Tensor:
        return self._array(data, kind, shape, order == "F")

    def _array(self, data: object, kind: object, shape: object, fortran: bool) -> Tensor:
        if isinstance(data, str):  # what Python 2 calls bytes
            data = self._encoded(data, "latin1")
        if not isinstance(kind, ArrayType) or not isinstance(data, (bytes, bytearray)):
            raise TypeError("an array without element type or bytes")
        sizes = _sizes(shape)
        if len(data) != math.prod(sizes) * kind.dtype.itemsize:
            raise ValueError(f"{len(data)} bytes for an array of {sizes}")
        self.budget.take(len(data))
        check_truths(data, kind.dtype)
        flat = flat_tensor(bytearray(data), kind.dtype)
        if fortran:
            return flat.reshape(sizes[::-1]).permute(*reversed(range(len(sizes))))
        return flat.reshape(sizes)


def check_truths(data: bytes | bytearray, dtype: torch.dtype) -> None:
    """True and false are 1 and 0; any other byte is a `CheckpointError`."""
    if dtype is torch.bool and data.strip(b"\0\1"):
        raise CheckpointError("it holds truth values that are neither 0 nor 1")


def flat_tensor(buffer: bytearray, dtype: torch.dtype) -> Tensor:
    """One-dimensional tensor over the memory of `buffer`."""
    if not buffer:
        return torch.empty(0, dtype=dtype)
    return torch.frombuffer(buffer, dtype=dtype)


def _fields(state: object, count: int) -> tuple[Any, ...]:
    if not isinstance(state, tuple) or len(state) != count:
        raise TypeError(f"a state of other than {count} values")
    return state


def _integers(values: object) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)) or any(type(v) is not int for v in values):
        raise TypeError("sizes that are no whole numbers")
    if any(not 0 <= v < _LONGEST_SIDE for v in values):
        raise ValueError("sizes out of range")
    return tuple(values)


def _sizes(values: object) -> tuple[int, ...]:
    sizes = _integers(values)
    if len(sizes) > 8:
        raise ValueError(f"{len(sizes)} dimensions")
    if math.prod(max(n, 1) for n in sizes) >= _MOST_NUMBERS:
        raise ValueError("sizes out of range")
    return sizes


def _tensor(storage: object, offset: object, size: object, stride: object) -> Tensor:
    """A view of a storage; one that leaves it, or shows a number more than once, is refused."""
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    sizes, strides, (start,) = _sizes(size), _integers(stride), _integers((offset,))
    if len(sizes) != len(strides):
        raise ValueError("as many strides as sizes")
    count = storage.flat.numel()
    last = start + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
    if math.prod(sizes) and (last >= count or math.prod(sizes) > count):
        raise ValueError(f"sizes {sizes} from {start} in a storage of {count} numbers")
    if not math.prod(sizes):
        return torch.empty(sizes, dtype=storage.flat.dtype)
    return storage.flat.as_strided(sizes, strides, start)


def _tensor_v2(
    storage: object,
    offset: object,
    size: object,
    stride: object,
    _requires_grad: object,
    _hooks: object,
    _metadata: object = None,
) -> Tensor:
    return _tensor(storage, offset, size, stride)


def _parameter(data: object, _requires_grad: object, _hooks: object) -> Tensor:
    if not isinstance(data, Tensor):
        raise TypeError("a parameter without a tensor")
    return data


def _ordered_dict(pairs: object = ()) -> dict[Any, Any]:
    if not isinstance(pairs, (list, tuple)):
        raise TypeError("pairs that are no list")
    return keyed(pairs)


def _tuple(values: object = ()) -> tuple[Any, ...]:
    if not isinstance(values, (list, tuple)):
        raise TypeError("values that are no list")
    return tuple(values)


def _no_bytes() -> bytes:
    """How Python 3 writes empty bytes for Python 2; any other bytes come as `_codecs.encode`."""
    return b""


def _array_type(kind: object, _align: object = False, _copy: object = True) -> ArrayType:
    if not isinstance(kind, str):  # the words for a nest of tuples could be without end
        raise TypeError("arrays of a type that is no text")
    name = kind.lstrip("<|=")
    if name not in _ARRAYS:
        raise ValueError(f"arrays of '{name[:20]}'")
    return ArrayType(_ARRAYS[name])


def _begun_array(_kind: object, _shape: object, _code: object) -> PendingArray:
    return PendingArray()


def _never(*_arguments: object) -> None:
    raise TypeError("an array made directly")
