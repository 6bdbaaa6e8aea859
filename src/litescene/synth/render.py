"""From a camera pose to a picture: primary rays, shadows, shading, smooth edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.core import Camera
from litescene.core.njit import njit
from litescene.synth.raycast import F32, Hits
from litescene.synth.shading import Weather, shade, tone_curve
from litescene.synth.stage import Moment, Slate, Stage
from litescene.synth.surfaces import LEAVES

EXTRA = np.array([[-0.31, -0.2], [0.26, 0.3]])
"""Further samples of pixels on edges, in pixels from the centre."""
OPEN = 2.2
"""Metres above the ground within which a roof (a car's floor, say) takes away the sky's light."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What the pixel centres see: `hits` per pixel in row order, and the maps made of them;
    `movable` marks the pixels (row order) in which movers may be.
    """

    time: float
    pose: NDArray[np.float64]
    moment: Moment
    hits: Hits
    directions: F32
    movable: NDArray[np.bool_]
    depth: F32
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32]


class Renderer:
    """Renders the stage for one camera and one day's light."""

    def __init__(
        self,
        camera: Camera,
        stage: Stage,
        table: F32,
        tiles: F32,
        atlas: NDArray[np.uint8],
        weather: Weather,
    ) -> None:
        self.camera, self.stage, self.table, self.tiles = camera, stage, table, tiles
        self.atlas, self.weather = atlas, weather
        x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
        self._pixels = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
        self._day, self._tones = weather.packed, tone_curve()
        # as many as threads paint at once; lists pop and append in one step of the interpreter
        self._slates: list[Slate] = []
        self._leafy = table[stage.surface, 0] == LEAVES
        self._label = table[:, 1].astype(np.uint8)

    def _directions(self, pixels: NDArray[np.float64], pose: NDArray[np.float64]) -> F32:
        c = self.camera
        return directions_of(pixels, np.array([c.fx, c.fy, c.cx, c.cy]), pose)

    def look(self, time: float, pose: NDArray[np.float64]) -> Pass:
        """Cast the centre ray of every pixel."""
        moment = self.stage.moment(time, pose, 0.5 * self.camera.width / self.camera.fx)
        directions = self._directions(self._pixels, pose)
        origins = np.broadcast_to(pose[:3, 3].astype(np.float32), directions.shape)
        movable = self._mover_mask(moment, pose).ravel()
        hits = moment.nearest(np.ascontiguousarray(origins), directions, movable)
        size = (self.camera.height, self.camera.width)
        hit = hits.triangle >= 0
        at = np.maximum(hits.triangle, 0)
        labels = np.where(hit, self._label[self.stage.surface[at]], 0).astype(np.uint8)
        instances = np.where(hit, self.stage.instance[at], 0).astype(np.int32)
        return Pass(
            time,
            pose,
            moment,
            hits,
            directions,
            movable,
            hits.distance.reshape(size),
            labels.reshape(size),
            instances.reshape(size),
        )

    def _mover_mask(self, moment: Moment, pose: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Pixels inside the box that bounds some mover in the picture (two pixels wider)."""
        c = self.camera
        mask = np.zeros((c.height, c.width), np.bool_)
        start = 0
        for k in moment.near:
            count = int(self.stage.first[k + 2] - self.stage.first[k + 1])
            p = moment.corners[start : start + count].reshape(-1, 3)
            start += count
            p = np.einsum("ni,ij->nj", p - pose[:3, 3], pose[:3, :3])
            if p[:, 2].max() < 0.05:
                continue
            if p[:, 2].min() < 0.3:
                mask[:] = True
                continue
            x, y = c.fx * p[:, 0] / p[:, 2] + c.cx, c.fy * p[:, 1] / p[:, 2] + c.cy
            x0, x1 = (int(np.clip(v, 0, c.width)) for v in (x.min() - 2, x.max() + 3))
            y0, y1 = (int(np.clip(v, 0, c.height)) for v in (y.min() - 2, y.max() + 3))
            mask[y0:y1, x0:x1] = True
        return mask

    def paint(self, seen: Pass) -> NDArray[np.uint8]:
        """The picture of a pass: H×W×3 uint8 RGB. Several threads may paint at once."""
        slate = self._slates.pop() if self._slates else Slate(self.stage)
        seen.moment.write(slate)
        c = self.camera
        origin = seen.pose[:3, 3].astype(np.float32)
        light = self._light(seen.moment, slate, seen.hits, seen.directions, origin)
        image = self._shaded(seen, slate, seen.hits, seen.directions, light, 1.0)
        rough = np.flatnonzero(
            edge_mask(
                seen.hits.triangle,
                seen.hits.distance,
                light[0],
                slate.frames,
                self.stage.instance,
                self._leafy,
                c.width,
                c.height,
            )
        )
        movable = seen.movable[rough]
        total = image[rough]
        for offset in EXTRA:
            total += self._sampled(seen, slate, rough, offset, movable)
        image[rough] = total / np.float32(len(EXTRA) + 1)
        self._slates.append(slate)
        return np.asarray(image + np.float32(0.5), np.uint8).reshape(c.height, c.width, 3)

    def _sampled(
        self,
        seen: Pass,
        slate: Slate,
        rough: NDArray[np.int64],
        offset: NDArray[np.float64],
        movable: NDArray[np.bool_],
    ) -> F32:
        """Colours of rays `offset` pixels beside the centres of the pixels `rough`."""
        origin = seen.pose[:3, 3].astype(np.float32)
        directions = self._directions(self._pixels[rough] + offset, seen.pose)
        origins = np.ascontiguousarray(np.broadcast_to(origin, directions.shape))
        hits = seen.moment.nearest(origins, directions, movable)
        light = self._light(seen.moment, slate, hits, directions, origin)
        return self._shaded(seen, slate, hits, directions, light, 0.6)

    def _shaded(
        self,
        seen: Pass,
        slate: Slate,
        hits: Hits,
        directions: F32,
        light: tuple[F32, F32],
        spacing: float,
    ) -> F32:
        origin = seen.pose[:3, 3].astype(np.float32)
        rotation, c = seen.pose[:3, :3], self.camera
        steps = np.stack([rotation[:, 0] / c.fx, rotation[:, 1] / c.fy]) * spacing
        out = np.empty((len(hits.triangle), 3), np.float32)
        shade(
            hits.triangle,
            hits.distance,
            hits.barycentric,
            directions,
            origin,
            steps.astype(np.float32),
            *light,
            self.table,
            slate.normals,
            slate.frames,
            self.tiles,
            self.atlas,
            self._day,
            self._tones,
            out,
        )
        return out

    def _light(
        self, moment: Moment, slate: Slate, hits: Hits, directions: F32, origin: F32
    ) -> tuple[F32, F32]:
        """Sunlight (0 or 1) and openness to the sky of every sample."""
        sun = self.weather.sun
        points, toward, low = probe(
            hits.triangle, hits.distance, directions, origin, slate.frames, sun
        )
        lit = np.zeros(len(points), np.float32)
        ask = np.flatnonzero(toward)
        rays = np.ascontiguousarray(np.broadcast_to(sun, (len(ask), 3)))
        lit[ask] = ~moment.blocked(points[ask], rays, 300.0)
        open_sky = np.ones(len(points), np.float32)
        ask = np.flatnonzero(low)
        up = np.ascontiguousarray(np.broadcast_to(np.array([0, 0, 1], np.float32), (len(ask), 3)))
        open_sky[ask] = np.where(moment.blocked(points[ask], up, OPEN), 0.3, 1.0)
        return lit, open_sky


@njit(cache=True, nogil=True, error_model="numpy")
def directions_of(
    pixels: NDArray[np.float64], intrinsics: NDArray[np.float64], pose: NDArray[np.float64]
) -> F32:
    """World directions (n×3, unit camera depth) through pixels (n×2).

    A kernel and not a matrix product: a BLAS would start threads of its own, which two painters
    cannot both have, and its last bit depends on the processor.
    """
    fx, fy, cx, cy = intrinsics
    out = np.empty((len(pixels), 3), np.float32)
    for i in range(len(pixels)):
        x, y = (pixels[i, 0] - cx) / fx, (pixels[i, 1] - cy) / fy
        for a in range(3):
            out[i, a] = pose[a, 0] * x + pose[a, 1] * y + pose[a, 2]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def probe(
    triangle: NDArray[np.int32], distance: F32, directions: F32, origin: F32, frames: F32, sun: F32
) -> tuple[F32, NDArray[np.bool_], NDArray[np.bool_]]:
    """Points just above the surfaces (n×3), which of them face the sun, which lie on the ground."""
    n = len(triangle)
    points = np.empty((n, 3), np.float32)
    toward = np.zeros(n, np.bool_)
    low = np.zeros(n, np.bool_)
    for i in range(n):
        k = triangle[i]
        if k < 0:
            points[i] = origin
            continue
        t = distance[i]
        nx, ny, nz = frames[k, 0], frames[k, 1], frames[k, 2]
        facing = nx * directions[i, 0] + ny * directions[i, 1] + nz * directions[i, 2]
        if facing > 0:
            nx, ny, nz = -nx, -ny, -nz
        lift = 0.004 + 0.0002 * t
        points[i, 0] = origin[0] + directions[i, 0] * t + nx * lift
        points[i, 1] = origin[1] + directions[i, 1] * t + ny * lift
        points[i, 2] = origin[2] + directions[i, 2] * t + nz * lift
        toward[i] = nx * sun[0] + ny * sun[1] + nz * sun[2] > 0
        low[i] = nz > 0.9 and points[i, 2] < 0.3
    return points, toward, low


@njit(cache=True, nogil=True, error_model="numpy")
def _differ(
    a: int,
    b: int,
    i: int,
    j: int,
    distance: F32,
    lit: F32,
    frames: F32,
    instance: NDArray[np.int32],
    leafy: NDArray[np.bool_],
) -> bool:
    if a == b:
        return lit[i] != lit[j]
    if a < 0 or b < 0 or lit[i] != lit[j] or instance[a] != instance[b]:
        return True
    if frames[a, 14] != frames[b, 14]:
        return True
    near, far = min(distance[i], distance[j]), max(distance[i], distance[j])
    if leafy[a]:
        return far > near * 1.3
    turn = frames[a, 0] * frames[b, 0] + frames[a, 1] * frames[b, 1] + frames[a, 2] * frames[b, 2]
    return abs(turn) < 0.8 or far > near * 1.15


@njit(cache=True, nogil=True, error_model="numpy")
def edge_mask(
    triangle: NDArray[np.int32],
    distance: F32,
    lit: F32,
    frames: F32,
    instance: NDArray[np.int32],
    leafy: NDArray[np.bool_],
    width: int,
    height: int,
) -> NDArray[np.bool_]:
    """Pixels (row order) that differ in surface, light or depth from a neighbour."""
    mask = np.zeros(width * height, np.bool_)
    for y in range(height):
        for x in range(width):
            i = y * width + x
            for s in range(2):
                if (s == 0 and x + 1 == width) or (s == 1 and y + 1 == height):
                    continue
                j = i + (1 if s == 0 else width)
                if _differ(triangle[i], triangle[j], i, j, distance, lit, frames, instance, leafy):
                    mask[i] = True
                    mask[j] = True
    return mask
