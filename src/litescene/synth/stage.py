"""The triangles of one moment: the town, which stays, and the movers, which are posed anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit
from litescene.synth.mesh import F64, Mesh, crossed, joined
from litescene.synth.movers import Actor
from litescene.synth.raycast import F32, Caster, Hits

ACTIVE = 95.0
"""Movers farther away than this (metres) are left out of the picture."""
MARGIN = 9.0
"""Metres beside and behind the view within which movers still count, for their shadows."""


def surface_frames(corners: F64, uv: F64) -> F32:
    """n×14 float32: flat normal, first corner, its uv, world gradients of u and of v."""
    e1, e2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    n = crossed(e1, e2)
    square = np.maximum(np.einsum("ni,ni->n", n, n), 1e-18)[:, None]
    along1, along2 = crossed(e2, n) / square, crossed(n, e1) / square
    d1, d2 = uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]
    gradients = [d1[:, k : k + 1] * along1 + d2[:, k : k + 1] * along2 for k in range(2)]
    unit = n / np.sqrt(square)
    return np.concatenate([unit, corners[:, 0], uv[:, 0], *gradients], axis=1).astype(np.float32)


@njit(cache=True, nogil=True, error_model="numpy")
def posed(
    transforms: NDArray[np.float64], part: NDArray[np.int32], rest: F32, corners: F32
) -> None:
    """Move the corners n×3×3 of triangles at `rest` by their part's transform (k×4×4)."""
    for i in range(len(rest)):
        m = transforms[part[i]]
        for c in range(3):
            for a in range(3):
                corners[i, c, a] = (
                    m[a, 0] * rest[i, c, 0]
                    + m[a, 1] * rest[i, c, 1]
                    + m[a, 2] * rest[i, c, 2]
                    + m[a, 3]
                )


@njit(cache=True, nogil=True, error_model="numpy")
def reframed(
    transforms: NDArray[np.float64],
    part: NDArray[np.int32],
    rest_frames: F32,
    rest_normals: F32,
    corners: F32,
    frames: F32,
    normals: F32,
) -> None:
    """Turn the surface frames (n×14) and corner normals (n×9) of triangles along with them."""
    for i in range(len(part)):
        m = transforms[part[i]]
        square = m[0, 0] ** 2 + m[1, 0] ** 2 + m[2, 0] ** 2
        for a in range(3):
            for group, scale in ((0, square**-0.5), (8, 1.0 / square), (11, 1.0 / square)):
                frames[i, group + a] = scale * (
                    m[a, 0] * rest_frames[i, group]
                    + m[a, 1] * rest_frames[i, group + 1]
                    + m[a, 2] * rest_frames[i, group + 2]
                )
            for c in range(0, 9, 3):
                normals[i, c + a] = (
                    m[a, 0] * rest_normals[i, c]
                    + m[a, 1] * rest_normals[i, c + 1]
                    + m[a, 2] * rest_normals[i, c + 2]
                )
            frames[i, 3 + a] = corners[i, 0, a]
        frames[i, 6] = rest_frames[i, 6]
        frames[i, 7] = rest_frames[i, 7]


class Stage:
    """Triangles numbered through: the town first, then every mover in order."""

    def __init__(self, town: Mesh, actors: list[Actor]) -> None:
        meshes = [town, *(a.mesh for a in actors)]
        self.actors = actors
        self.first = np.cumsum([0, *(len(m) for m in meshes)])
        whole = joined(meshes)
        self.instance, self.surface, self.part = whole.instance, whole.surface, whole.part
        self.rest = whole.corners.astype(np.float32)
        self.rest_normals = whole.normals.reshape(-1, 9).astype(np.float32)
        self.rest_frames = surface_frames(whole.corners, whole.uv)
        self.fixed = Caster(self.rest[: len(town)])
        self._members: dict[int, NDArray[np.int64]] = {}

    def members(self, instance: int) -> NDArray[np.int64]:
        """Numbers of the triangles of an instance."""
        if instance not in self._members:
            self._members[instance] = np.flatnonzero(self.instance == instance)
        return self._members[instance]

    def moment(self, t: float, pose: NDArray[np.float64], slope: float) -> Moment:
        """Movers posed at time t that a camera at `pose` may see, or whose shadow it may;
        `slope` is the tangent of half its widest angle.
        """
        near = []
        for k, actor in enumerate(self.actors):
            x, y, _, _ = actor.pose(t)
            side, _, depth = pose[:3, :3].T @ (np.array([x, y, 0.0]) - pose[:3, 3])
            if depth < ACTIVE and depth > -MARGIN and abs(side) < max(depth, 0.0) * slope + MARGIN:
                near.append(k)
        return Moment(self, t, near)

    def pose_actor(self, k: int, t: float, out: F32) -> NDArray[np.float64]:
        """Corners of mover k at time t into `out`; gives the part transforms."""
        a, b = self.first[k + 1], self.first[k + 2]
        transforms = self.actors[k].transforms(t)
        posed(transforms, self.part[a:b], self.rest[a:b], out)
        return transforms


class Slate:
    """What shading reads of all triangles: `frames` m×16 float32 (surface frame, then the surface's
    number), `normals` m×9 float32. The movers stand where a moment wrote them, so one slate serves
    one picture at a time.
    """

    def __init__(self, stage: Stage) -> None:
        self.frames = np.zeros((len(stage.surface), 16), np.float32)
        self.frames[:, :14] = stage.rest_frames
        self.frames[:, 14] = stage.surface
        self.normals = stage.rest_normals.copy()


class Moment:
    """The movers of one time. `index` k: stage numbers of their triangles, whose corners are
    `self.corners` (k×3×3 float32).
    """

    def __init__(self, stage: Stage, t: float, near: list[int]) -> None:
        self.stage, self.near, self.time = stage, near, t
        ranges = [np.arange(stage.first[k + 1], stage.first[k + 2]) for k in near]
        self.index = np.concatenate([*ranges, np.zeros(0, np.int64)]).astype(np.int32)
        self.corners = self.corners_at(t)
        self.caster = Caster(self.corners) if len(self.corners) else None

    def corners_at(self, t: float) -> F32:
        """Where the same movers' triangles are at time t, k×3×3 float32."""
        out = np.empty((len(self.index), 3, 3), np.float32)
        start = 0
        for k in self.near:
            count = int(self.stage.first[k + 2] - self.stage.first[k + 1])
            self.stage.pose_actor(k, t, out[start : start + count])
            start += count
        return out

    def write(self, slate: Slate) -> None:
        """Put the movers' normals and surface frames into the slate, for shading."""
        stage, start = self.stage, 0
        for k in self.near:
            a, b = stage.first[k + 1], stage.first[k + 2]
            reframed(
                stage.actors[k].transforms(self.time),
                stage.part[a:b],
                stage.rest_frames[a:b],
                stage.rest_normals[a:b],
                self.corners[start : start + b - a],
                slate.frames[a:b],
                slate.normals[a:b],
            )
            start += b - a

    def nearest(self, origins: F32, directions: F32, movable: NDArray[np.bool_]) -> Hits:
        """First hits in town and movers; only rays in `movable` are tried against movers."""
        hits = self.stage.fixed.nearest(origins, directions)
        chosen = np.flatnonzero(movable)
        if self.caster is None or not len(chosen):
            return hits
        limit = np.where(hits.triangle[chosen] >= 0, hits.distance[chosen], np.float32(1e4))
        moving = self.caster.nearest(origins[chosen], directions[chosen], limit)
        won = moving.triangle >= 0
        at = chosen[won]
        hits.triangle[at] = self.index[moving.triangle[won]]
        hits.distance[at] = moving.distance[won]
        hits.barycentric[at] = moving.barycentric[won]
        return hits

    def blocked(self, origins: F32, directions: F32, reach: float) -> NDArray[np.bool_]:
        """Whether town or movers lie on the rays."""
        out = self.stage.fixed.blocked(origins, directions, reach)
        free = np.flatnonzero(~out)
        if self.caster is not None and len(free):
            out[free] = self.caster.blocked(origins[free], directions[free], reach)
        return out
