import itertools

import numpy as np
import pytest

from litescene.geometry import (
    invert,
    invert_similarity,
    rigid,
    similarity,
    so3_exp,
    split_similarity,
    transform_points,
)
from litescene.scene.keyframes import Keyframe, SparseMap
from litescene.scene.loop_closing import Loop, close_loop, find_loop, optimise_pose_graph, rescaled
from litescene.scene.settings import OdometrySettings


def circle(count: int = 40, radius: float = 10.0) -> np.ndarray:
    """Poses along a circle in the x-z plane, looking along it; the last is near the first."""
    angle = np.linspace(0, 2 * np.pi, count)
    R = so3_exp(np.stack([0 * angle, angle, 0 * angle], axis=1))
    centre = np.stack([radius * (1 - np.cos(angle)), 0 * angle, radius * np.sin(angle)], axis=1)
    return rigid(R, centre)


def drifted(truth: np.ndarray, growth: float) -> np.ndarray:
    """The same steps, each `growth` times larger than the one before."""
    poses, scale = [truth[0]], 1.0
    for before, after in itertools.pairwise(truth):
        step = invert(before) @ after
        step[:3, 3] *= scale
        poses.append(poses[-1] @ step)
        scale *= growth
    return np.stack(poses)


def steps(poses: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    return [(i, i + 1, invert(poses[i]) @ poses[i + 1]) for i in range(len(poses) - 1)]


def test_a_graph_that_agrees_does_not_move():
    truth = circle()
    loop = (0, len(truth) - 1, invert(truth[0]) @ truth[-1])
    solved = optimise_pose_graph(truth, [*steps(truth), loop])
    np.testing.assert_allclose(solved, truth, atol=1e-6)


def test_closing_a_loop_takes_out_the_drift_of_scale():
    truth = circle()
    growth = 1.01
    start = drifted(truth, growth)
    scale = growth ** -(len(truth) - 1)
    relative = invert(truth[0]) @ truth[-1]
    loop = (0, len(truth) - 1, similarity(scale, relative[:3, :3], relative[:3, 3]))
    solved = optimise_pose_graph(start, [*steps(start), loop])
    scales, _, positions = split_similarity(solved)
    before = np.linalg.norm(start[:, :3, 3] - truth[:, :3, 3], axis=1)
    after = np.linalg.norm(positions - truth[:, :3, 3], axis=1)
    assert before.max() > 3.0
    assert after.max() < 0.2
    np.testing.assert_allclose(scales, growth ** -np.arange(len(truth)), rtol=0.02)


def test_similarities_pass_through_unharmed():
    truth = circle(5)
    scaled = np.stack([similarity(1.0 + 0.1 * k, T[:3, :3], T[:3, 3]) for k, T in enumerate(truth)])
    edges = [(i, i + 1, invert_similarity(scaled[i]) @ scaled[i + 1]) for i in range(4)]
    np.testing.assert_allclose(optimise_pose_graph(scaled, edges), scaled, atol=1e-6)


def test_a_loop_keeps_its_meaning_when_units_change():
    S = similarity(1.2, so3_exp(np.array([0, 0.1, 0])), np.array([1.0, 2, 3]))
    none = np.zeros(0, np.int64)
    changed = rescaled(Loop(2, 9, S, none, none), {2: 3.0, 9: 2.0})
    point = np.array([[0.4, -0.2, 5.0]])
    expected = 3.0 * transform_points(S, point / 2.0)
    np.testing.assert_allclose(transform_points(changed.S_older_newer, point), expected)


def ring_map(growth: float) -> tuple[SparseMap, np.ndarray]:
    """A drive around the circle with drifting scale; its end sees the landmarks of its start."""
    truth = circle(45)
    poses = drifted(truth, growth)
    rng = np.random.default_rng(0)
    sparse = SparseMap(500.0, OdometrySettings())
    local = rng.uniform([-2, -1, 4], [2, 1, 9], (120, 3))
    for index, pose in enumerate(poses):
        scale = growth ** max(index - 1, 0) if index >= 40 else 1.0
        # What keyframe 0 saw, from where this keyframe truly is, in its own units.
        own = transform_points(invert(truth[index]) @ truth[0], local) * scale
        near = own[:, 2] > 1.0 if index in (0, 44) else np.zeros(120, bool)
        rays = own[near, :2] / own[near, 2:]
        ids = sparse.landmarks.add(index, rays)
        sparse.landmarks.place(ids, transform_points(pose, own[near]))
        codes = np.random.default_rng(7).integers(0, 256, (120, 32), np.uint8)[near]
        view = np.zeros(1200, np.float32)
        view[0 if index in (0, 44) else index] = 1.0
        sparse.add_keyframe(
            Keyframe(
                index,
                index,
                float(index),
                0,
                pose,
                ids,
                rays.astype(np.float32),
                rays,
                view,
                codes,
                ids,
            )
        )
    return sparse, truth


def test_a_place_seen_again_is_found_with_its_scale():
    sparse, _ = ring_map(1.01)
    loop = find_loop(sparse, sparse.keyframes[-1], seed=0)
    assert loop is not None
    assert (loop.older, loop.newer) == (0, 44)
    scale, rotation, _ = split_similarity(loop.S_older_newer)
    assert scale == pytest.approx(1.01**-43, rel=1e-3)
    np.testing.assert_allclose(rotation, np.eye(3), atol=1e-3)


def test_neighbours_and_strangers_close_no_loop():
    sparse, _ = ring_map(1.0)
    assert find_loop(sparse, sparse.keyframes[43], seed=0) is None
    sparse.keyframes[-1].index = 15
    assert find_loop(sparse, sparse.keyframes[-1], seed=0) is None


def test_a_closed_loop_moves_keyframes_and_landmarks_and_merges_doubles():
    sparse, truth = ring_map(1.01)
    loop = find_loop(sparse, sparse.keyframes[-1], seed=0)
    assert loop is not None
    scales = close_loop(sparse, [loop])
    assert scales[0] == pytest.approx(1.0, abs=1e-4)
    assert scales[44] == pytest.approx(1.01**-43, rel=0.01)
    positions = np.stack([k.pose[:3, 3] for k in sparse.keyframes])
    assert np.linalg.norm(positions - truth[:, :3, 3], axis=1).max() < 0.3
    for keyframe in sparse.keyframes:
        R = keyframe.pose[:3, :3]
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
    assert np.isin(loop.ids_older, sparse.keyframes[44].ids).all()
    assert not sparse.landmarks.known[loop.ids_newer].any()
