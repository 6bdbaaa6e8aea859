"""Least-squares alignment of two point sets (S. Umeyama, PAMI 1991)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from litescene.geometry.rotation import Array


def umeyama(
    source: ArrayLike, target: ArrayLike, with_scale: bool = True
) -> tuple[float, Array, Array]:
    """Scale, rotation and translation that bring `source` n×3 closest to `target` n×3.

    Minimises the sum of |target - (s·R·source + t)|²; `s` is 1 unless `with_scale`. The result
    is a proper rotation also where the best orthogonal matrix would be a reflection. Raises
    `ValueError` for fewer than three points or, with scale, for a source without extent.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise ValueError(f"alignment takes two n×3 sets, not {source.shape} and {target.shape}")
    if len(source) < 3:
        raise ValueError(f"alignment needs at least 3 points, not {len(source)}")
    mean_source, mean_target = source.mean(axis=0), target.mean(axis=0)
    centred = source - mean_source
    covariance = (target - mean_target).T @ centred / len(source)
    U, singular, Vt = np.linalg.svd(covariance)
    sign = np.ones(3)
    if np.linalg.det(U) * np.linalg.det(Vt) < 0:
        sign[2] = -1.0
    R = (U * sign) @ Vt
    s = 1.0
    if with_scale:
        variance = float(np.square(centred).sum() / len(source))
        if variance <= np.finfo(np.float64).tiny:
            raise ValueError("no scale can be found: all source points coincide")
        s = float(singular @ sign) / variance
    return s, R, mean_target - s * R @ mean_source


def apply_alignment(s: float, R: ArrayLike, t: ArrayLike, points: ArrayLike) -> Array:
    """Points n×3 mapped by `s·R·x + t`."""
    return s * np.asarray(points, np.float64) @ np.asarray(R, np.float64).T + np.asarray(t)


def align_poses(s: float, R: ArrayLike, t: ArrayLike, poses: ArrayLike) -> Array:
    """Poses n×4×4 (`T_world_camera`) in the aligned world; rotations stay rotations."""
    aligned = np.array(poses, np.float64)
    aligned[:, :3, :3] = np.asarray(R, np.float64) @ aligned[:, :3, :3]
    aligned[:, :3, 3] = apply_alignment(s, R, t, aligned[:, :3, 3])
    return aligned
