"""The reader of foreign checkpoints: benign files load equal, malicious ones run nothing."""

from __future__ import annotations

import collections
import functools
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.fusion import fuse_linear_bn_eval

from litescene.core import CheckpointError
from litescene.training.foreign import read_foreign, read_weights

MAGIC = 0x1950A86A20F9469CFC6C


def some_tensors() -> dict[str, torch.Tensor]:
    """Tensors of every element type; views, a transposed one, an empty one, and one held twice."""
    torch.manual_seed(0)
    kinds = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    whole = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)
    found = {str(kind): torch.randn(3, 4).to(kind) for kind in kinds}
    found |= {str(kind): torch.randint(0, 2, (5,)).to(kind) for kind in whole}
    base = torch.arange(24.0)
    shared = torch.randn(2, 3)
    return found | {
        "view": base[5:17].reshape(3, 4),
        "transposed": base[:12].reshape(3, 4).T,
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(3.5),
        "one": shared,
        "same": shared,
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_what_torch_saves_loads_equal(tmp_path: Path, zipped: bool, protocol: int) -> None:
    tensors = some_tensors()
    state = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4)).state_dict()
    value = {
        "state": state,
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "tensors": collections.OrderedDict(tensors),
        "epoch": 3,
        "best": 0.5,
        "name": "größer",
        "shape": torch.Size([1, 2]),
        "list": [None, True, (1, 2, 3, 4), 2**70, b"bytes"],
        7: {},
    }
    file = tmp_path / "x.pth"
    torch.save(value, file, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    read = read_foreign(file)
    for name, wanted in tensors.items():
        assert read["tensors"][name].dtype == wanted.dtype, name
        assert torch.equal(read["tensors"][name], wanted), name
    assert read["tensors"]["one"].data_ptr() == read["tensors"]["same"].data_ptr()
    assert list(read["state"]) == list(state)
    assert all(torch.equal(read["state"][n], v) for n, v in state.items())
    assert torch.equal(read["parameter"], torch.ones(2))
    plain = {k: v for k, v in value.items() if k not in ("state", "parameter", "tensors")}
    assert {k: read[k] for k in plain} == plain


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickled_numpy_arrays_as_paddle_writes_them_load_equal(
    tmp_path: Path, protocol: int
) -> None:
    rng = np.random.default_rng(0)
    kinds = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "b1")
    arrays = {kind: rng.integers(0, 2, (2, 3)).astype(kind) for kind in kinds}
    arrays["fortran"] = np.asfortranarray(rng.normal(size=(3, 4)).astype(np.float32))
    arrays["scalar"] = np.array(2.5, np.float32)
    arrays["empty"] = np.zeros((0, 3), np.float32)
    value: dict[str, Any] = {**arrays, "again": arrays["f4"], "pair": ("p.w_0", arrays["f4"])}
    value["StructuredToParameterName@@"] = {name: f"{name}_0" for name in arrays}
    file = tmp_path / "x.pdparams"
    file.write_bytes(pickle.dumps(value, protocol))
    read = read_weights(file)
    assert set(read) == {*arrays, "again", "pair"}
    for name, wanted in arrays.items():
        np.testing.assert_array_equal(read[name].numpy(), wanted, strict=True)
    np.testing.assert_array_equal(read["pair"].numpy(), arrays["f4"])


def test_weights_are_found_in_the_file_and_lose_the_prefix_of_several_devices(
    tmp_path: Path,
) -> None:
    weights = {"a.weight": torch.ones(2), "b.bias": torch.zeros(1)}
    wrapped = {f"module.{name}": value for name, value in weights.items()}
    file = tmp_path / "x.pth"
    torch.save({"epoch": 3, "model": wrapped, "optimizer": {"state": {0: {"step": 1}}}}, file)
    assert set(read_weights(file)) == set(weights)
    torch.save(wrapped, file)
    assert set(read_weights(file)) == set(weights)
    torch.save({f"module.module.{name}": value for name, value in weights.items()}, file)
    assert set(read_weights(file)) == set(weights)
    torch.save({"module.": torch.ones(1), "module.module.a": torch.ones(1)}, file)
    assert set(read_weights(file)) == {"", "module.a"}
    torch.save({"epoch": 3}, file)
    with pytest.raises(CheckpointError, match="holds no dictionary of weights, but epoch"):
        read_weights(file)


class Call:
    """Pickles as a call of `function` with `arguments`, then perhaps a state."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.plan = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.plan


def written(folder: Path, data: bytes) -> Path:
    file = folder / "x.pth"
    file.write_bytes(data)
    return file


def zipped(folder: Path, data: bytes, records: dict[str, bytes] | None = None) -> Path:
    """A file like that of torch.save with this pickle."""
    file = folder / "x.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/byteorder", "little")
        for name, record in (records or {}).items():
            archive.writestr(f"archive/data/{name}", record)
    return file


def legacy(folder: Path, data: bytes, keys: list[str], storages: bytes) -> Path:
    """The legacy format with this pickle."""
    start = [MAGIC, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    parts = [*(pickle.dumps(x, 2) for x in start), data, pickle.dumps(keys, 2), storages]
    return written(folder, b"".join(parts))


ATTACKS = {
    "system": Call(os.system, "touch {ran}"),
    "eval": Call(eval, "open('{ran}', 'w')"),
    "exec": Call(exec, "open('{ran}', 'w')"),
    "getattr": Call(getattr, "text", "upper"),
    "open": Call(open, "{ran}", "w"),
    "partial": Call(functools.partial, print),
    "BytesIO": Call(io.BytesIO, b""),
    "bytearray": Call(bytearray, 10**9),
    "defaultdict": collections.defaultdict(list),
    "torch.nn.utils.fusion.fuse_linear_bn_eval": Call(fuse_linear_bn_eval, 2, 2),
    "torch._tensor._rebuild_from_type_v2": Call(torch._tensor._rebuild_from_type_v2, print),
    "torch.serialization.load": Call(torch.load, "{ran}"),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("protocol", [2, 4])
def test_every_other_name_is_refused_by_name(tmp_path: Path, name: str, protocol: int) -> None:
    ran = tmp_path / "ran"
    data = pickle.dumps({"w": ATTACKS[name]}, protocol).replace(b"{ran}", b"ran")
    for file in (
        written(tmp_path, data),
        zipped(tmp_path, data),
        legacy(tmp_path, data, [], b""),
    ):
        with pytest.raises(CheckpointError) as refused:
            read_foreign(file)
        assert f"{name}, which is none of the tensors" in str(refused.value)
        assert "\n" not in str(refused.value)
    assert not ran.exists()


def global_name(module: str, name: str) -> bytes:
    """STACK_GLOBAL of two short texts."""
    texts = (text.encode() for text in (module, name))
    return b"".join(b"\x8c" + bytes([len(t)]) + t for t in texts) + b"\x93"


ORDERED = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
FLOATS = b"ctorch\nFloatStorage\n"

PROGRAMS = {
    "a nested name": (b"\x80\x04" + global_name("torch", "_utils._rebuild") + b".", "_utils._reb"),
    "a nested name of an allowed class": (
        b"\x80\x04" + global_name("collections", "OrderedDict.__init__") + b".",
        "OrderedDict.__init__",
    ),
    "a name with a line break": (b"\x80\x04" + global_name("o\ns", "x") + b".", r"o\\ns.x"),
    "an allowed function with wrong values": (b"\x80\x02" + REBUILD + b")R.", "do not fit"),
    "a storage type as a function": (b"\x80\x02" + FLOATS + b")R.", "calls a dtype"),
    "a number as a function": (b"\x80\x02K\x01)R.", "calls a int"),
    "an array made directly": (b"\x80\x02cnumpy\nndarray\n)R.", "do not fit"),
    "state on an ordered dictionary": (
        b"\x80\x02" + ORDERED + b")R}X\x05\x00\x00\x00itemsK\x01sb.",
        "state of a dict",
    ),
    "state on a constructor": (
        b"\x80\x02" + ORDERED + b"}X\x04\x00\x00\x00makeK\x01sb.",
        "state of a Constructor",
    ),
    "slots on a constructor": (
        b"\x80\x02" + ORDERED + b"N}X\x04\x00\x00\x00makeK\x01s\x86b.",
        "state of a Constructor",
    ),
    "an instance by INST": (b"\x80\x02(iposix\nsystem\n.", "instruction INST"),
    "an instance by OBJ": (b"\x80\x02(" + ORDERED + b"o.", "instruction OBJ"),
    "an instance by NEWOBJ": (b"\x80\x02" + ORDERED + b")\x81.", "an instance of a Constructor"),
    "an instance with arguments": (b"\x80\x02cmodels.yolo\nModel\nK\x01\x85\x81.", "instance"),
    "a call of a network's class": (b"\x80\x02cmodels.yolo\nModel\n)R.", "calls a ForeignClass"),
    "a network's class in another module": (b"\x80\x02cmodelsx\nModel\n)\x81.", "modelsx.Model"),
    "an instance by NEWOBJ_EX": (b"\x80\x04" + ORDERED + b")}\x92.", "instruction NEWOBJ_EX"),
    "an extension": (b"\x80\x02\x82\x01.", "instruction EXT1"),
    "a reference in text": (b"\x80\x02Pstorage\n.", "instruction PERSID"),
    "a reference outside of an archive": (b"\x80\x02X\x01\x00\x00\x00aQ.", "but has none"),
    "items of a number": (b"\x80\x02K\x01K\x02K\x03s.", "sets items of a int"),
    "items of a list": (b"\x80\x02]K\x02K\x03s.", "sets items of a list"),
    "an element of a tuple": (b"\x80\x02)K\x01a.", "appends to a tuple"),
    "a set": (b"\x80\x04\x8f.", "instruction EMPTY_SET"),
    "a list as a key": (b"\x80\x02}]K\x01s.", "damaged"),
    "a deep tuple as a key": (b"\x80\x02})" + b"\x85" * 200_000 + b"K\x01s.", "damaged"),
    "a missing value": (b"\x80\x02R.", "damaged"),
    "an unknown memory": (b"\x80\x02h\x05.", "damaged"),
    "a far place in memory and a missing value": (b"\x80\x02r\xff\xff\xff\x7f.", "damaged"),
    "two values": (b"\x80\x02K\x01K\x02.", "damaged"),
    "a length that is not there": (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.", "damaged"),
    "more after its end": (b"\x80\x02K\x01.K\x02.", "goes on after its end"),
    "an unknown instruction": (b"\x80\x02\xff.", "damaged"),
    "one list copied a thousand times": (
        b"\x80\x02]q\x00(" + b"K\x01" * 1000 + b"ectorch\nSize\nq\x01"
        + b"h\x01h\x00\x85R" * 1000 + b".",
        "more memory than it has",
    ),
    "a number of a thousand bytes": (
        b"\x80\x02\x8b\xe8\x03\x00\x00" + b"\x01" * 1000 + b".", "a number of 7993 bits",
    ),
    "a deep list as a type": (
        b"\x80\x02cnumpy\ndtype\n" + b"]" * 100_000 + b"a" * 99_999 + b"\x85R.", "do not fit",
    ),
    "a type whose words have no end": (
        b"\x80\x02cnumpy\ndtype\nK\x01" + b"q\x00h\x00\x86" * 60 + b"\x85R.", "do not fit",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PROGRAMS)
def test_programs_that_no_pickler_writes_for_weights_are_refused(tmp_path: Path, case: str) -> None:
    program, message = PROGRAMS[case]
    with pytest.raises(CheckpointError, match=message):
        read_foreign(written(tmp_path, program))


class Storage:
    """A stand-in for a storage; `Pickler` writes it as a reference."""

    def __init__(self, key: Any = "0", count: Any = 6, kind: Any = torch.FloatStorage) -> None:
        self.reference = ("storage", kind, key, "cpu", count)


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        return value.reference if isinstance(value, Storage) else None


def rebuilt(
    *arguments: Any, function: Any = torch._utils._rebuild_tensor_v2, **state: Any
) -> bytes:
    stream = io.BytesIO()
    Pickler(stream, 2).dump({"w": Call(function, *arguments, **state)})
    return stream.getvalue()


def v2(storage: Any, offset: Any, size: Any, stride: Any, **more: Any) -> bytes:
    return rebuilt(storage, offset, size, stride, False, collections.OrderedDict(), **more)


TENSORS = {
    "too long": (v2(Storage(), 0, (7,), (1,)), "in a storage of 6 numbers"),
    "too far": (v2(Storage(), 3, (2, 2), (2, 1)), "in a storage of 6 numbers"),
    "a stride over the end": (v2(Storage(), 0, (2,), (6,)), "in a storage of 6 numbers"),
    "a negative stride": (v2(Storage(), 5, (2,), (-1,)), "out of range"),
    "a negative offset": (v2(Storage(), -1, (2,), (1,)), "out of range"),
    "one number shown a million times": (v2(Storage(), 0, (10**6,), (0,)), "storage of 6"),
    "a huge size": (v2(Storage(), 0, (2**62, 2**62), (0, 0)), "out of range"),
    "an empty tensor of a huge size": (v2(Storage(), 0, (0, *(2**30,) * 3), (1,) * 4), "out of"),
    "more strides than sizes": (v2(Storage(), 0, (2,), (1, 1)), "as many strides"),
    "sizes that are no numbers": (v2(Storage(), 0, ("2",), (1,)), "no whole numbers"),
    "sizes of floats": (v2(Storage(), 0, (2.0,), (1,)), "no whole numbers"),
    "no storage": (v2({}, 0, (2,), (1,)), "without a storage"),
    "too few values": (rebuilt(Storage(), 0), "do not fit"),
    "state on a tensor": (v2(Storage(), 0, (6,), (1,), state={"grad": 1}), "state of a Tensor"),
    "a parameter of a number": (
        rebuilt(1, False, None, function=torch._utils._rebuild_parameter),
        "without a tensor",
    ),
    "a storage of another kind": (
        v2(Storage(kind="float"), 0, (6,), (1,)),
        "other than a storage",
    ),
    "a storage key that is no text": (v2(Storage(key=0), 0, (6,), (1,)), "other than a storage"),
    "a storage larger than the file": (v2(Storage(count=2**40), 0, (6,), (1,)), "can hold"),
    "a storage of a negative size": (v2(Storage(count=-1), 0, (6,), (1,)), "no proper size"),
    "a storage larger than its record": (v2(Storage(count=8), 0, (6,), (1,)), "cut off"),
    "an absent storage": (v2(Storage(key="9"), 0, (6,), (1,)), "without archive/data/9"),
    "a storage outside of the archive": (v2(Storage(key="../x"), 0, (6,), (1,)), "without"),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_do_not_fit_their_storage_are_refused(tmp_path: Path, case: str) -> None:
    data, message = TENSORS[case]
    record = np.arange(6, dtype=np.float32).tobytes()
    with pytest.raises(CheckpointError, match=message):
        read_foreign(zipped(tmp_path, data, {"0": record}))


def test_the_stand_ins_above_load_where_they_fit(tmp_path: Path) -> None:
    record = np.arange(6, dtype=np.float32).tobytes()
    data = v2(Storage(), 1, (2, 2), (3, 1))
    wanted = torch.tensor([[1.0, 2.0], [4.0, 5.0]])
    assert torch.equal(read_foreign(zipped(tmp_path, data, {"0": record}))["w"], wanted)
    storages = struct.pack("<q", 6) + record
    assert torch.equal(read_foreign(legacy(tmp_path, data, ["0"], storages))["w"], wanted)
    for keys, damaged in ((["0"], storages[:-1]), (["1"], storages), (["0"], b"\x07" + storages)):
        with pytest.raises(CheckpointError):
            read_foreign(legacy(tmp_path, data, keys, damaged))


def test_the_same_storage_in_two_ways_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Pickler(stream, 2).dump([Storage(count=6), Storage(count=3, kind=torch.DoubleStorage)])
    with pytest.raises(CheckpointError, match="in two ways"):
        read_foreign(zipped(tmp_path, stream.getvalue(), {"0": bytes(24)}))


def test_arrays_that_do_not_fit_their_bytes_are_refused(tmp_path: Path) -> None:
    rebuild = np.zeros(1).__reduce__()[0]
    start = (rebuild, (np.ndarray, (0,), b"b"))
    for state, message in (
        ((1, (3,), np.dtype("f4"), False, bytes(8)), "8 bytes for an array"),
        ((1, (2**40,), np.dtype("f4"), False, bytes(8)), "out of range"),
        ((1, (2,), np.dtype("O"), False, [1, 2]), "arrays of 'O"),
        ((1, (2,), np.dtype(">f4"), False, bytes(8)), "little-endian"),
        ((1, (2,), "f4", False, bytes(8)), "without element type"),
        ((1, (2,)), "other than 5"),
    ):
        data = pickle.dumps({"w": Call(start[0], *start[1], state=state)}, 2)
        with pytest.raises(CheckpointError, match=message):
            read_foreign(written(tmp_path, data))


def test_one_text_may_not_become_many_arrays(tmp_path: Path) -> None:
    """A million calls that each copy a long text would take all memory."""
    text = b"\x80\x02]q\x05X" + struct.pack("<I", 100_000) + b"a" * 100_000
    text += b"X\x06\x00\x00\x00latin1\x86q\x01c_codecs\nencode\nq\x02"
    data = text + b"h\x02h\x01R0".replace(b"0", b"") * 20 + b"."
    with pytest.raises(CheckpointError, match="more numbers than the file can hold"):
        read_foreign(written(tmp_path, data))


@pytest.mark.parametrize("zipped_format", [True, False], ids=["zip", "legacy"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, zipped_format: bool) -> None:
    file = tmp_path / "x.pth"
    torch.save(
        {"w": torch.ones(5), "n": [1, "two"]},
        file,
        _use_new_zipfile_serialization=zipped_format,
    )
    data = file.read_bytes()
    for length in range(0, len(data), 7):
        file.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            read_foreign(file)


def test_damaged_bytes_are_refused_or_read_but_never_crash(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    rng = np.random.default_rng(0)
    value = {"w": torch.ones(5), "a": np.zeros(3), "n": [1, "two", {"x": (1.5, None)}]}
    for legacy_format in (False, True):
        torch.save(value, file, _use_new_zipfile_serialization=not legacy_format)
        data = np.frombuffer(file.read_bytes(), np.uint8)
        for _ in range(400):
            damaged = data.copy()
            where = rng.integers(0, len(data), 3)
            damaged[where] = rng.integers(0, 256, 3)
            file.write_bytes(damaged.tobytes())
            try:
                read_foreign(file)
            except CheckpointError as error:
                assert "\n" not in str(error)  # noqa: PT017 - whether it is raised is open


def test_archives_of_others_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.pth"
    with pytest.raises(CheckpointError, match="cannot read"):
        read_foreign(file)
    file.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no file of weights"):
        read_foreign(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme", "x")
    with pytest.raises(CheckpointError, match="but not one of"):
        read_foreign(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**6))
    with pytest.raises(CheckpointError, match="compressed"):
        read_foreign(file)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/byteorder", "big")
    with pytest.raises(CheckpointError, match="little-endian"):
        read_foreign(file)
