import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from litescene.geometry import align_poses, apply_alignment, rigid, umeyama


@pytest.mark.parametrize("scale", [0.03, 1.0, 40.0])
def test_an_exact_similarity_is_recovered(scale: float) -> None:
    rng = np.random.default_rng(0)
    source, R, t = rng.normal(size=(30, 3)), Rotation.random(rng=rng).as_matrix(), [3.0, -1, 9]
    s, found, shift = umeyama(source, apply_alignment(scale, R, t, source))
    assert s == pytest.approx(scale)
    np.testing.assert_allclose(found, R, atol=1e-12)
    np.testing.assert_allclose(shift, t, atol=1e-11)


def test_without_scale_the_result_is_scipys_least_squares_rotation() -> None:
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(2, 20, 3))
    s, R, t = umeyama(source, target, with_scale=False)
    best, _ = Rotation.align_vectors(target - target.mean(0), source - source.mean(0))
    assert s == 1.0
    np.testing.assert_allclose(R, best.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(t, target.mean(0) - R @ source.mean(0), atol=1e-12)


def test_a_mirrored_set_gives_the_best_proper_rotation() -> None:
    source = np.random.default_rng(2).normal(size=(40, 3))
    target = source * [1.0, 1.0, -1.0]
    s, R, t = umeyama(source, target)
    assert np.linalg.det(R) == pytest.approx(1.0)
    best = np.square(target - apply_alignment(s, R, t, source)).sum()
    rng = np.random.default_rng(3)
    for _ in range(200):
        other = R @ Rotation.from_rotvec(rng.normal(0, 0.1, 3)).as_matrix()
        scale = s * np.exp(rng.normal(0, 0.05))
        assert np.square(target - apply_alignment(scale, other, t, source)).sum() >= best


def test_points_on_a_plane_and_on_a_line_align() -> None:
    rng = np.random.default_rng(4)
    for extent in ([1, 1, 0], [1, 0, 0]):
        source = rng.normal(size=(20, 3)) * extent
        R = Rotation.random(rng=rng).as_matrix()
        target = apply_alignment(2.0, R, [1, 2, 3], source)
        s, found, t = umeyama(source, target)
        assert np.linalg.det(found) == pytest.approx(1.0)
        np.testing.assert_allclose(apply_alignment(s, found, t, source), target, atol=1e-11)


def test_poses_align_with_rotations_left_orthonormal() -> None:
    rng = np.random.default_rng(5)
    poses = rigid(Rotation.random(4, rng).as_matrix(), rng.normal(size=(4, 3)))
    R = Rotation.random(rng=rng).as_matrix()
    out = align_poses(3.0, R, [1, 0, 0], poses)
    np.testing.assert_allclose(out[:, :3, :3], R @ poses[:, :3, :3])
    np.testing.assert_allclose(out[:, :3, 3], apply_alignment(3.0, R, [1, 0, 0], poses[:, :3, 3]))


def test_sets_that_cannot_be_aligned_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        umeyama(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="n×3"):
        umeyama(np.zeros((4, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="coincide"):
        umeyama(np.zeros((4, 3)), np.ones((4, 3)))
