"""The labelled map as a PLY file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError, Scale, SceneMap, Taxonomy
from litescene.media.atomic import atomic_write

_VERTEX = np.dtype(
    [
        *((name, "<f4") for name in "xyz"),
        *((name, "u1") for name in ("red", "green", "blue", "label")),
        ("confidence", "<f4"),
        ("instances", "<i4"),
        ("observations", "<i4"),
    ]
)
_PLY_NAMES = {"f4": "float", "u1": "uchar", "i4": "int"}
_PLY_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_BYTE_ORDERS = {"ascii": "=", "binary_little_endian": "<", "binary_big_endian": ">"}
_CLASS_COMMENT = re.compile(r"class (\d+) (.+) (\d+) (\d+) (\d+)")


def write_ply(path: Path | str, scene_map: SceneMap) -> None:
    """Write the map as binary little-endian PLY; scale and classes go into its comments."""
    vertices = np.empty(len(scene_map), _VERTEX)
    for i, name in enumerate("xyz"):
        vertices[name] = scene_map.points[:, i]
    for i, name in enumerate(("red", "green", "blue")):
        vertices[name] = scene_map.colors[:, i]
    vertices["label"] = scene_map.labels
    vertices["confidence"] = scene_map.confidence
    vertices["instances"] = scene_map.instances
    vertices["observations"] = scene_map.observations
    taxonomy = scene_map.taxonomy
    classes = zip(taxonomy.names, taxonomy.colors, strict=True)
    head = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment scale {scene_map.scale}",
        f"comment taxonomy {taxonomy.name}",
        *(f"comment class {i} {name} {r} {g} {b}" for i, (name, (r, g, b)) in enumerate(classes)),
        f"element vertex {len(vertices)}",
        *(f"property {_PLY_NAMES[_VERTEX[n].str[1:]]} {n}" for n in _VERTEX.names or ()),
        "end_header\n",
    ]
    with atomic_write(path) as file:
        file.write("\n".join(head).encode())
        file.write(vertices.tobytes())


def read_ply(path: Path | str, taxonomy: Taxonomy | None = None) -> SceneMap:
    """Read a map with the properties that `write_ply` writes, in any order and PLY encoding.

    `taxonomy` is needed for files whose comments name no classes. Raises `DataError` for files
    that are no PLY, lack a property or are truncated.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read map {path}: {error.strerror}") from error
    mark = re.search(rb"^end_header\r?\n", content, re.MULTILINE)
    if mark is None or content[:3] != b"ply":
        raise DataError(f"{path} is not a PLY file")
    lines = content[: mark.start()].decode("utf-8", "replace").splitlines()
    body = content[mark.end() :]
    encoding, count, dtype = _ply_layout(path, lines)
    missing = [name for name in _VERTEX.names or () if name not in (dtype.names or ())]
    if missing:
        raise DataError(f"map {path} has no property {', '.join(missing)}")
    vertices = _ply_vertices(path, encoding, count, dtype, body)
    comments = [line[8:] for line in lines if line.startswith("comment ")]
    return SceneMap(
        points=np.stack([vertices[n] for n in "xyz"], axis=1).astype(np.float32),
        colors=np.stack([vertices[n] for n in ("red", "green", "blue")], axis=1).astype(np.uint8),
        labels=vertices["label"].astype(np.uint8),
        confidence=vertices["confidence"].astype(np.float32),
        instances=vertices["instances"].astype(np.int32),
        observations=vertices["observations"].astype(np.int32),
        taxonomy=taxonomy or _ply_taxonomy(path, comments),
        scale=_ply_scale(path, comments),
    )


def _ply_layout(path: Path, lines: list[str]) -> tuple[str, int, np.dtype[Any]]:
    """Encoding, number of vertices and their record type from the header's lines."""
    encoding, count, fields, element = "", -1, [], ""
    for line in lines:
        words = line.split()
        if words[:1] == ["format"] and len(words) == 3:
            encoding = words[1]
        elif words[:1] == ["element"] and len(words) == 3 and words[2].isdigit():
            if count < 0 and words[1] != "vertex":
                raise DataError(f"map {path}: vertices must be the first element")
            element, count = words[1], int(words[2]) if words[1] == "vertex" else count
        elif words[:1] == ["property"] and element == "vertex":
            if len(words) != 3 or words[1] not in _PLY_TYPES:
                raise DataError(f"map {path}: cannot read vertex '{line}'")
            fields.append((words[2], _BYTE_ORDERS.get(encoding, "=") + _PLY_TYPES[words[1]]))
    if encoding not in _BYTE_ORDERS or count < 0:
        raise DataError(f"map {path} has no valid PLY header")
    return encoding, count, np.dtype(fields)


def _ply_vertices(
    path: Path, encoding: str, count: int, dtype: np.dtype[Any], body: bytes
) -> NDArray[Any]:
    if encoding != "ascii":
        if len(body) < count * dtype.itemsize:
            raise DataError(f"map {path} is truncated: {count} points are not all there")
        return np.frombuffer(body, dtype, count)
    rows = [line.split() for line in body.decode("ascii", "replace").splitlines() if line.strip()]
    if len(rows) < count:
        raise DataError(f"map {path} is truncated: {len(rows)} of {count} points are there")
    vertices = np.empty(count, dtype)
    try:
        table = np.array(rows[:count], np.float64).reshape(count, len(dtype.names or ()))
    except ValueError as error:
        raise DataError(f"map {path}: a point has a wrong number of fields or no number") from error
    for i, name in enumerate(dtype.names or ()):
        vertices[name] = table[:, i]
    return vertices


def _ply_taxonomy(path: Path, comments: list[str]) -> Taxonomy:
    name = next((c[9:] for c in comments if c.startswith("taxonomy ")), None)
    classes = [m for m in map(_CLASS_COMMENT.fullmatch, comments) if m]
    if name is None or not classes:
        raise DataError(f"map {path} does not say what its classes are; give a taxonomy")
    colors = tuple((int(m[3]), int(m[4]), int(m[5])) for m in classes)
    return Taxonomy(name, tuple(m[2] for m in classes), colors)


def _ply_scale(path: Path, comments: list[str]) -> Scale:
    name = next((c[6:] for c in comments if c.startswith("scale ")), "arbitrary")
    for scale in get_args(Scale):
        if name == scale:
            return scale
    raise DataError(f"map {path} has unknown scale '{name}'")
