"""The oracle is evo for ATE and RPE, and KITTI's definition written out for the segments."""

import json
import warnings

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from litescene.core import DataError, Trajectory, UnknownNameError
from litescene.geometry import rigid, se3_exp, so3_exp
from litescene.metrics import (
    absolute_errors,
    align_trajectory,
    associate,
    evaluate_trajectory,
    kitti_segment_errors,
    match_trajectories,
    relative_errors,
)
from real_data import DataSet

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from evo.core import metrics as evo_metrics
    from evo.core.trajectory import PoseTrajectory3D


def _drive(count: int, seed: int, step: float = 1.0) -> Trajectory:
    """A winding path: constant step forwards (z), random turns."""
    rng = np.random.default_rng(seed)
    turns = np.cumsum(rng.normal(0, [2e-3, 1e-2, 2e-3], (count, 3)), axis=0)
    R = so3_exp(turns)
    positions = np.cumsum(R @ np.array([0, 0, step]), axis=0)
    return Trajectory(np.arange(count) * 0.1, rigid(R, positions), "metric")


def _disturbed(truth: Trajectory, seed: int, scale: float = 1.0) -> Trajectory:
    rng = np.random.default_rng(seed)
    poses = truth.poses @ se3_exp(rng.normal(0, 0.02, (len(truth), 6)))
    poses[:, :3, 3] *= scale
    world = rigid(Rotation.random(rng=rng).as_matrix(), [5.0, -3.0, 2.0])
    return Trajectory(truth.times.copy(), world @ poses, "arbitrary")


def _evo(trajectory: Trajectory) -> PoseTrajectory3D:
    return PoseTrajectory3D(poses_se3=list(trajectory.poses), timestamps=trajectory.times)


@pytest.mark.parametrize("align", ["none", "se3", "sim3"])
@pytest.mark.filterwarnings("ignore")
def test_absolute_and_relative_errors_agree_with_evo(align: str) -> None:
    truth = _drive(150, 0)
    estimate = _disturbed(truth, 1, scale=0.4)
    other = _evo(estimate)
    if align != "none":
        other.align(_evo(truth), correct_scale=align == "sim3")
    scores = evaluate_trajectory(estimate, truth, align)  # type: ignore[arg-type]
    ape = evo_metrics.APE(evo_metrics.PoseRelation.translation_part)
    ape.process_data((_evo(truth), other))
    for name in ("rmse", "mean", "median", "max"):
        assert getattr(scores.ate, name) == pytest.approx(ape.get_all_statistics()[name])
    for relation, ours in (
        (evo_metrics.PoseRelation.translation_part, scores.rpe_translation),
        (evo_metrics.PoseRelation.rotation_angle_deg, scores.rpe_rotation_degrees),
    ):
        rpe = evo_metrics.RPE(relation, delta=1, delta_unit=evo_metrics.Unit.frames, all_pairs=True)
        rpe.process_data((_evo(truth), other))
        for name in ("rmse", "mean", "median", "max"):
            assert getattr(ours, name) == pytest.approx(rpe.get_all_statistics()[name], rel=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_relative_errors_over_several_poses_agree_with_evo() -> None:
    truth = _drive(60, 2)
    estimate = _disturbed(truth, 3)
    rpe = evo_metrics.RPE(
        evo_metrics.PoseRelation.translation_part,
        delta=7,
        delta_unit=evo_metrics.Unit.frames,
        all_pairs=True,
    )
    rpe.process_data((_evo(truth), _evo(estimate)))
    np.testing.assert_allclose(relative_errors(estimate, truth, 7)[0], rpe.error, rtol=1e-9)


def _segments_written_out(estimate: Trajectory, truth: Trajectory) -> tuple[float, float, int]:
    distance = [0.0]
    for i in range(1, len(truth)):
        distance.append(
            distance[-1] + np.linalg.norm(truth.positions[i] - truth.positions[i - 1]).item()
        )
    t_errors, r_errors = [], []
    for first in range(0, len(truth), 10):
        for length in range(100, 900, 100):
            last = next((i for i, d in enumerate(distance) if d > distance[first] + length), -1)
            if last < 0:
                continue
            true = np.linalg.inv(truth.poses[first]) @ truth.poses[last]
            found = np.linalg.inv(estimate.poses[first]) @ estimate.poses[last]
            error = np.linalg.inv(found) @ true
            cosine = (np.trace(error[:3, :3]) - 1) / 2
            r_errors.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))) / length)
            t_errors.append(100 * np.linalg.norm(error[:3, 3]) / length)
    return float(np.mean(t_errors)), float(np.mean(r_errors)), len(t_errors)


def test_kitti_segments_agree_with_their_definition() -> None:
    truth = _drive(600, 4, step=1.3)
    estimate = _disturbed(truth, 5)
    ours = kitti_segment_errors(estimate, truth)
    t_rel, r_rel, count = _segments_written_out(estimate, truth)
    assert ours.translation_percent == pytest.approx(t_rel)
    assert ours.rotation_degrees_per_metre == pytest.approx(r_rel, rel=1e-6)
    assert ours.segments == count


def test_a_perfect_estimate_has_no_error_in_any_alignment() -> None:
    truth = _drive(200, 6)
    for align in ("none", "se3", "sim3"):
        scores = evaluate_trajectory(truth, truth, align)  # type: ignore[arg-type]
        assert scores.ate.max < 1e-9
        assert scores.rpe_rotation_degrees.max < 1e-9
        assert scores.segments is not None
        assert scores.segments.translation_percent < 1e-9
        assert scores.scale == pytest.approx(1.0)
        assert json.loads(json.dumps(scores.to_dict()))["ate"]["max"] == scores.ate.max


def test_similarity_alignment_finds_the_scale_and_hides_nothing_else() -> None:
    truth = _drive(80, 7)
    poses = truth.poses.copy()
    poses[:, :3, 3] *= 0.25
    matched, true = match_trajectories(Trajectory(truth.times, poses, "arbitrary"), truth)
    aligned, scale = align_trajectory(matched, true, "sim3")
    assert scale == pytest.approx(4.0)
    assert aligned.scale == "metric"
    for align in ("se3", "none"):
        assert align_trajectory(matched, true, align)[0].scale == matched.scale == "arbitrary"
    assert absolute_errors(aligned, true).max() < 1e-9


def test_association_is_one_to_one_closest_first_and_in_time_order() -> None:
    a = np.array([0.0, 0.010, 1.0, 2.0])
    b = np.array([2.019, 0.012, 1.5, 0.029])
    left, right = associate(a, b)
    # 0.000 loses 0.012 to 0.010, and 0.029 is too far from it.
    assert left.tolist() == [1, 3]
    assert right.tolist() == [1, 0]
    left, right = associate(np.array([0.0, 0.01]), np.array([0.009, 0.021]))
    assert left.tolist() == [1]
    assert right.tolist() == [0]


def test_too_few_common_moments_are_an_error_that_counts_them() -> None:
    truth = _drive(10, 8)
    late = Trajectory(truth.times + 0.75, truth.poses, "metric")
    with pytest.raises(DataError, match=r"only 0 of 10 poses .* within 0\.02 s"):
        evaluate_trajectory(late, truth)
    with pytest.raises(DataError, match="only 2 of 2 poses"):
        evaluate_trajectory(Trajectory(truth.times[:2], truth.poses[:2], "metric"), truth)


def test_a_camera_that_never_moved_cannot_be_given_a_scale() -> None:
    truth = _drive(10, 9)
    still = Trajectory(truth.times, np.broadcast_to(np.eye(4), (10, 4, 4)).copy(), "arbitrary")
    with pytest.raises(DataError, match="cannot be aligned"):
        evaluate_trajectory(still, truth, "sim3")
    assert np.isfinite(evaluate_trajectory(still, truth, "se3").ate.rmse)


def test_short_paths_and_wrong_names_are_refused() -> None:
    truth = _drive(20, 10)
    assert evaluate_trajectory(truth, truth).segments is None
    with pytest.raises(DataError, match="no segment of 100 m"):
        kitti_segment_errors(truth, truth)
    with pytest.raises(UnknownNameError, match="sim3"):
        align_trajectory(truth, truth, "sim")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="20 poses apart"):
        relative_errors(truth, truth, 20)
    with pytest.raises(ValueError, match="at least 1"):
        relative_errors(truth, truth, 0)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore")
def test_errors_on_the_kitti_path_agree_with_evo(data_set: DataSet) -> None:
    folder = data_set("kitti07_160")
    rows = np.loadtxt(folder / "poses.txt").reshape(-1, 3, 4)
    poses = rigid(rows[:, :, :3], rows[:, :, 3])
    truth = Trajectory(np.loadtxt(folder / "times.txt"), poses, "metric")
    assert truth.length == pytest.approx(90.6, abs=0.1)
    estimate = _disturbed(truth, 11, scale=0.03)
    other = _evo(estimate)
    other.align(_evo(truth), correct_scale=True)
    ape = evo_metrics.APE(evo_metrics.PoseRelation.translation_part)
    ape.process_data((_evo(truth), other))
    scores = evaluate_trajectory(estimate, truth, "sim3")
    assert scores.ate.rmse == pytest.approx(ape.get_statistic(evo_metrics.StatisticsType.rmse))
    assert scores.matches == 160
    assert scores.segments is None
