"""Recognising keyframes: thumbnails say which, binary descriptors say where.

Keyframes are ranked by the correlation of small blurred pictures; the best ones are matched by
upright BRIEF descriptors (E. Rublee et al., "ORB", 2011, without the rotation: cameras on the move
keep their horizon), and perspective-n-point in RANSAC decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.scene.keyframes import Keyframe, SparseMap
from litescene.scene.tracking import fit_pose, ransac_pose

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pixels = NDArray[np.float32]
Grey = NDArray[np.uint8]
Descriptors = NDArray[np.uint8]

_THUMBNAIL = (40, 30)
_PATCH = 31.0
_EDGE = 24
"""Corners nearer to the edge have no full patch at any scale used."""
_SCALE = 1.3
_LARGEST_DISTANCE = 60
"""Hamming distance of 256 bits beyond which two descriptors do not match."""
_RATIO = 0.85
"""A match must be this much better than the second best."""
_CANDIDATES = 3
"""Keyframes that are matched in full to a picture from somewhere."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """`pose` 4×4 T_world_camera by `keyframe`; landmark `ids` (n) seen at rows `corners` (n)."""

    keyframe: Keyframe
    pose: Floats
    ids: Ints
    corners: Ints


def thumbnail(grey: Grey) -> NDArray[np.float32]:
    """The picture as a blurred vector of zero mean and unit length, 1200 float32."""
    small = cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
    small = cv2.GaussianBlur(small, (3, 3), 0)
    vector = small.ravel() - small.mean()
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), np.float32)


def describe(grey: Grey, pixels: Pixels, level: int = 0) -> tuple[Descriptors, Ints]:
    """Descriptors (m×32) of those of `pixels` (n×2) far enough from the edge, and their rows (m).

    `level` describes patches 1.3 to that power larger.
    """
    factor = _SCALE**-level
    margin = _EDGE / factor
    height, width = grey.shape
    x, y = pixels[:, 0], pixels[:, 1]
    fits = (x >= margin) & (y >= margin) & (x < width - margin) & (y < height - margin)
    rows = np.flatnonzero(fits)
    if not len(rows):
        return np.zeros((0, 32), np.uint8), rows
    if level:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    points = ((pixels[rows] + 0.5) * factor - 0.5).astype(np.float32)
    orb = cv2.ORB.create(edgeThreshold=0, nlevels=1)
    keypoints = cv2.KeyPoint.convert(list(points), size=_PATCH, octave=0)
    kept, descriptors = orb.compute(grey, keypoints)
    if len(kept) != len(rows):
        raise RuntimeError("OpenCV dropped corners that have full patches")
    return descriptors, rows


def match(query: Descriptors, reference: Descriptors) -> tuple[Ints, Ints]:
    """Rows of `query` and `reference` that are each other's clearly best match."""
    if len(query) < 2 or len(reference) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    best = matcher.knnMatch(query, reference, k=2)
    rows = np.array(
        [
            (m.queryIdx, m.trainIdx, m.distance)
            for m, n in best
            if m.distance <= _LARGEST_DISTANCE and m.distance < _RATIO * n.distance
        ],
        np.int64,
    ).reshape(-1, 3)
    order = rows[np.argsort(rows[:, 2], kind="stable")]
    _, first = np.unique(order[:, 1], return_index=True)
    chosen = order[np.sort(first)]
    return chosen[:, 0], chosen[:, 1]


def similar(
    view: NDArray[np.float32], keyframes: Sequence[Keyframe], least: float, most: int
) -> list[int]:
    """Places in `keyframes` of at most `most` with correlation >= `least` to `view`, best first."""
    if not keyframes:
        return []
    # One by one: a matrix of them all would be copied anew for every picture.
    scores = np.array([k.thumbnail @ view for k in keyframes])
    order = np.argsort(-scores, kind="stable")[:most]
    return [int(i) for i in order if scores[i] >= least]


def recognise(
    sparse: SparseMap, segment: int, grey: Grey, pixels: Pixels, rays: Floats, seed: int
) -> Recognition | None:
    """Pose of a picture with corners `pixels` (n×2; `rays` n×2) by a keyframe of `segment`."""
    own = [k for k in sparse.keyframes if k.segment == segment]
    described = [describe(grey, pixels, level) for level in (0, 1, 2)]
    descriptors = np.concatenate([d for d, _ in described])
    corners = np.concatenate([rows for _, rows in described])
    for place in similar(thumbnail(grey), own, -1.0, _CANDIDATES):
        recognition = _recognised(sparse, own[place], descriptors, corners, rays, seed)
        if recognition is not None:
            return recognition
    return None


def _recognised(
    sparse: SparseMap,
    keyframe: Keyframe,
    descriptors: Descriptors,
    corners: Ints,
    rays: Floats,
    seed: int,
) -> Recognition | None:
    settings, marks = sparse.settings, sparse.landmarks
    known = marks.known[keyframe.described]
    ids = keyframe.described[known]
    query, reference = match(descriptors, keyframe.descriptors[known])
    # A corner is described at three scales; its best match comes first.
    _, first = np.unique(corners[query], return_index=True)
    query, reference = query[first], reference[first]
    if len(query) < settings.least_recognised:
        return None
    points, seen = marks.points[ids[reference]], rays[corners[query]]
    guess = ransac_pose(points, seen, sparse.focal, settings, seed)
    if guess is None:
        return None
    pose, inliers = fit_pose(guess, points, seen, sparse.focal, settings, seed)
    if inliers.sum() < settings.least_recognised:
        return None
    return Recognition(keyframe, pose, ids[reference[inliers]], corners[query[inliers]])
