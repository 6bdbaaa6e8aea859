"""Trajectories in the formats TUM, KITTI and EuRoC.

TUM    `time tx ty tz qx qy qz qw` per line, T_world_camera
KITTI  12 numbers per line, the upper 3×4 of T_world_camera, row by row; times in a file beside
EuRoC  `ns,px,py,pz,qw,qx,qy,qz[,...]` per line, T_world_body (the body of the vehicle)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from litescene.core import DataError, Scale, Trajectory
from litescene.geometry import (
    matrix_to_quaternion_wxyz,
    matrix_to_quaternion_xyzw,
    quaternion_wxyz_to_matrix,
    quaternion_xyzw_to_matrix,
    rigid,
)
from litescene.media.atomic import write_atomic

Array = NDArray[np.float64]
_ROUNDING = 0.02
"""How far a printed quaternion's length or a rotation's columns may be off from 1."""
_SCALE = re.compile(r"^#\s*scale:\s*(\w+)\s*$", re.MULTILINE)
_TUM_HEAD = "# timestamp tx ty tz qx qy qz qw (T_world_camera)\n"
_EUROC_HEAD = "#timestamp [ns],p_x [m],p_y [m],p_z [m],q_w [],q_x [],q_y [],q_z []\n"


def read_trajectory(path: Path | str, times: Path | str | ArrayLike | None = None) -> Trajectory:
    """Read a trajectory; the format is recognised by its content.

    KITTI's format has no times: give them, or their file, in seconds; otherwise `times.txt`
    beside the poses is used. The scale is metric unless a comment says `# scale: arbitrary`.
    Raises `DataError` naming file and line for everything malformed, and for times that do not
    rise.
    """
    path = Path(path)
    text = _text(path)
    first = next(_lines(text), None)
    if first is None:
        raise DataError(
            f"trajectory {path} holds no poses; a run writes none when it never saw the camera "
            "move (its summary.json says so)"
        )
    if "," in first[1]:
        stamps, poses = _parse_euroc(path, text)
    elif len(first[1].split()) == 12:
        stamps, poses = _parse_kitti(path, text, times)
    elif len(first[1].split()) == 8:
        stamps, poses = _parse_tum(path, text)
    else:
        raise DataError(
            f"{path}, line {first[0]}: {len(first[1].split())} fields; a pose has 8 (TUM), 12 "
            "(KITTI) or at least 8 separated by commas (EuRoC)"
        )
    return Trajectory(stamps, poses, _scale(path, text))


def write_tum(path: Path | str, trajectory: Trajectory) -> None:
    """Write TUM's format; an arbitrary scale is noted in a comment that `read_trajectory` knows."""
    head = _TUM_HEAD + f"# scale: {trajectory.scale}\n"
    values = np.hstack(
        [trajectory.positions, matrix_to_quaternion_xyzw(trajectory.poses[:, :3, :3])]
    )
    rows = zip(trajectory.times.tolist(), values.tolist(), strict=True)
    body = "".join(f"{t:.9f} {' '.join(f'{v:.9f}' for v in row)}\n" for t, row in rows)
    write_atomic(path, head + body)


def write_kitti(
    path: Path | str, trajectory: Trajectory, times_path: Path | str | None = None
) -> None:
    """Write KITTI's format, and the times to `times_path` if given.

    An arbitrary scale is noted in a comment, which KITTI's own programs do not expect.
    """
    rows = trajectory.poses[:, :3].reshape(-1, 12).tolist()
    body = "".join(" ".join(f"{v:.9e}" for v in row) + "\n" for row in rows)
    write_atomic(path, _note_of_scale(trajectory) + body)
    if times_path is not None:
        write_atomic(times_path, "".join(f"{t:.9f}\n" for t in trajectory.times.tolist()))


def write_euroc(path: Path | str, trajectory: Trajectory) -> None:
    """Write EuRoC's format (times in whole nanoseconds, quaternion wxyz).

    An arbitrary scale is noted in a comment below the head.
    """
    values = np.hstack(
        [trajectory.positions, matrix_to_quaternion_wxyz(trajectory.poses[:, :3, :3])]
    )
    rows = zip(trajectory.times.tolist(), values.tolist(), strict=True)
    body = "".join(f"{round(t * 1e9)},{','.join(f'{v:.9f}' for v in row)}\n" for t, row in rows)
    write_atomic(path, _EUROC_HEAD + _note_of_scale(trajectory) + body)


def _note_of_scale(trajectory: Trajectory) -> str:
    return "" if trajectory.scale == "metric" else f"# scale: {trajectory.scale}\n"


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read trajectory {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"trajectory {path} is not a text file") from error


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines that are neither empty nor comments."""
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def _table(path: Path, text: str, columns: int, separator: str | None) -> tuple[Array, list[int]]:
    """The first `columns` numbers of every line and the lines' numbers."""
    rows, numbers = [], []
    for number, line in _lines(text):
        fields = line.split(separator)
        wrong = len(fields) < columns if separator else len(fields) != columns
        try:
            row = [float(field) for field in fields[:columns]]
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}") from error
        if wrong or not np.all(np.isfinite(row)):
            raise DataError(
                f"{path}, line {number}: expected {columns} finite numbers, not '{line[:60]}'"
            )
        rows.append(row)
        numbers.append(number)
    return np.array(rows, np.float64), numbers


def _check(path: Path, numbers: list[int], wrong: NDArray[np.bool_], what: str) -> None:
    if wrong.any():
        raise DataError(f"{path}, line {numbers[int(np.argmax(wrong))]}: {what}")


def _check_times(path: Path, numbers: list[int], times: Array) -> Array:
    wrong = np.concatenate([[False], np.diff(times) <= 0])
    _check(path, numbers, wrong, "the time is not later than the one before")
    return times


def _check_quaternions(path: Path, numbers: list[int], q: Array) -> None:
    wrong = np.abs(np.linalg.norm(q, axis=1) - 1) > _ROUNDING
    _check(path, numbers, wrong, "the quaternion does not have unit length")


def _parse_tum(path: Path, text: str) -> tuple[Array, Array]:
    table, numbers = _table(path, text, 8, None)
    _check_quaternions(path, numbers, table[:, 4:])
    times = _check_times(path, numbers, np.ascontiguousarray(table[:, 0]))
    return times, rigid(quaternion_xyzw_to_matrix(table[:, 4:]), table[:, 1:4])


def _parse_euroc(path: Path, text: str) -> tuple[Array, Array]:
    table, numbers = _table(path, text, 8, ",")
    _check_quaternions(path, numbers, table[:, 4:])
    times = _check_times(path, numbers, table[:, 0] * 1e-9)
    return times, rigid(quaternion_wxyz_to_matrix(table[:, 4:]), table[:, 1:4])


def _parse_kitti(
    path: Path, text: str, times: Path | str | ArrayLike | None
) -> tuple[Array, Array]:
    table, numbers = _table(path, text, 12, None)
    rows = table.reshape(-1, 3, 4)
    # Printed with few digits, the matrices are rotations only nearly: take the nearest one.
    U, singular, Vt = np.linalg.svd(rows[:, :, :3])
    wrong = (np.abs(singular - 1) > _ROUNDING).any(axis=1) | (np.linalg.det(U @ Vt) < 0)
    _check(path, numbers, wrong, "the first three columns are not a rotation")
    return _times_of(path, len(rows), times), rigid(U @ Vt, rows[:, :, 3])


def _times_of(path: Path, count: int, times: Path | str | ArrayLike | None) -> Array:
    if times is None:
        times = path.with_name("times.txt")
        if not times.exists():
            raise DataError(
                f"{path} is in KITTI's format, which has no times; put them, in seconds, into "
                "times.txt beside it"
            )
    if isinstance(times, (str, Path)):
        source = Path(times)
        table, numbers = _table(source, _text(source), 1, None)
        stamps = _check_times(source, numbers, table.reshape(-1))
    else:
        stamps = np.asarray(times, np.float64).reshape(-1)
        if not (np.isfinite(stamps).all() and (np.diff(stamps) > 0).all()):
            raise DataError(f"the times given for {path} must be finite seconds that rise")
    if len(stamps) != count:
        raise DataError(f"{path} holds {count} poses, but {len(stamps)} times are given")
    return stamps


def _scale(path: Path, text: str) -> Scale:
    match = _SCALE.search(text)
    if match is None:
        return "metric"
    for scale in get_args(Scale):
        if match[1] == scale:
            return scale
    raise DataError(f"{path}: unknown scale '{match[1]}'; known: {', '.join(get_args(Scale))}")
