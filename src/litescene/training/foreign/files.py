"""The file formats in which others publish weights.

    format   how it begins            written by
    zip      PK, 3, 4                 torch.save since PyTorch 1.6
    legacy   a pickled magic number   torch.save before, or with the zip format switched off
    pickle   a pickled dictionary     Paddle (`.pdparams`): names to NumPy arrays

A zip holds a pickle (`data.pkl`) and one file per storage (`data/KEY`). The legacy format is a row
of pickles (magic number, version, machine, the value, the keys of the storages), then for each key
the number of elements (8 bytes) and the elements. Files from before PyTorch 0.1.10, which are tar
archives, are refused.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from litescene.core import CheckpointError
from litescene.training.foreign.modules import ForeignClass, ForeignModule, state_of
from litescene.training.foreign.unpickle import unpickle
from litescene.training.foreign.values import Budget, Storage, TensorValues, flat_tensor

_ZIP = b"PK\x03\x04"
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
    OSError,
)
"""What `zipfile` raises for damaged bytes."""
_PICKLE = b"\x80"
_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_PADDLE_NAMES = "StructuredToParameterName@@"
_WEIGHTS = (
    *("ema", "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights"),
)
"""Under which of its keys a file that holds more than weights has them, the first that fits."""
_DEVICES = re.compile(r"(?:module\.)*")
"""What training on several devices puts before the names."""


def read_foreign(path: Path) -> Any:
    """The value in a file of `torch.save` or Paddle: tensors in plain containers.

    Objects of a network's classes are there as `modules.ForeignModule`.

    Raises:
        CheckpointError: there is no such file, it is damaged or of an unknown format, or it asks
            for anything but tensors and plain containers. Nothing of a file is ever run.

    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    try:
        if data.startswith(_ZIP):
            return _read_zip(data)
        if data.startswith(_PICKLE):
            return _read_pickles(data)
    except CheckpointError as error:
        raise CheckpointError(f"{path} was not read: {error}") from error
    raise CheckpointError(
        f"{path} is no file of weights that torch.save (0.1.10 or newer) or Paddle wrote"
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by their official names from a foreign file (see `read_foreign`).

    The file is a dictionary of tensors or a network, or has one in it; `module.`, which training on
    several devices puts before each name, is left out.
    """
    return read_network(path)[0]


def read_network(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """`read_weights`, and the names of the classes, where a pickled network says them."""
    found = read_foreign(path)
    candidates = [found]
    if isinstance(found, dict):
        candidates += [found[key] for key in _WEIGHTS if key in found]
    weights, holder = next(
        ((w, part) for part in candidates if (w := _as_weights(part)) is not None), (None, None)
    )
    if weights is None:
        held = ", ".join(map(_word, found)) if isinstance(found, dict) else type(found).__name__
        raise CheckpointError(f"{path} holds no dictionary of weights, but {held[:200]}")
    before = min(len(name) - len(_DEVICES.sub("", name, count=1)) for name in weights)
    return {name[before:]: value for name, value in weights.items()}, _names_of(holder)


def _word(value: object) -> str:
    """Text and numbers as they are, of all else the type: its words could be without end."""
    short = isinstance(value, (str, float)) or (isinstance(value, int) and abs(value) < 1 << 63)
    return str(value) if short else type(value).__name__


def _names_of(holder: object) -> tuple[str, ...]:
    """The names of the classes that a pickled network has as its attribute."""
    names = holder.attributes.get("names") if isinstance(holder, ForeignModule) else None
    if isinstance(names, dict) and all(isinstance(key, int) for key in names):
        names = [names[key] for key in sorted(names)]
    return tuple(map(_word, names)) if isinstance(names, list) else ()


def _as_weights(value: object) -> dict[str, Tensor] | None:
    if isinstance(value, ForeignModule):
        return state_of(value) or None
    if not isinstance(value, dict):
        return None
    found: dict[str, Tensor] = {}
    for name, entry in value.items():
        if isinstance(entry, tuple) and len(entry) == 2:  # Paddle's own tensors: (name, array)
            entry = entry[1]
        if isinstance(entry, Tensor):
            found[_word(name)] = entry
        elif name != _PADDLE_NAMES:
            return None
    return found or None


def _reference(reference: object) -> tuple[torch.dtype, str, int]:
    """Element type, key and number of elements of the storage that a pickle refers to."""
    if not isinstance(reference, tuple) or len(reference) not in (5, 6):
        raise CheckpointError("it refers to something other than a storage")
    what, dtype, key, _device, count, *view = reference
    if what != "storage" or not isinstance(dtype, torch.dtype) or not isinstance(key, str):
        raise CheckpointError("it refers to something other than a storage")
    if type(count) is not int or count < 0 or any(part is not None for part in view):
        raise CheckpointError(f"its storage {key[:20]} has no proper size")
    return dtype, key, count


class _Storages:
    """The storages of a file, each made when it is first referred to."""

    def __init__(self, size: int) -> None:
        self.budget = Budget(size)
        self.known: dict[str, Storage] = {}

    def __call__(self, reference: object) -> Storage | ForeignClass:
        match reference:  # the legacy format refers to classes of networks as well
            case ("module", ForeignClass() as kind, _file, _source):
                return kind
        dtype, key, count = _reference(reference)
        size = count * dtype.itemsize
        if key not in self.known:
            self.budget.take(size)
            buffer = bytearray(size)
            self.known[key] = Storage(buffer, flat_tensor(buffer, dtype))
        storage = self.known[key]
        if storage.flat.dtype != dtype or len(storage.buffer) != size:
            raise CheckpointError(f"it refers to its storage {key[:20]} in two ways")
        return storage


def _read_zip(data: bytes) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_archive(archive, len(data))
    except _ZIP_ERRORS as error:
        raise CheckpointError(f"it is a damaged zip archive ({error})") from error


def _read_archive(archive: zipfile.ZipFile, size: int) -> Any:
    entries = {entry.filename: entry for entry in archive.infolist()}

    def content(name: str) -> bytes:
        entry = entries.get(name)
        if entry is None:
            raise CheckpointError(f"it is a zip archive without {name[:80]}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise CheckpointError(f"its {name[:80]} is compressed, which torch.save never does")
        return archive.read(entry)

    pickles = [name for name in entries if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("it is a zip archive, but not one of torch.save")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in entries and content(f"{root}byteorder") != b"little":
        raise CheckpointError("its numbers are not little-endian")
    storages = _Storages(size)
    value = unpickle(io.BytesIO(content(pickles[0])), TensorValues(size, storages))
    for key, storage in storages.known.items():
        storage.fill(content(f"{root}data/{key}"))
    return value


def _is_number(value: object, number: int) -> bool:
    return type(value) is int and value == number


def _read_pickles(data: bytes) -> Any:
    """The legacy format, or a single pickle."""
    stream = io.BytesIO(data)
    plain = TensorValues(len(data))
    first = unpickle(stream, plain)
    if not _is_number(first, _MAGIC):
        if stream.tell() != len(data):
            raise CheckpointError("it goes on after its end")
        return first
    version, machine = unpickle(stream, plain), unpickle(stream, plain)
    little = isinstance(machine, dict) and machine.get("little_endian") is True
    if not (_is_number(version, _VERSION) and little):
        raise CheckpointError("its version or byte order is unknown")
    storages = _Storages(len(data))
    value = unpickle(stream, TensorValues(len(data), storages))
    keys = unpickle(stream, plain)
    if not isinstance(keys, list) or set(map(_word, keys)) != set(storages.known):
        raise CheckpointError("its list of storages is not that of its tensors")
    for key in keys:
        storage = storages.known[_word(key)]
        count = int.from_bytes(stream.read(8), "little")
        if count != storage.flat.numel():
            raise CheckpointError(f"its storage {_word(key)[:20]} has another size than it says")
        storage.fill(stream.read(len(storage.buffer)))
    return value
