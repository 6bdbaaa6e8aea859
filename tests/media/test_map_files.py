from pathlib import Path

import numpy as np
import pytest

from litescene.core import CAMVID, CITYSCAPES, DataError, SceneMap
from litescene.media.map_files import read_ply, write_ply

FIELDS = ("points", "colors", "labels", "confidence", "instances", "observations")
TYPES = {"float": "f4", "double": "f8", "uchar": "u1", "int": "i4", "ushort": "u2"}


def _map(count: int = 50) -> SceneMap:
    rng = np.random.default_rng(0)
    return SceneMap(
        rng.normal(0, 20, (count, 3)).astype(np.float32),
        rng.integers(0, 256, (count, 3)).astype(np.uint8),
        rng.choice([0, 3, 10, 255], count).astype(np.uint8),
        rng.random(count).astype(np.float32),
        rng.integers(0, 5, count).astype(np.int32),
        rng.integers(1, 99, count).astype(np.int32),
        CITYSCAPES,
        "metric",
    )


def _columns(scene_map: SceneMap) -> dict[str, np.ndarray]:
    return {
        **{n: scene_map.points[:, i] for i, n in enumerate("xyz")},
        **{n: scene_map.colors[:, i] for i, n in enumerate(("red", "green", "blue"))},
        "label": scene_map.labels,
        "confidence": scene_map.confidence,
        "instances": scene_map.instances,
        "observations": scene_map.observations,
    }


@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_map_is_read_back_with_classes_and_scale(tmp_path: Path, count: int) -> None:
    write_ply(tmp_path / "map.ply", _map(count))
    again = read_ply(tmp_path / "map.ply")
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(again, name), getattr(_map(count), name))
    assert again.taxonomy == CITYSCAPES
    assert again.scale == "metric"


def test_the_header_is_the_published_layout_and_the_body_has_its_size(tmp_path: Path) -> None:
    write_ply(tmp_path / "map.ply", _map())
    head, body = (tmp_path / "map.ply").read_bytes().split(b"end_header\n", 1)
    lines = head.decode().splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert [line for line in lines if line.startswith(("element", "property"))] == [
        "element vertex 50",
        *(f"property float {n}" for n in "xyz"),
        *(f"property uchar {n}" for n in ("red", "green", "blue", "label")),
        "property float confidence",
        "property int instances",
        "property int observations",
    ]
    assert len(body) == 50 * 28
    np.testing.assert_array_equal(np.frombuffer(body[:12], "<f4"), _map().points[0])


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_other_orders_types_and_encodings_are_read(
    tmp_path: Path, encoding: str, newline: str
) -> None:
    columns = _columns(_map())
    kinds = dict.fromkeys(("red", "green", "blue", "label"), "uchar")
    kinds |= {"x": "double", "y": "float", "z": "float", "confidence": "float"}
    kinds |= {"instances": "int", "observations": "ushort", "extra": "double"}
    columns["extra"] = np.arange(50.0)
    order = sorted(kinds)
    head = ["ply", f"format {encoding} 1.0", "element vertex 50"]
    head += [f"property {kinds[n]} {n}" for n in order]
    head += ["element face 0", "property list uchar int vertex_indices", "end_header", ""]
    mark = ">" if "big" in encoding else "<"
    records = np.empty(50, [(n, mark + TYPES[kinds[n]]) for n in order])
    for n in order:
        records[n] = columns[n]
    if encoding == "ascii":
        body = newline.join(" ".join(repr(v.item()) for v in row) for row in records).encode()
    else:
        body = records.tobytes()
    (tmp_path / "map.ply").write_bytes(newline.join(head).encode() + body)
    again = read_ply(tmp_path / "map.ply", CAMVID)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(again, name), getattr(_map(), name), rtol=1e-6)
    assert again.taxonomy == CAMVID
    assert again.scale == "arbitrary"


def _damaged(path: Path, how: str) -> None:
    content = path.read_bytes()
    path.write_bytes(
        {
            "not": b"hello",
            "cut": content[:-1],
            "property": content.replace(b"property uchar label\n", b""),
            "list": content.replace(b"property uchar label", b"property list uchar int label"),
            "format": content.replace(b"binary_little_endian", b"binary_middle_endian"),
            "order": content.replace(b"element vertex", b"element face 1\nelement vertex"),
            "classes": content.replace(b"comment taxonomy", b"comment nothing"),
            "scale": content.replace(b"scale metric", b"scale furlongs"),
        }[how]
    )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("not", "is not a PLY file"),
        ("cut", "is truncated"),
        ("property", "has no property label"),
        ("list", "cannot read vertex"),
        ("format", "no valid PLY header"),
        ("order", "must be the first element"),
        ("classes", "give a taxonomy"),
        ("scale", "unknown scale 'furlongs'"),
    ],
)
def test_damaged_maps_are_refused(tmp_path: Path, how: str, message: str) -> None:
    write_ply(tmp_path / "map.ply", _map())
    _damaged(tmp_path / "map.ply", how)
    with pytest.raises(DataError, match=message):
        read_ply(tmp_path / "map.ply")


@pytest.mark.parametrize("body", ["1 2 3", "a " * 10])
def test_damaged_text_maps_are_refused(tmp_path: Path, body: str) -> None:
    names = list(_columns(_map()))
    head = ["ply", "format ascii 1.0", "element vertex 1", *(f"property float {n}" for n in names)]
    (tmp_path / "m.ply").write_text("\n".join([*head, "end_header", body]))
    with pytest.raises(DataError, match="wrong number of fields or no number"):
        read_ply(tmp_path / "m.ply", CAMVID)
    (tmp_path / "m.ply").write_text("\n".join([*head, "end_header", ""]))
    with pytest.raises(DataError, match="0 of 1 points"):
        read_ply(tmp_path / "m.ply", CAMVID)


def test_a_missing_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read map"):
        read_ply(tmp_path / "none.ply")
