"""The two-view start: relative pose and first points from one pair of pictures.

An essential matrix and a homography are both fitted, and the one that explains more of the
matches is decomposed (R. Mur-Artal et al., "ORB-SLAM", 2015, section IV): a plane or a small
baseline favours the homography, everything else the essential matrix. A start needs parallax;
a camera that turns on the spot or stands still gives none. Two views of a plane at an angle leave
two motions possible; a view between them tells which it was, once the camera moved far enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.geometry import (
    interpolate,
    invert,
    parallax_angles,
    poses_from_essential,
    poses_from_homography,
    sampson_distance,
    symmetric_transfer_distance,
    transform_points,
    triangulate_two_views,
)
from litescene.scene.bundle_adjustment import Problem, adjust, refine_pose
from litescene.scene.settings import OdometrySettings

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

_NOISE = 1.0
"""Expected error of a followed corner, pixels."""
_CHI2_LINE, _CHI2_POINT = 3.84, 5.99
"""95 % bounds of squared errors with one and two degrees of freedom."""
_HOMOGRAPHY_SHARE = 0.45
"""The homography is taken when its share of the two scores is larger."""
_AMBIGUOUS = 0.75
"""Decompositions with more points than this share of the best one's are its rivals."""
_CLEARLY = 1.4
"""How much larger the rivals' median error in a third view must be."""
_FINEST = 0.02
"""Below this, pixels, differences of errors tell nothing."""


@dataclass(frozen=True, slots=True)
class TwoViewStart:
    """`T_b_a` 4×4; `points` n×3 in view a (median depth 1); `good` n bool; which `model` won."""

    T_b_a: Floats
    points: Floats
    good: Mask
    model: str


def ransac_parameters(seed: int, threshold: float) -> Any:
    """OpenCV's USAC settings with a fixed random state, so that runs repeat bit for bit."""
    parameters = cv2.UsacParams()
    parameters.randomGeneratorState = seed % (1 << 31)  # a C int
    parameters.threshold = threshold
    parameters.confidence = 0.999
    parameters.maxIterations = 1000
    parameters.score = cv2.SCORE_METHOD_MSAC
    parameters.loMethod = cv2.LOCAL_OPTIM_INNER_LO
    return parameters


def two_view_start(
    rays_a: Floats,
    rays_b: Floats,
    focal: float,
    settings: OdometrySettings,
    seed: int = 0,
    between: Callable[[], Floats] | None = None,
) -> TwoViewStart | None:
    """Pose and points from matches `rays_a`, `rays_b` (n×2 normalised), or None without parallax.

    `focal` in pixels turns errors of rays into pixels. `between` gives the rays of the same points
    in a view halfway, where a plane leaves several motions possible; without it, or where that
    view does not tell them apart either, there is no start.
    """
    if len(rays_a) < settings.least_start:
        return None
    candidates, model = _candidates(rays_a, rays_b, focal, seed)
    judged = [_judge(T, rays_a, rays_b, focal) for T in candidates]
    counts = [int(good.sum()) for _, good in judged]
    if not counts or max(counts) < settings.least_start:
        return None
    rivals = [i for i, count in enumerate(counts) if count >= _AMBIGUOUS * max(counts)]
    if len(rivals) > 1 and (model != "homography" or between is None):
        return None
    starts = []
    for i in rivals:
        start = _refined(candidates[i], *judged[i], rays_a, rays_b, focal, settings, model)
        if start is None:
            return None
        starts.append(start)
    if between is None or len(starts) == 1:
        return starts[0]
    return _told_apart(starts, between(), focal, settings)


def _candidates(rays_a: Floats, rays_b: Floats, focal: float, seed: int) -> tuple[Floats, str]:
    eye, parameters = np.eye(3), ransac_parameters(seed, _NOISE * 1.96 / focal)
    essential, _ = cv2.findEssentialMat(rays_a, rays_b, eye, eye, None, None, parameters)
    parameters = ransac_parameters(seed, _NOISE * 2.45 / focal)
    homography, _ = cv2.findHomography(rays_a, rays_b, parameters)
    essential_score = homography_score = 0.0
    if essential is not None and essential.shape == (3, 3):
        squared = np.square(focal * sampson_distance(essential, rays_a, rays_b) / _NOISE)
        essential_score = float(np.where(squared < _CHI2_LINE, _CHI2_POINT - squared, 0.0).sum())
    if homography is not None and abs(np.linalg.det(homography)) > 1e-12:
        distance = symmetric_transfer_distance(homography, rays_a, rays_b)
        squared = np.square(focal * distance / _NOISE) / 2
        homography_score = float(np.where(squared < _CHI2_POINT, _CHI2_POINT - squared, 0.0).sum())
    total = essential_score + homography_score
    if total == 0:
        return np.zeros((0, 4, 4)), "none"
    if homography_score > _HOMOGRAPHY_SHARE * total:
        return poses_from_homography(homography)[0], "homography"
    return poses_from_essential(essential), "essential"


def _judge(T_b_a: Floats, rays_a: Floats, rays_b: Floats, focal: float) -> tuple[Floats, Mask]:
    """Triangulated points in view a, and which of them both views see in front and agree on."""
    points = triangulate_two_views(T_b_a, rays_a, rays_b)
    in_b = transform_points(T_b_a, points)
    front = (points[:, 2] > 1e-6) & (in_b[:, 2] > 1e-6)
    errors = np.zeros(len(points))
    for seen, rays in ((points, rays_a), (in_b, rays_b)):
        depth = np.where(front, seen[:, 2], 1.0)[:, None]
        errors = np.maximum(errors, focal * np.linalg.norm(seen[:, :2] / depth - rays, axis=1))
    return points, front & (errors < 2.45 * _NOISE)


def _told_apart(
    starts: Sequence[TwoViewStart], rays: Floats, focal: float, settings: OdometrySettings
) -> TwoViewStart | None:
    """The start that explains the `rays` of a view between clearly better than the others do."""
    shared = np.logical_and.reduce([start.good for start in starts])
    if shared.sum() < settings.least_start:
        return None
    misfits = []
    for start in starts:
        halfway = interpolate(np.eye(4), start.T_b_a, 0.5)[:3]
        _, errors = refine_pose(
            halfway, start.points[shared], rays[shared], focal, huber=settings.huber
        )
        misfits.append(float(np.median(errors)))
    best, runner_up = sorted(misfits)[:2]
    if best > _NOISE or runner_up + _FINEST < _CLEARLY * (best + _FINEST):
        return None
    return starts[misfits.index(best)]


def _refined(
    T_b_a: Floats,
    points: Floats,
    good: Mask,
    rays_a: Floats,
    rays_b: Floats,
    focal: float,
    settings: OdometrySettings,
    model: str,
) -> TwoViewStart | None:
    chosen = np.flatnonzero(good)
    problem = Problem(
        np.stack([np.eye(4)[:3], T_b_a[:3]]),
        np.array([False, True]),
        points[chosen],
        2 * np.arange(len(chosen) + 1),
        np.tile(np.array([0, 1]), len(chosen)),
        np.stack([rays_a[chosen], rays_b[chosen]], axis=1).reshape(-1, 2),
        focal,
    )
    solution = adjust(problem, huber=settings.huber, iterations=10)
    worst = solution.errors.reshape(-1, 2).max(axis=1)
    T = np.eye(4)
    T[:3] = solution.poses[1]
    angles = np.degrees(parallax_angles(np.zeros(3), invert(T)[:3, 3], solution.points))
    keep = (worst < 2.45 * _NOISE) & (solution.points[:, 2] > 0)
    if keep.sum() < settings.least_start or np.median(angles[keep]) < settings.start_degrees:
        return None
    scale = 1.0 / float(np.median(solution.points[keep, 2]))
    T[:3, 3] *= scale
    placed, agreed = points.copy(), np.zeros(len(points), bool)
    placed[chosen] = solution.points * scale
    agreed[chosen[keep & (angles > 0.3)]] = True
    return TwoViewStart(T, placed, agreed, model)
