"""Truth made of a pass: exact optical flow and the boxes of visible objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.core import STREET_OBJECTS, Camera, Detections
from litescene.core.njit import njit
from litescene.synth.raycast import F32
from litescene.synth.render import Pass
from litescene.synth.stage import Stage

SMALLEST = 3
"""Boxes narrower or lower than this (pixels) are left out."""
FEWEST = 12
"""Objects with fewer visible pixels than this are left out."""


@dataclass(frozen=True, slots=True)
class Objects:
    """n visible objects: `boxes` n×4 float32 x1, y1, x2, y2 tight around the visible pixels (a
    pixel (x, y) covers x to x+1, y to y+1); `classes` n int32 in STREET_OBJECTS; `ids` n int32,
    the values of the instance map; `pixels` n int32 visible pixels; `visible` n float32, their
    share of all pixels the object would fill unhidden within the picture; `truncated` n float32,
    share of the object's whole box that lies outside the picture.
    """

    boxes: F32
    classes: NDArray[np.int32]
    ids: NDArray[np.int32]
    pixels: NDArray[np.int32]
    visible: F32
    truncated: F32

    def __len__(self) -> int:
        return len(self.boxes)

    def detections(self) -> Detections:
        """The same as detections of score 1."""
        return Detections(
            self.boxes, np.ones(len(self), np.float32), self.classes, STREET_OBJECTS, self.ids
        )


def flow_between(now: Pass, after: Pass, camera: Camera) -> tuple[F32, NDArray[np.bool_]]:
    """Flow H×W×2 float32 from one pass to the next, and where the point is seen in the next.

    Visible means: it falls inside the picture and lies on or before the surface that one of the
    four pixels around it sees (or that pixel sees the same triangle).
    """
    stage = now.moment.stage
    slot = np.full(int(stage.first[-1]), -1, np.int32)
    slot[now.moment.index] = np.arange(len(now.moment.index), dtype=np.int32)
    later = now.moment.corners_at(after.time)
    inverse = np.linalg.inv(after.pose)
    k = np.array([camera.fx, camera.fy, camera.cx, camera.cy])
    h, w = now.labels.shape
    flow, valid = np.zeros((h * w, 2), np.float32), np.zeros(h * w, np.bool_)
    _flow(
        now.hits.triangle,
        now.hits.distance,
        now.hits.barycentric,
        now.directions.astype(np.float64),
        now.pose[:3, 3].copy(),
        inverse,
        k,
        slot,
        later,
        after.hits.triangle,
        after.depth,
        flow,
        valid,
    )
    return flow.reshape(h, w, 2), valid.reshape(h, w)


@njit(cache=True, nogil=True, error_model="numpy")
def _flow(
    triangle: NDArray[np.int32],
    distance: F32,
    barycentric: F32,
    directions: NDArray[np.float64],
    origin: NDArray[np.float64],
    inverse: NDArray[np.float64],
    k: NDArray[np.float64],
    slot: NDArray[np.int32],
    later: F32,
    next_triangle: NDArray[np.int32],
    next_depth: F32,
    flow: F32,
    valid: NDArray[np.bool_],
) -> None:
    height, width = next_depth.shape
    p = np.zeros(3)
    q = np.zeros(3)
    for i in range(len(triangle)):
        t = triangle[i]
        weight = 1.0
        if t < 0:
            weight = 0.0  # infinitely far: only the turn of the camera counts
            p[:] = directions[i]
        elif slot[t] >= 0:
            c = later[slot[t]]
            u, v = barycentric[i, 0], barycentric[i, 1]
            for a in range(3):
                p[a] = (1.0 - u - v) * c[0, a] + u * c[1, a] + v * c[2, a]
        else:
            for a in range(3):
                p[a] = origin[a] + directions[i, a] * distance[i]
        for a in range(3):
            q[a] = (
                inverse[a, 0] * p[0]
                + inverse[a, 1] * p[1]
                + inverse[a, 2] * p[2]
                + weight * inverse[a, 3]
            )
        if q[2] <= 1e-3:
            continue
        x, y = k[0] * q[0] / q[2] + k[2], k[1] * q[1] / q[2] + k[3]
        flow[i, 0] = x - i % width
        flow[i, 1] = y - i // width
        if x < 0 or y < 0 or x > width - 1 or y > height - 1:
            continue
        x0, y0 = min(int(x), width - 2), min(int(y), height - 2)
        for dy in range(2):
            for dx in range(2):
                other = next_triangle[(y0 + dy) * width + x0 + dx]
                reach = next_depth[y0 + dy, x0 + dx] * 1.003
                if other == t or (t >= 0 and (other < 0 or q[2] <= reach)):
                    valid[i] = True


def visible_objects(
    seen: Pass, stage: Stage, classes: NDArray[np.int32], camera: Camera
) -> Objects:
    """Boxes of the objects that the instance map of a pass shows."""
    count = len(classes)
    pixels = np.bincount(seen.instances.ravel(), minlength=count)
    low_x, low_y, high_x, high_y = extents(seen.instances, count)
    big = (high_x - low_x + 1 >= SMALLEST) & (high_y - low_y + 1 >= SMALLEST)
    ids = np.flatnonzero((classes >= 0) & (pixels >= FEWEST) & big)
    boxes = np.stack([low_x[ids], low_y[ids], high_x[ids] + 1, high_y[ids] + 1], axis=1)
    whole, outside = _silhouettes(seen, stage, ids, camera)
    share = pixels[ids] / np.maximum(whole, pixels[ids])
    return Objects(
        boxes.astype(np.float32),
        classes[ids],
        ids.astype(np.int32),
        pixels[ids].astype(np.int32),
        share.astype(np.float32),
        outside.astype(np.float32),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def extents(
    instances: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Smallest and largest column and row of every instance number below `count`."""
    height, width = instances.shape
    low_x, low_y = np.full(count, width), np.full(count, height)
    high_x, high_y = np.full(count, -1), np.full(count, -1)
    for y in range(height):
        for x in range(width):
            k = instances[y, x]
            low_x[k], high_x[k] = min(low_x[k], x), max(high_x[k], x)
            low_y[k], high_y[k] = min(low_y[k], y), max(high_y[k], y)
    return low_x, low_y, high_x, high_y


def _silhouettes(
    seen: Pass, stage: Stage, ids: NDArray[np.int64], camera: Camera
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pixels each object would fill alone, and the share of its box outside the picture."""
    whole, outside = np.zeros(len(ids), np.int64), np.zeros(len(ids))
    moving = stage.instance[seen.moment.index]
    for k, instance in enumerate(ids):
        corners = seen.moment.corners[moving == instance]
        if not len(corners):
            corners = stage.rest[stage.members(int(instance))]
        p = (corners - seen.pose[:3, 3]) @ seen.pose[:3, :3]
        z = np.maximum(p[..., 2], 0.05)
        xy = np.stack(
            [camera.fx * p[..., 0] / z + camera.cx, camera.fy * p[..., 1] / z + camera.cy], axis=-1
        )
        front = (p[..., 2] > 0.05).all(axis=1)
        whole[k] = _covered(xy[front], camera.width, camera.height)
        x0, y0 = xy.reshape(-1, 2).min(axis=0) + 0.5
        x1, y1 = xy.reshape(-1, 2).max(axis=0) + 0.5
        inside = max(0.0, min(x1, camera.width) - max(x0, 0.0)) * max(
            0.0, min(y1, camera.height) - max(y0, 0.0)
        )
        outside[k] = 1.0 - inside / max((x1 - x0) * (y1 - y0), 1e-9)
    return whole, np.clip(outside, 0.0, 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _covered(xy: NDArray[np.float64], width: int, height: int) -> int:
    """Number of pixel centres inside any of n projected triangles (n×3×2)."""
    if len(xy) == 0:
        return 0
    left = max(0, int(np.floor(xy[:, :, 0].min())))
    right = min(width - 1, int(np.ceil(xy[:, :, 0].max())))
    top = max(0, int(np.floor(xy[:, :, 1].min())))
    bottom = min(height - 1, int(np.ceil(xy[:, :, 1].max())))
    if right < left or bottom < top:
        return 0
    mask = np.zeros((bottom - top + 1, right - left + 1), np.bool_)
    for t in range(len(xy)):
        a, b, c = xy[t, 0], xy[t, 1], xy[t, 2]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(area) < 1e-9:
            continue
        y0 = max(top, int(np.ceil(min(a[1], b[1], c[1]))))
        y1 = min(bottom, int(np.floor(max(a[1], b[1], c[1]))))
        x0 = max(left, int(np.ceil(min(a[0], b[0], c[0]))))
        x1 = min(right, int(np.floor(max(a[0], b[0], c[0]))))
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                u = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
                v = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
                if u >= 0 and v >= 0 and u + v <= 1:
                    mask[y - top, x - left] = True
    return int(mask.sum())
