"""Kernels of the voxel map: a hash table of integer triples, and the fusion of measurements.

The table is open addressing with linear probing over flat arrays (Nießner et al., "Real-time 3D
reconstruction at scale using voxel hashing", SIGGRAPH Asia 2013, hash function of Teschner et
al. 2003); its entries are row numbers of the voxel arrays, -1 where empty.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

INSTANCE_SLOTS = 4
"""Distinct object ids that one voxel remembers."""
LEAST_LOG = np.float32(-12.0)
"""Log-likelihood below the best class at which a class stops falling, so that it can come back."""


LARGEST_KEY = 1 << 30


class Voxels(NamedTuple):
    """Flat arrays with one row per voxel."""

    key: I32
    """n×3, the voxel's place in units of its size."""
    weight: F32
    """n, sum of the measurements' weights."""
    position: F64
    """n×3, weighted mean of the measured points."""
    color: F32
    """n×3, weighted mean, 0..255."""
    log_likelihood: F32
    """n×classes, relative to the best class, which is at 0."""
    labelled: NDArray[np.bool_]
    """n, whether a label was ever observed."""
    instances: I32
    """n×4, distinct object ids, -1 where free."""
    observations: I32
    """n, measurements."""
    views: I32
    """n, distinct views, as long as they come one after the other."""
    last_view: I32
    """n."""
    anchor: I32
    """n, the view of the most certain measurement: the voxel moves with it."""
    anchor_weight: F32
    """n, weight of that measurement."""


@njit(cache=True, nogil=True, error_model="numpy")
def _slot(i: int, j: int, k: int, keys: I32, table: I32) -> int:
    """Table position of the voxel (i, j, k), or of the empty place where it belongs."""
    mask = np.uint64(table.size - 1)
    code = (
        np.uint64(i) * np.uint64(73856093)
        ^ np.uint64(j) * np.uint64(19349669)
        ^ np.uint64(k) * np.uint64(83492791)
    )
    # The low bits of the products are poor; a multiplication carries the high ones down.
    code = (code * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(20)
    at = code & mask
    while True:
        row = table[at]
        if row < 0 or (keys[row, 0] == i and keys[row, 1] == j and keys[row, 2] == k):
            return int(at)
        at = (at + np.uint64(1)) & mask


@njit(cache=True, nogil=True, error_model="numpy")
def rebuild_table(keys: I32, count: int, table: I32) -> None:
    """Fills an empty table (all -1) with the first `count` keys."""
    for row in range(count):
        table[_slot(keys[row, 0], keys[row, 1], keys[row, 2], keys, table)] = row


@njit(cache=True, nogil=True, error_model="numpy")
def count_occupied(keys: I32, count: int, table: I32) -> NDArray[np.uint8]:
    """Number of occupied voxels among the 26 around each one."""
    around = np.zeros(count, np.uint8)
    for row in range(count):
        for di in range(-1, 2):
            for dj in range(-1, 2):
                for dk in range(-1, 2):
                    at = _slot(keys[row, 0] + di, keys[row, 1] + dj, keys[row, 2] + dk, keys, table)
                    around[row] += table[at] >= 0
        around[row] -= 1
    return around


@njit(cache=True, nogil=True, error_model="numpy")
def back_project(
    depth: F32,
    sigma: F32,
    labels: NDArray[np.uint8],
    skipped: NDArray[np.bool_],
    rays: F64,
    rotation: F64,
    translation: F64,
) -> tuple[I32, F64, F32]:
    """World points of the known pixels whose label is not skipped.

    `rays` 4: fx, fy, cx, cy; `sigma` standard deviation of the inverse depth. Returns rows and
    columns (n×2), points (n×3) and weights (n): the inverse variance of the depth relative to
    the depth, which no unit changes.
    """
    height, width = depth.shape
    fx, fy, cx, cy = rays
    count = 0
    for y in range(height):
        for x in range(width):
            count += depth[y, x] > 0
    pixels = np.empty((count, 2), np.int32)
    points = np.empty((count, 3), np.float64)
    weights = np.empty(count, np.float32)
    count = 0
    for y in range(height):
        for x in range(width):
            z = float(depth[y, x])
            if z <= 0 or skipped[labels[y, x]]:
                continue
            a, b = (x - cx) / fx * z, (y - cy) / fy * z
            for i in range(3):
                points[count, i] = (
                    rotation[i, 0] * a + rotation[i, 1] * b + rotation[i, 2] * z + translation[i]
                )
            relative = max(float(sigma[y, x]) * z, 1e-3)
            weights[count] = 1e-4 / (relative * relative)
            pixels[count, 0], pixels[count, 1] = y, x
            count += 1
    return pixels[:count], points[:count], weights[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_class(log_likelihood: F32, log_model: F32, label: int) -> None:
    """Bayes' rule with one observed label; the best class stays at 0, the others above a floor."""
    best = np.float32(-1e30)
    for c in range(log_likelihood.size):
        log_likelihood[c] += log_model[c, label]
        best = max(best, log_likelihood[c])
    for c in range(log_likelihood.size):
        log_likelihood[c] = max(log_likelihood[c] - best, LEAST_LOG)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_instance(instances: I32, identity: int) -> None:
    for s in range(instances.size):
        if instances[s] == identity:
            return
        if instances[s] < 0:
            instances[s] = identity
            return


@njit(cache=True, nogil=True, error_model="numpy")
def _row_of(point: F64, size: float, table: I32, count: int, voxels: Voxels) -> int:
    """Row of the voxel that holds a point; a new, cleared row `count` where there is none yet.

    -1 for points too far away to be counted in voxels.
    """
    if not max(abs(point[0]), abs(point[1]), abs(point[2])) < LARGEST_KEY * size:
        return -1
    key = voxels.key
    i, j, k = math.floor(point[0] / size), math.floor(point[1] / size), math.floor(point[2] / size)
    at = _slot(i, j, k, key, table)
    if table[at] >= 0:
        return int(table[at])
    table[at] = count
    key[count, 0], key[count, 1], key[count, 2] = i, j, k
    voxels.weight[count] = voxels.anchor_weight[count] = 0.0
    voxels.position[count, :] = 0.0
    voxels.color[count, :] = 0.0
    voxels.log_likelihood[count, :] = 0.0
    voxels.labelled[count] = False
    voxels.instances[count, :] = -1
    voxels.observations[count] = voxels.views[count] = 0
    voxels.last_view[count] = voxels.anchor[count] = -1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def fuse(
    points: F64,
    weights: F32,
    pixels: I32,
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    instances: I32,
    log_model: F32,
    view: int,
    size: float,
    table: I32,
    count: int,
    voxels: Voxels,
) -> int:
    """Fuses one view's points into the voxels; returns the new number of voxels.

    `log_model` classes×classes: log probability of an observed label (column) given the true one
    (row). The caller has made room for as many new voxels as there are points.
    """
    classes = log_model.shape[0]
    for n in range(points.shape[0]):
        row = _row_of(points[n], size, table, count, voxels)
        if row < 0:
            continue
        count = max(count, row + 1)
        y, x = pixels[n, 0], pixels[n, 1]
        voxels.weight[row] += weights[n]
        share = weights[n] / voxels.weight[row]
        for c in range(3):
            voxels.position[row, c] += share * (points[n, c] - voxels.position[row, c])
            voxels.color[row, c] += share * (np.float32(image[y, x, c]) - voxels.color[row, c])
        if labels[y, x] < classes:
            _add_class(voxels.log_likelihood[row], log_model, labels[y, x])
            voxels.labelled[row] = True
        if instances[y, x] >= 0:
            _add_instance(voxels.instances[row], instances[y, x])
        voxels.observations[row] += 1
        voxels.views[row] += voxels.last_view[row] != view
        voxels.last_view[row] = view
        if weights[n] > voxels.anchor_weight[row]:
            voxels.anchor_weight[row] = weights[n]
            voxels.anchor[row] = view
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def merge(source: Voxels, moved: F64, size: float, table: I32, target: Voxels) -> int:
    """Puts voxels at moved positions (n×3) into empty arrays, joining those that meet."""
    count = 0
    for n in range(moved.shape[0]):
        row = _row_of(moved[n], size, table, count, target)
        if row < 0:
            continue
        count = max(count, row + 1)
        target.weight[row] += source.weight[n]
        share = source.weight[n] / target.weight[row]
        best = np.float32(-1e30)
        for c in range(3):
            target.position[row, c] += share * (moved[n, c] - target.position[row, c])
            target.color[row, c] += share * (source.color[n, c] - target.color[row, c])
        logs = target.log_likelihood[row]
        for c in range(logs.size):
            logs[c] += source.log_likelihood[n, c]
            best = max(best, logs[c])
        for c in range(logs.size):
            logs[c] = max(logs[c] - best, LEAST_LOG)
        target.labelled[row] |= source.labelled[n]
        for s in range(INSTANCE_SLOTS):
            if source.instances[n, s] >= 0:
                _add_instance(target.instances[row], source.instances[n, s])
        target.observations[row] += source.observations[n]
        target.views[row] += source.views[n]
        target.last_view[row] = max(target.last_view[row], source.last_view[n])
        if source.anchor_weight[n] > target.anchor_weight[row]:
            target.anchor_weight[row] = source.anchor_weight[n]
            target.anchor[row] = source.anchor[n]
    return count
