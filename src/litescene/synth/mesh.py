"""Triangle meshes with smooth normals and surface coordinates, and the solids they are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mesh:
    """n triangles: `corners` and `normals` n×3×3, `uv` n×3×2 metres on the surface, `surface`,
    `instance` (0: none) and `part` (which moving part it belongs to) n int32.
    """

    corners: F64
    normals: F64
    uv: F64
    surface: NDArray[np.int32]
    instance: NDArray[np.int32]
    part: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.corners)

    def placed(self, position: ArrayLike, yaw: float, scale: float = 1.0) -> Mesh:
        """Turned about z by `yaw`, scaled, then moved."""
        c, s = np.cos(yaw), np.sin(yaw)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]])
        corners = self.corners @ turn * scale + np.asarray(position, float)
        return replace(self, corners=corners, normals=self.normals @ turn)

    def of_instance(self, instance: int) -> Mesh:
        """The same mesh with every triangle in `instance`."""
        return replace(self, instance=np.full(len(self), instance, np.int32))


def joined(meshes: Sequence[Mesh]) -> Mesh:
    """All triangles of `meshes` in order."""
    names = ("corners", "normals", "uv", "surface", "instance", "part")
    return Mesh(*(np.concatenate([getattr(m, name) for m in meshes]) for name in names))


def shape(
    corners: ArrayLike,
    surface: int,
    *,
    normals: ArrayLike | None = None,
    uv: ArrayLike | None = None,
    instance: int = 0,
    part: int = 0,
) -> Mesh:
    """A mesh of one surface; normals default to flat ones, uv to planar ones."""
    c = np.asarray(corners, float).reshape(-1, 3, 3)
    flat = flat_normals(c)
    n = np.repeat(flat[:, None], 3, axis=1) if normals is None else np.asarray(normals, float)
    coordinates = planar_uv(c, flat) if uv is None else np.asarray(uv, float)
    full = [np.full(len(c), value, np.int32) for value in (surface, instance, part)]
    return Mesh(c, n.reshape(-1, 3, 3), coordinates.reshape(-1, 3, 2), *full)


def flat_normals(corners: F64) -> F64:
    """Unit normals n×3, right-hand rule over the corners."""
    n = crossed(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.sqrt(np.einsum("ni,ni->n", n, n))
    return np.asarray(n / np.maximum(length, 1e-12)[:, None])


def crossed(a: F64, b: F64) -> F64:
    """Cross products of n×3 and n×3; for few rows much faster than `numpy.cross`."""
    out = np.empty_like(a)
    out[:, 0] = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
    out[:, 1] = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
    out[:, 2] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return out


def planar_uv(corners: F64, normals: F64) -> F64:
    """Metres along the horizontal tangent, and metres of height (or of y on flat ground)."""
    level = np.abs(normals[:, 2]) > 0.9
    length = np.maximum(np.hypot(normals[:, 0], normals[:, 1]), 1e-9)
    tangent = np.zeros_like(normals)
    tangent[:, 0] = np.where(level, 1.0, -normals[:, 1] / length)
    tangent[:, 1] = np.where(level, 0.0, normals[:, 0] / length)
    upward = crossed(normals, tangent)
    upward[level] = (0.0, 1.0, 0.0)
    axes = np.stack([tangent, upward], axis=1)
    return np.einsum("nij,nkj->nik", corners, axes)


def quad(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> F64:
    """Two triangles of the four-cornered face a, b, c, d (anticlockwise from outside)."""
    return np.array([[a, b, c], [a, c, d]], float)


def box(low: ArrayLike, high: ArrayLike) -> F64:
    """Twelve triangles of an axis-aligned box."""
    (x0, y0, z0), (x1, y1, z1) = np.asarray(low, float), np.asarray(high, float)
    return prism([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], z0, z1)


def prism(
    outline: ArrayLike, z0: float, z1: float, *, top: bool = True, bottom: bool = True
) -> F64:
    """Triangles of a convex outline (k×2, anticlockwise) extruded from z0 to z1."""
    ring = np.asarray(outline, float)
    low = np.column_stack([ring, np.full(len(ring), z0)])
    high = np.column_stack([ring, np.full(len(ring), z1)])
    low_next, high_next = np.roll(low, -1, axis=0), np.roll(high, -1, axis=0)
    sides = np.stack([low, low_next, high_next, low, high_next, high], axis=1)
    faces = [sides.reshape(-1, 3, 3)]
    if top:
        faces.append(fan(high))
    if bottom:
        faces.append(fan(low[::-1]))
    return np.concatenate(faces)


def fan(ring: ArrayLike) -> F64:
    """Triangles of a convex polygon, k×3."""
    r = np.asarray(ring, float)
    return np.stack([np.broadcast_to(r[0], (len(r) - 2, 3)), r[1:-1], r[2:]], axis=1)


def tube(start: ArrayLike, end: ArrayLike, r0: float, r1: float, sides: int = 6) -> tuple[F64, F64]:
    """Corners and smooth normals of a tapered tube with open ends."""
    a, b = np.asarray(start, float), np.asarray(end, float)
    x, y, z = (b - a).tolist()
    length = max(math.hypot(x, y, z), 1e-9)
    x, y, z = x / length, y / length, z / length
    # any direction across the axis, then the one across both
    side = np.array([0.0, z, -y] if abs(x) < 0.8 else [-z, 0.0, x])
    side /= math.hypot(*side)
    up = np.array([y * side[2] - z * side[1], z * side[0] - x * side[2], x * side[1] - y * side[0]])
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * up
    nxt = np.roll(ring, -1, axis=0)
    p = np.stack([a + r0 * ring, a + r0 * nxt, b + r1 * nxt, b + r1 * ring], axis=1)
    n = np.stack([ring, nxt, nxt, ring], axis=1)
    order = [[0, 1, 2], [0, 2, 3]]
    return p[:, order].reshape(-1, 3, 3), n[:, order].reshape(-1, 3, 3)


def ball(center: ArrayLike, radii: ArrayLike, rings: int = 5, sides: int = 8) -> tuple[F64, F64]:
    """Corners and smooth normals of an ellipsoid."""
    c, r = np.asarray(center, float), np.broadcast_to(np.asarray(radii, float), (3,))
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, rings + 1), np.linspace(0, 2 * np.pi, sides + 1), indexing="ij"
    )
    unit = np.stack(
        [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=2
    )
    i, j = np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij")
    a, b = i.ravel(), j.ravel()
    square = np.stack([unit[a, b], unit[a + 1, b], unit[a + 1, b + 1], unit[a, b + 1]], axis=1)
    triangles = square[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
    area = np.linalg.norm(
        crossed(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1
    )
    triangles = triangles[area > 1e-6]
    normals = triangles / r
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    return c + triangles * r, normals


def turned(corners: F64, yaw: float, position: ArrayLike = (0.0, 0.0, 0.0)) -> F64:
    """Corners turned about z by `yaw`, then moved."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.asarray(corners @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1.0]]) + position)
