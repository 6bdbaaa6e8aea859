from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from litescene.core import DataError, OutputError, Trajectory
from litescene.geometry import rigid
from litescene.media.trajectory_files import read_trajectory, write_euroc, write_kitti, write_tum
from real_data import DataSet


def _trajectory(scale: str = "metric") -> Trajectory:
    rng = np.random.default_rng(0)
    R, t = Rotation.random(20, rng).as_matrix(), rng.normal(0, 10, (20, 3))
    times = 1403715273.262142976 + np.cumsum(rng.uniform(0.03, 0.06, 20))
    return Trajectory(times, rigid(R, t), scale)  # type: ignore[arg-type]


def _same(a: Trajectory, b: Trajectory) -> None:
    np.testing.assert_allclose(a.times, b.times, rtol=0, atol=1e-6)
    np.testing.assert_allclose(a.poses, b.poses, atol=1e-7)


def test_tum_is_read_back_and_keeps_the_scale(tmp_path: Path) -> None:
    for scale in ("metric", "arbitrary"):
        write_tum(tmp_path / "t.txt", _trajectory(scale))
        again = read_trajectory(tmp_path / "t.txt")
        _same(again, _trajectory())
        assert again.scale == scale


def test_tum_lines_hold_camera_to_world_and_xyzw(tmp_path: Path) -> None:
    write_tum(tmp_path / "t.txt", _trajectory())
    table = np.loadtxt(tmp_path / "t.txt")
    truth = _trajectory()
    np.testing.assert_allclose(table[:, 1:4], truth.poses[:, :3, 3], atol=1e-9)
    np.testing.assert_allclose(
        Rotation.from_quat(table[:, 4:]).as_matrix(), truth.poses[:, :3, :3], atol=1e-8
    )


def test_kitti_is_read_back_with_times_from_beside_a_file_or_an_array(tmp_path: Path) -> None:
    truth = _trajectory()
    write_kitti(tmp_path / "poses.txt", truth)
    with pytest.raises(DataError, match="no times"):
        read_trajectory(tmp_path / "poses.txt")
    _same(read_trajectory(tmp_path / "poses.txt", truth.times), truth)
    write_kitti(tmp_path / "poses.txt", truth, tmp_path / "times.txt")
    for times in (None, tmp_path / "times.txt", str(tmp_path / "times.txt")):
        again = read_trajectory(tmp_path / "poses.txt", times)
        np.testing.assert_allclose(again.poses, truth.poses, atol=1e-7)
    np.testing.assert_allclose(
        np.loadtxt(tmp_path / "poses.txt").reshape(-1, 3, 4), truth.poses[:, :3], atol=1e-8
    )


@pytest.mark.parametrize(
    "times", [[3, 2, 1, 0, -1, -2], [0, 1, 1, 2, 3, 4], [0, 1, 2, 3, 4, np.nan]]
)
def test_times_that_do_not_rise_are_refused_as_numbers_too(
    tmp_path: Path, times: list[float]
) -> None:
    truth = _trajectory()
    write_kitti(tmp_path / "poses.txt", truth)
    with pytest.raises(DataError, match="finite seconds that rise"):
        read_trajectory(tmp_path / "poses.txt", times)


@pytest.mark.parametrize("write", [write_tum, write_kitti, write_euroc])
def test_an_arbitrary_scale_is_kept_in_every_format(
    tmp_path: Path, write: Callable[[Path, Trajectory], None]
) -> None:
    for scale in ("metric", "arbitrary"):
        truth = _trajectory(scale)
        write(tmp_path / "t.txt", truth)
        times = truth.times if write is write_kitti else None
        assert read_trajectory(tmp_path / "t.txt", times).scale == scale


def test_euroc_is_read_back(tmp_path: Path) -> None:
    write_euroc(tmp_path / "data.csv", _trajectory())
    _same(read_trajectory(tmp_path / "data.csv"), _trajectory())
    table = np.loadtxt(tmp_path / "data.csv", delimiter=",")
    wxyz = table[:, [5, 6, 7, 4]]
    np.testing.assert_allclose(
        Rotation.from_quat(wxyz).as_matrix(), _trajectory().poses[:, :3, :3], atol=1e-8
    )


@pytest.mark.parametrize("write", [write_tum, write_kitti, write_euroc])
def test_files_may_begin_with_a_byte_order_mark(
    tmp_path: Path, write: Callable[[Path, Trajectory], None]
) -> None:
    path = tmp_path / "poses.txt"
    write(path, _trajectory())
    times = _trajectory().times if write is write_kitti else None
    path.write_text(path.read_text("utf-8"), "utf-8-sig")
    _same(read_trajectory(path, times), _trajectory())


def test_slightly_rounded_rotations_come_out_orthonormal(tmp_path: Path) -> None:
    rows = _trajectory().poses[:, :3].reshape(-1, 12).round(3)
    np.savetxt(tmp_path / "poses.txt", rows, fmt="%.3f")
    R = read_trajectory(tmp_path / "poses.txt", np.arange(20)).poses[:, :3, :3]
    np.testing.assert_allclose(
        R @ R.transpose(0, 2, 1), np.broadcast_to(np.eye(3), R.shape), atol=1e-12
    )


GOOD = "0.0 1 2 3 0 0 0 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no poses"),
        ("# only\n", "holds no poses"),
        ("1 2 3\n", "line 1: 3 fields"),
        (GOOD + "0.1 1 2 x 0 0 0 1\n", "line 2: could not convert string to float: 'x'"),
        (GOOD + "# c\n0.1 1 2 3 0 0 0\n", "line 3: expected 8 finite numbers"),
        (GOOD + "0.1 1 2 nan 0 0 0 1\n", "line 2: expected 8 finite"),
        (GOOD + GOOD, "line 2: the time is not later"),
        (GOOD + "0.1 1 2 3 0 0 0 0.5\n", "line 2: the quaternion"),
        ("1,2,3\n", "line 1: expected 8 finite"),
        ("2 0 0 0 0 1 0 0 0 0 1 0\n", "line 1: the first three columns are not a rotation"),
        ("1 0 0 0 0 1 0 0 0 0 -1 0\n", "line 1: the first three columns are not a rotation"),
        ("# scale: feet\n" + GOOD, "unknown scale 'feet'"),
    ],
)
def test_malformed_files_are_refused_with_file_and_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "bad.txt").write_text(text)
    with pytest.raises(DataError) as error:
        read_trajectory(tmp_path / "bad.txt", [0.0])
    assert message in str(error.value)
    assert "bad.txt" in str(error.value)


def test_missing_binary_and_miscounted_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read trajectory"):
        read_trajectory(tmp_path / "none.txt")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a text file"):
        read_trajectory(tmp_path / "b.txt")
    write_kitti(tmp_path / "poses.txt", _trajectory())
    with pytest.raises(DataError, match="20 poses, but 3 times"):
        read_trajectory(tmp_path / "poses.txt", [0.0, 1.0, 2.0])


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(OutputError):
        write_tum(tmp_path / "file" / "t.txt", _trajectory())
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.data
def test_a_real_trajectory_of_kitti_is_read(data_set: DataSet) -> None:
    kitti = read_trajectory(data_set("kitti07_160/poses.txt"))
    assert len(kitti) == 160
    assert kitti.length == pytest.approx(90.6, abs=0.1)


@pytest.mark.data
def test_a_real_trajectory_of_euroc_is_read(data_set: DataSet) -> None:
    euroc = read_trajectory(data_set("euroc_v101_imu_static/gt_20hz.csv"))
    assert euroc.times[0] == pytest.approx(1403715273.262142976, abs=1e-6)
    np.testing.assert_allclose(euroc.positions[0], [0.878895, 2.1834, 0.948427])
    expected = Rotation.from_quat([-0.824237, -0.106942, -0.551702, 0.069433]).as_matrix()
    np.testing.assert_allclose(euroc.poses[0, :3, :3], expected, atol=1e-12)
