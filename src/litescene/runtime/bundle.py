"""Bundles: ONNX files that say themselves how they are to be used.

The metadata of a bundle (`metadata_props` of ONNX's `ModelProto`) hold two keys:

- `litescene`: the JSON of a `core.Contract`;
- `litescene_sha256`: the SHA-256, in hex, over every other top-level record of the file in file
  order, followed by the bytes of the `litescene` value.

Reading and writing them needs no ONNX package (see `runtime.protobuf`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from litescene.core.contract import Contract
from litescene.core.errors import BundleError
from litescene.runtime.protobuf import Record, bytes_field, is_bytes, records

CONTRACT_KEY = b"litescene"
DIGEST_KEY = b"litescene_sha256"
_GRAPH_FIELD, _METADATA_FIELD = 7, 14
_HOW_TO_WRITE = (
    "write them with `litescene export CHECKPOINT -o FILE.onnx`, or onto somebody else's model "
    "with `litescene bundle`"
)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle: its contract, the bytes of its ONNX model and its digest (hex)."""

    name: str
    contract: Contract
    digest: str
    model: bytes = field(repr=False)

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Read and verify a file; anything wrong with it is a `BundleError` that names it."""
        path = Path(path)
        if path.suffix == ".safetensors":
            raise BundleError(
                f"{path} is a checkpoint, not a bundle; first: litescene export {path} "
                f"-o {path.with_suffix('.onnx')}"
            )
        try:
            data = path.read_bytes()
        except OSError as error:
            raise BundleError(f"cannot read the bundle {path}: {error.strerror}") from error
        try:
            return cls.from_bytes(data, path.stem)
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "bundle") -> Bundle:
        """Verify the bytes of a bundle: ONNX, digest, schema of the contract."""
        contract_json, stated, actual = _scan(data)
        if contract_json is None:
            raise BundleError(f"the ONNX file has no litescene metadata; {_HOW_TO_WRITE}")
        if stated is None:
            raise BundleError("the file is truncated or changed: its litescene digest is missing")
        if stated != actual:
            raise BundleError(
                f"the digest is wrong (stated {stated[:16]}…, actual {actual[:16]}…): the file was "
                "changed or damaged after it was written; fetch or export it again"
            )
        return cls(name, _parse_contract(contract_json), actual, data)


def write_metadata(model: bytes, contract: Contract) -> bytes:
    """The same ONNX model with `contract` and the digest as its metadata.

    Older litescene metadata are replaced; everything else stays byte for byte.
    """
    kept = b"".join(model[r.start : r.end] for r in _foreign_records(model))
    text = json.dumps(contract.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()
    digest = hashlib.sha256(kept + text).hexdigest().encode()
    return kept + _entry(CONTRACT_KEY, text) + _entry(DIGEST_KEY, digest)


def _parse_contract(text: bytes) -> Contract:
    try:
        plain = json.loads(text)
    except ValueError as error:
        raise BundleError(f"the metadata are not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise BundleError("the metadata are not a JSON object")
    return Contract.from_dict(plain)


def _scan(data: bytes) -> tuple[bytes | None, str | None, str]:
    """Value of the contract's key, value of the digest's key, digest computed from the bytes."""
    values: dict[bytes, bytes] = {}
    sha = hashlib.sha256()
    view = memoryview(data)
    for record in _model_records(data):
        entry = _metadata_entry(view, record)
        if entry is not None and entry[0] in (CONTRACT_KEY, DIGEST_KEY):
            values[entry[0]] = entry[1]
        else:
            sha.update(view[record.start : record.end])
    contract, stated = values.get(CONTRACT_KEY), values.get(DIGEST_KEY)
    sha.update(contract or b"")
    return contract, stated.decode("ascii", "replace") if stated else None, sha.hexdigest()


def _foreign_records(data: bytes) -> Iterator[Record]:
    view = memoryview(data)
    for record in _model_records(data):
        entry = _metadata_entry(view, record)
        if entry is None or entry[0] not in (CONTRACT_KEY, DIGEST_KEY):
            yield record


def _model_records(data: bytes) -> list[Record]:
    found = list(records(memoryview(data)))
    if not any(r.field == _GRAPH_FIELD and is_bytes(r) for r in found):
        raise BundleError("this is not an ONNX file (it has no graph)")
    return found


def _metadata_entry(view: memoryview, record: Record) -> tuple[bytes, bytes] | None:
    if record.field != _METADATA_FIELD or not is_bytes(record):
        return None
    entry = view[record.body : record.end]
    parts = {r.field: bytes(entry[r.body : r.end]) for r in records(entry) if is_bytes(r)}
    return parts.get(1, b""), parts.get(2, b"")


def _entry(key: bytes, value: bytes) -> bytes:
    return bytes_field(_METADATA_FIELD, bytes_field(1, key) + bytes_field(2, value))
