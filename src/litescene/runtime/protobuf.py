"""The few lines of the protobuf wire format that reading an ONNX file's top level needs.

An ONNX file is one `ModelProto`. Its top level is a flat run of records (tag, payload); the
graph with all its weights is a single record, so walking the top level touches a few bytes only.
Source: the protobuf encoding guide, and `onnx.proto3` for the field numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from litescene.core.errors import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Record:
    """One field of a message: `data[start:end]` is the whole record, `data[body:end]` its value."""

    field: int
    wire: int
    start: int
    body: int
    end: int


def records(data: bytes | memoryview) -> Iterator[Record]:
    """Walk the fields of one message; a malformed or cut message is a `BundleError`."""
    position, size = 0, len(data)
    while position < size:
        start = position
        tag, position = _varint(data, position)
        field, wire = tag >> 3, tag & 7
        if field == 0:
            raise BundleError("this is not an ONNX file (a field number is 0)")
        body = position
        if wire == _VARINT:
            _, position = _varint(data, position)
        elif wire == _BYTES:
            length, body = _varint(data, position)
            position = body + length
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:
            raise BundleError(f"this is not an ONNX file (wire type {wire} at byte {start})")
        if position > size:
            raise BundleError(
                f"the file is truncated: the record at byte {start} ends {position - size} bytes "
                "behind the end of the file; copy or download it again"
            )
        yield Record(field, wire, start, body, position)


def is_bytes(record: Record) -> bool:
    """Whether the record's value is a string, bytes or a message."""
    return record.wire == _BYTES


def bytes_field(field: int, value: bytes) -> bytes:
    """Encode one length-delimited field."""
    return _encode_varint(field << 3 | _BYTES) + _encode_varint(len(value)) + value


def _varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        if position >= len(data):
            raise BundleError("the file is truncated (it ends inside a number); copy it again")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise BundleError("this is not an ONNX file (a number is longer than ten bytes)")


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
