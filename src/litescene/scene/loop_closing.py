"""Loop closing: a place seen again ties the trajectory together, scale included.

A keyframe that looks like a much older one is matched to it; the older one's landmarks give the
newer one's pose in the older scale (perspective-n-point), and the ratio of depths of landmarks
known to both gives the scale. A pose graph over Sim(3) (H. Strasdat et al., "Scale drift-aware
large scale monocular SLAM", 2010) spreads the difference; GTSAM solves it.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from litescene.geometry import invert, similarity, split_similarity, transform_points
from litescene.scene.keyframes import Keyframe, SparseMap
from litescene.scene.relocalization import match, similar
from litescene.scene.tracking import fit_pose, ransac_pose

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_LEAST_GAP = 20
"""Keyframes nearer in time than this are neighbours, not a loop."""
_LIKENESS = 0.6
"""Least correlation of the thumbnails of a loop."""
_CANDIDATES = 2
"""Keyframes that are matched in full: this runs at every keyframe."""
_LEAST_INLIERS = 40
"""Landmarks that must agree on a loop."""
_ROTATION_SIGMA, _STEP_SIGMA, _SCALE_SIGMA = 0.002, 0.02, 0.01
"""Uncertainty of one edge: radians, share of the usual step, logarithm of the scale."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Keyframe `newer` sees the place of keyframe `older` again.

    `S_older_newer` is the 4×4 similarity between them; `ids_newer` and `ids_older` (n) are the
    landmarks found to be the same.
    """

    older: int
    newer: int
    S_older_newer: Floats
    ids_older: Ints
    ids_newer: Ints


def load_solver() -> None:
    """Load GTSAM now rather than at the first loop, where it holds up a frame.

    It takes about a second and 38 MB, once.
    """
    importlib.import_module("gtsam")


def find_loop(sparse: SparseMap, keyframe: Keyframe, seed: int) -> Loop | None:
    """The loop that `keyframe` closes, or None."""
    last = keyframe.index - _LEAST_GAP
    older = [k for k in sparse.keyframes[: max(last, 0)] if k.segment == keyframe.segment]
    for place in similar(keyframe.thumbnail, older, _LIKENESS, _CANDIDATES):
        if len(np.intersect1d(older[place].ids, keyframe.ids)) >= _LEAST_INLIERS:
            continue
        loop = _verified(sparse, older[place], keyframe, seed)
        if loop is not None:
            return loop
    return None


def _verified(sparse: SparseMap, older: Keyframe, newer: Keyframe, seed: int) -> Loop | None:
    marks, settings = sparse.landmarks, sparse.settings
    known = marks.known[older.described]
    ids = older.described[known]
    # Only corners that the newer keyframe still has: adjustment may have dropped some.
    present = np.isin(newer.described, newer.ids)
    described = newer.described[present]
    query, reference = match(newer.descriptors[present], older.descriptors[known])
    if len(query) < _LEAST_INLIERS:
        return None
    ids_newer, ids_older = described[query], ids[reference]
    points, rays = marks.points[ids_older], newer.rays[newer.rows_of(ids_newer)]
    guess = ransac_pose(points, rays, sparse.focal, settings, seed)
    if guess is None:
        return None
    pose, good = fit_pose(guess, points, rays, sparse.focal, settings, seed)
    both = good & marks.known[ids_newer]
    if good.sum() < _LEAST_INLIERS or both.sum() < _LEAST_INLIERS // 2:
        return None
    there = transform_points(invert(pose), points[both])[:, 2]
    here = transform_points(invert(newer.pose), marks.points[ids_newer[both]])[:, 2]
    scale = float(np.median(there / here))
    relative = invert(older.pose) @ pose
    S = similarity(scale, relative[:3, :3], relative[:3, 3])
    return Loop(older.index, newer.index, S, ids_older[both], ids_newer[both])


def optimise_pose_graph(
    poses: Floats, edges: Sequence[tuple[int, int, Floats]], *, iterations: int = 50
) -> Floats:
    """Similarities n×4×4 `S_world_node` that fit the relative ones of `edges` best.

    `poses` n×4×4 are the starting values (similarities or rigid); an edge (i, j, S) says that
    `S_world_i⁻¹ S_world_j` should be `S`. Node 0 is held.
    """
    import gtsam

    step = float(np.median([np.linalg.norm(S[:3, 3]) for _, _, S in edges]))
    sigmas = [_ROTATION_SIGMA] * 3 + [_STEP_SIGMA * max(step, 1e-9)] * 3 + [_SCALE_SIGMA]
    noise = gtsam.noiseModel.Diagonal.Sigmas(np.array(sigmas))
    held = gtsam.noiseModel.Isotropic.Sigma(7, 1e-6)
    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    graph.add(gtsam.PriorFactorSimilarity3(0, _to_gtsam(poses[0]), held))
    for node, pose in enumerate(poses):
        values.insert(node, _to_gtsam(pose))
    for i, j, S in edges:
        graph.add(gtsam.BetweenFactorSimilarity3(i, j, _to_gtsam(S), noise))
    parameters = gtsam.LevenbergMarquardtParams()
    parameters.setMaxIterations(iterations)
    result = gtsam.LevenbergMarquardtOptimizer(graph, values, parameters).optimize()
    return np.stack([_from_gtsam(result.atSimilarity3(node)) for node in range(len(poses))])


def close_loop(sparse: SparseMap, loops: Sequence[Loop]) -> dict[int, float]:
    """Bend the map so that the last of `loops` closes; returns each keyframe's change of scale.

    Keyframes get their new poses, landmarks move with the keyframe that saw them first, and the
    doubles that the last loop found become one landmark each.
    """
    loop = loops[-1]
    segment = sparse.keyframes[loop.newer].segment
    own = [k for k in sparse.keyframes if k.segment == segment]
    place = {k.index: i for i, k in enumerate(own)}
    poses = np.stack([k.pose for k in own])
    edges = [(i, i + 1, invert(poses[i]) @ poses[i + 1]) for i in range(len(own) - 1)]
    edges += [(place[x.older], place[x.newer], x.S_older_newer) for x in loops if x.older in place]
    solved = optimise_pose_graph(poses, edges)
    moves = solved @ invert(poses)
    _move_landmarks(sparse, own, moves)
    scales, rotations, positions = split_similarity(solved)
    for keyframe, R, t in zip(own, rotations, positions, strict=True):
        keyframe.pose = np.eye(4)
        keyframe.pose[:3, :3], keyframe.pose[:3, 3] = R, t
    sparse.merge(loop.ids_newer, loop.ids_older)
    return {k.index: float(s) for k, s in zip(own, scales, strict=True)}


def rescaled(loop: Loop, scales: Mapping[int, float]) -> Loop:
    """`loop` in the units that its keyframes have after their scale changed by `scales`."""
    older, newer = scales.get(loop.older, 1.0), scales.get(loop.newer, 1.0)
    s, R, t = split_similarity(loop.S_older_newer)
    return replace(loop, S_older_newer=similarity(s * older / newer, R, t * older))


def _move_landmarks(sparse: SparseMap, own: Sequence[Keyframe], moves: Floats) -> None:
    marks = sparse.landmarks
    table = np.tile(np.eye(4), (len(sparse.keyframes), 1, 1))
    table[[k.index for k in own]] = moves
    ids = np.flatnonzero(marks.known)
    change = table[marks.origin[ids]]
    points = np.einsum("nij,nj->ni", change[:, :3, :3], marks.points[ids]) + change[:, :3, 3]
    marks.place(ids, points)


def _to_gtsam(S: Floats):  # type: ignore[no-untyped-def]
    """GTSAM's similarity maps x to s (R x + t)."""
    import gtsam

    s, R, t = split_similarity(S)
    return gtsam.Similarity3(gtsam.Rot3(R), np.asarray(t / s), float(s))


def _from_gtsam(S) -> Floats:  # type: ignore[no-untyped-def]
    scale = S.scale()
    return similarity(scale, S.rotation().matrix(), scale * np.asarray(S.translation()))
