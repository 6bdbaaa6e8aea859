"""Pictures of the labelled map with the path."""

from __future__ import annotations

import numpy as np
import pytest

from litescene.core import CAMVID, SceneMap, Trajectory
from litescene.geometry import so3_exp
from litescene.media.map_picture import (
    BACKGROUND,
    PATH,
    START,
    draw_map_at_angle,
    draw_map_from_above,
    level_rotation,
)


def a_map(points: np.ndarray, label: int = 3) -> SceneMap:
    n = len(points)
    return SceneMap(
        points.astype(np.float32),
        np.full((n, 3), (10, 200, 30), np.uint8),
        np.full(n, label, np.uint8),
        np.ones(n, np.float32),
        np.zeros(n, np.int32),
        np.ones(n, np.int32),
        CAMVID,
        "arbitrary",
    )


def a_path(positions: np.ndarray, rotation: np.ndarray | None = None) -> Trajectory:
    poses = np.tile(np.eye(4), (len(positions), 1, 1))
    poses[:, :3, 3] = positions
    if rotation is not None:
        poses[:, :3, :3] = rotation
    return Trajectory(np.arange(float(len(positions))), poses, "arbitrary")


def straight(count: int = 20) -> np.ndarray:
    return np.column_stack([np.zeros(count), np.zeros(count), np.linspace(0, 10, count)])


def is_color(image: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return np.all(image == np.array(color, np.uint8), axis=2)


def centre(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(0)


@pytest.mark.parametrize("tilt", [(0.3, 0.0, 0.0), (0.0, 0.0, -0.4), (0.2, 0.0, 0.5)])
def test_the_level_rotation_turns_the_cameras_down_axis_to_down(
    tilt: tuple[float, float, float],
) -> None:
    rotation = so3_exp(np.array(tilt))
    level = level_rotation(a_path(straight(), rotation))
    np.testing.assert_allclose(level @ rotation[:, 1], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(level @ level.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(level) == pytest.approx(1.0)


def test_a_level_camera_and_an_empty_path_need_no_rotation() -> None:
    np.testing.assert_array_equal(level_rotation(a_path(straight())), np.eye(3))
    np.testing.assert_array_equal(level_rotation(a_path(np.zeros((0, 3)))), np.eye(3))


def test_cameras_whose_down_axes_cancel_or_point_up_are_levelled_without_nan() -> None:
    half = so3_exp(np.array([0.0, 0.0, np.pi]))
    upside_down = level_rotation(a_path(straight(), half))
    np.testing.assert_allclose(upside_down @ half[:, 1], [0, 1, 0], atol=1e-9)
    both = np.stack([np.eye(3), half])
    assert np.isfinite(level_rotation(a_path(straight(2), both))).all()


@pytest.mark.parametrize("draw", [draw_map_from_above, draw_map_at_angle])
def test_an_empty_map_without_a_path_is_an_empty_sheet(draw: object) -> None:
    image = draw(a_map(np.zeros((0, 3))), a_path(np.zeros((0, 3))))  # type: ignore[operator]
    assert image.shape == (600, 800, 3)
    assert is_color(image, BACKGROUND).all()


@pytest.mark.parametrize("draw", [draw_map_from_above, draw_map_at_angle])
def test_a_single_point_or_pose_is_drawn(draw: object) -> None:
    image = draw(a_map(np.zeros((1, 3))), a_path(np.zeros((1, 3))))  # type: ignore[operator]
    assert not is_color(image, BACKGROUND).all()


def test_from_above_forward_is_up_and_right_is_right() -> None:
    points = np.array([[4.0, 0.0, 5.0]] * 3)
    image = draw_map_from_above(a_map(points), a_path(straight()))
    start, path = centre(is_color(image, START)), centre(is_color(image, PATH))
    assert start[0] > path[0]  # the path goes up the picture
    road = centre(is_color(image, CAMVID.colors[3]))
    assert road[1] > start[1] + 50  # the point lies to its right


def test_the_path_is_drawn_over_the_points() -> None:
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-3, 3, 60_000), np.full(60_000, -2.0),
                              rng.uniform(0, 10, 60_000)])  # fmt: skip
    image = draw_map_from_above(a_map(points), a_path(straight()))
    path = is_color(image, PATH)
    rows = np.flatnonzero(path.any(1))
    assert len(rows) > 400
    assert len(np.flatnonzero(np.diff(rows) > 1)) == 0


def test_far_outliers_do_not_shrink_the_picture() -> None:
    rng = np.random.default_rng(1)
    bulk = rng.uniform([-3, 0, 0], [3, 1, 10], (5000, 3))
    far = np.array([[1e5, 0, 1e5], [-1e6, 0, 3e4], [0, 0, -1e7]])
    alone = draw_map_from_above(a_map(bulk), a_path(straight()))
    both = draw_map_from_above(a_map(np.vstack([bulk, far])), a_path(straight()))
    covered = [1 - is_color(image, BACKGROUND).mean() for image in (alone, both)]
    assert covered[1] > 0.9 * covered[0]
    rows = np.flatnonzero(is_color(both, PATH).any(1))
    assert rows[-1] - rows[0] > 400


def test_what_is_near_covers_what_is_far() -> None:
    ground, roof = np.array([[1.0, 2.0, 5.0]]), np.array([[1.0, -3.0, 5.0]])
    points = np.vstack([roof, ground])
    maps = a_map(points)
    maps.labels[:] = (1, 3)
    image = draw_map_from_above(maps, a_path(straight()))
    assert is_color(image, CAMVID.colors[1]).any()
    assert not is_color(image, CAMVID.colors[3]).any()


def test_colours_or_classes_are_painted() -> None:
    points = np.array([[1.0, 0.0, 5.0]])
    for paint, color in (("colors", (10, 200, 30)), ("labels", CAMVID.colors[3])):
        image = draw_map_from_above(a_map(points), a_path(straight()), paint=paint)  # type: ignore[arg-type]
        assert is_color(image, color).any()


def test_few_points_are_drawn_larger_than_many() -> None:
    rng = np.random.default_rng(2)
    painted = []
    for count in (50, 200_000):
        points = rng.uniform([-3, 0, 0], [3, 1, 10], (count, 3))
        image = draw_map_from_above(a_map(points), a_path(np.zeros((0, 3))))
        painted.append((~is_color(image, BACKGROUND)).sum() / count)
    assert painted[0] >= 9
    assert painted[1] < 3
