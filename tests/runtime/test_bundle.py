from __future__ import annotations

import hashlib
import json
from pathlib import Path

import onnx
import pytest

from litescene.core import BundleError, UnknownNameError
from litescene.runtime import Bundle, find, shipped, write_metadata
from litescene.runtime.catalog import write_index
from litescene.runtime.protobuf import bytes_field
from tiny_bundles import segmentation_model


def _metadata(data: bytes) -> dict[str, str]:
    return {p.key: p.value for p in onnx.load_from_string(data).metadata_props}


def test_the_onnx_package_reads_the_metadata_and_the_same_graph(segmentation_bytes: bytes) -> None:
    model = onnx.load_from_string(segmentation_bytes)
    onnx.checker.check_model(model)
    contract = json.loads(_metadata(segmentation_bytes)["litescene"])
    assert contract["task"] == "segmentation"
    assert [n.op_type for n in model.graph.node] == [
        "Cast",
        "Mul",
        "Transpose",
        "AveragePool",
        "Conv",
    ]


def test_the_contract_comes_back_as_it_was_written(segmentation_bundle: Bundle) -> None:
    again = write_metadata(segmentation_bundle.model, segmentation_bundle.contract)
    assert Bundle.from_bytes(again).contract == segmentation_bundle.contract
    assert again == segmentation_bundle.model


def test_the_digest_is_sha256_of_all_other_records_and_the_contract(
    segmentation_bytes: bytes,
) -> None:
    metadata = _metadata(segmentation_bytes)
    own = [
        bytes_field(14, bytes_field(1, key.encode()) + bytes_field(2, value.encode()))
        for key, value in metadata.items()
    ]
    rest = segmentation_bytes
    for record in own:
        assert rest.count(record) == 1
        rest = rest.replace(record, b"")
    digest = hashlib.sha256(rest + metadata["litescene"].encode()).hexdigest()
    assert metadata["litescene_sha256"] == digest


def test_metadata_of_others_stay_and_are_part_of_the_digest(segmentation_bundle: Bundle) -> None:
    model = onnx.load_from_string(segmentation_bundle.model)
    model.metadata_props.add(key="author", value="somebody")
    data = write_metadata(model.SerializeToString(), segmentation_bundle.contract)
    assert _metadata(data)["author"] == "somebody"
    Bundle.from_bytes(data)
    with pytest.raises(BundleError, match="digest is wrong"):
        Bundle.from_bytes(data.replace(b"somebody", b"somebodY"))


def test_a_changed_weight_is_found(segmentation_bytes: bytes) -> None:
    data = bytearray(segmentation_bytes)
    data[segmentation_bytes.index(b"head0") + 1] ^= 1
    with pytest.raises(BundleError, match="digest is wrong"):
        Bundle.from_bytes(bytes(data))


def test_a_changed_contract_is_found(segmentation_bytes: bytes) -> None:
    with pytest.raises(BundleError, match="digest is wrong"):
        Bundle.from_bytes(segmentation_bytes.replace(b'"tiny"', b'"tinY"'))


def test_a_model_without_metadata_is_told_how_to_get_them(tmp_path: Path) -> None:
    path = tmp_path / "plain.onnx"
    path.write_bytes(segmentation_model())
    with pytest.raises(BundleError, match=r"plain\.onnx: .*litescene export .*litescene bundle"):
        Bundle.open(path)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_named(segmentation_bytes: bytes, tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(segmentation_bytes[: int(len(segmentation_bytes) * share)])
    with pytest.raises(
        BundleError, match=r"cut\.onnx: (the file is truncated|this is not an ONNX)"
    ):
        Bundle.open(path)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(64), b"not a model at all"])
def test_what_is_not_onnx_is_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        Bundle.from_bytes(data)


def test_a_missing_file_is_an_error_of_the_user(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot read the bundle") as caught:
        Bundle.open(tmp_path / "none.onnx")
    assert caught.value.exit_code == 2


def test_a_contract_of_another_schema_is_refused(segmentation_bytes: bytes) -> None:
    text = _metadata(segmentation_bytes)["litescene"]
    model = onnx.load_from_string(segmentation_bytes)
    del model.metadata_props[:]
    plain = model.SerializeToString()
    newer = text.replace('"schema":1', '"schema":2,"of_the_future":3').encode()
    digest = hashlib.sha256(plain + newer).hexdigest().encode()
    for key, value in ((b"litescene", newer), (b"litescene_sha256", digest)):
        plain += bytes_field(14, bytes_field(1, key) + bytes_field(2, value))
    with pytest.raises(BundleError, match="schema 2"):
        Bundle.from_bytes(plain)


def test_shipped_bundles_are_listed_found_by_name_and_checked(
    segmentation_bytes: bytes, tmp_path: Path
) -> None:
    (tmp_path / "tiny_t.onnx").write_bytes(segmentation_bytes)
    write_index(tmp_path)
    assert [(b.name, b.task) for b in shipped(tmp_path).values()] == [("tiny_t", "segmentation")]
    assert find("tiny_t", tmp_path).name == "tiny_t"
    (tmp_path / "tiny_t.onnx").write_bytes(segmentation_bytes + b"\x32\x01x")
    with pytest.raises(BundleError, match="not the file that was packaged"):
        find("tiny_t", tmp_path)


def test_an_unknown_name_gets_near_names(segmentation_bytes: bytes, tmp_path: Path) -> None:
    (tmp_path / "pp_liteseg_t.onnx").write_bytes(segmentation_bytes)
    write_index(tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean pp_liteseg_t"):
        find("pp_litseg", tmp_path)


def test_a_file_is_found_by_its_path(segmentation_bytes: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(segmentation_bytes)
    assert find(path).name == "mine"
