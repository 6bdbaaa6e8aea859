import math
from dataclasses import replace

import numpy as np
import plane_world
import pytest

from litescene.core import CAMVID, Camera, CameraError, SegmentationMap
from litescene.scene import depth_kernels
from litescene.scene.depth import (
    EpipolarDepth,
    PosedView,
    epipoles,
    relative_projections,
    select_neighbours,
    static_pixels,
)

CAMERA = plane_world.camera(320, 240)
MOTIONS = {
    "sideways": [(0, 0, 0, 0), (0.4, 0, 0, 0), (-0.5, 0, 0, 0)],
    "forwards": [(0, 0, 0, 0), (0.05, 0, 1.2, 0), (0, 0, -1.2, 0)],
    "turning": [(0, 0, 0, 0), (0.3, 0, 0.5, 4), (0, 0, -0.8, -3), (0, 0, -1.5, -5)],
}


def posed_view(index: int, pose: np.ndarray, landmarks: int = 0, labels: bool = False):
    image, depth, label = plane_world.render(CAMERA, pose)
    marks = None
    if landmarks:
        rng = np.random.default_rng(index)
        u = rng.integers(0, CAMERA.width, landmarks)
        v = rng.integers(0, CAMERA.height, landmarks)
        marks = np.stack([u, v, depth[v, u]], 1).astype(np.float64)
    segmentation = SegmentationMap(label, CAMVID) if labels else None
    return PosedView(index, image, pose, CAMERA, marks, segmentation), depth


def motion(name: str, landmarks: int = 60):
    made = [
        posed_view(i, plane_world.pose(*step), landmarks) for i, step in enumerate(MOTIONS[name])
    ]
    return [view for view, _ in made], made[0][1]


@pytest.mark.parametrize("name", list(MOTIONS))
@pytest.mark.parametrize("landmarks", [0, 60])
def test_depth_of_textured_planes_agrees_with_the_closed_form(name, landmarks):
    views, truth = motion(name, landmarks)
    found = EpipolarDepth("metric").depth(views[0], views[1:])
    known = found.depth > 0
    error = np.abs(found.depth[known] - truth[known]) / truth[known]
    assert found.scale == "metric"
    assert known.mean() > 0.02
    assert np.median(error) < 0.01
    assert np.quantile(error, 0.9) < 0.03
    assert np.mean(error > 0.1) < 0.02


@pytest.mark.parametrize("name", list(MOTIONS))
def test_the_stated_uncertainty_covers_the_true_errors_without_being_idle(name):
    views, truth = motion(name)
    found = EpipolarDepth().depth(views[0], views[1:])
    known = found.depth > 0
    score = np.abs(1 / found.depth[known] - 1 / truth[known]) / found.sigma[known]
    assert np.mean(score < 2) > 0.93
    assert np.quantile(score, 0.68) > 0.1


def test_a_pair_of_views_is_enough():
    views, truth = motion("sideways")
    found = EpipolarDepth().depth(views[0], views[1:2])
    known = found.depth > 0
    assert known.mean() > 0.02
    assert np.median(np.abs(found.depth[known] / truth[known] - 1)) < 0.015


def test_without_neighbours_or_baseline_there_is_no_depth():
    views, _ = motion("sideways")
    same_place = PosedView(9, views[0].image, views[0].pose, CAMERA)
    assert EpipolarDepth().depth(views[0], []) is None
    assert EpipolarDepth().depth(views[0], [views[0]]) is None
    assert EpipolarDepth().depth(views[0], [same_place]) is None


def test_another_picture_of_the_same_number_is_looked_at_anew():
    views, _ = motion("sideways")
    stage = EpipolarDepth("metric")
    assert (stage.depth(views[0], views[1:]).depth > 0).any()
    white = [replace(view, image=np.full_like(view.image, 255)) for view in views]
    found = stage.depth(white[0], white[1:])
    assert found is None or not found.depth.any()


def test_pictures_without_texture_give_no_depth():
    grey = np.full((240, 320, 3), 90, np.uint8)
    views = [PosedView(i, grey, plane_world.pose(x=0.3 * i), CAMERA) for i in range(3)]
    assert not np.any(EpipolarDepth().depth(views[0], views[1:]).depth)


def test_unrelated_pictures_give_almost_no_depth():
    rng = np.random.default_rng(0)
    views = [
        PosedView(
            i, rng.integers(0, 256, (240, 320, 3), np.uint8), plane_world.pose(x=0.3 * i), CAMERA
        )
        for i in range(3)
    ]
    assert np.mean(EpipolarDepth().depth(views[0], views[1:]).depth > 0) < 1e-3


def test_a_change_of_exposure_does_not_spoil_the_depth():
    views, truth = motion("sideways")
    darker = [
        PosedView(v.index, (v.image * 0.7 + 20).astype(np.uint8), v.pose, CAMERA) for v in views[1:]
    ]
    found = EpipolarDepth().depth(views[0], darker)
    known = found.depth > 0
    assert known.mean() > 0.015
    assert np.median(np.abs(found.depth[known] / truth[known] - 1)) < 0.015


def test_movers_and_sky_get_no_depth():
    views, _ = motion("sideways")
    labels = np.full((240, 320), CAMVID.names.index("road"), np.uint8)
    labels[:120] = CAMVID.names.index("sky")
    labels[:, 200:] = CAMVID.names.index("car")
    masked = PosedView(
        7, views[0].image, views[0].pose, CAMERA, labels=SegmentationMap(labels, CAMVID)
    )
    found = EpipolarDepth().depth(masked, views[1:]).depth
    assert found[122:, :198].any()
    assert not found[:122].any()
    assert not found[:, 198:].any()


def test_matches_on_a_neighbours_movers_do_not_count():
    views, _ = motion("sideways")
    cars = SegmentationMap(np.full((240, 320), CAMVID.names.index("car"), np.uint8), CAMVID)
    covered = [PosedView(v.index, v.image, v.pose, CAMERA, labels=cars) for v in views[1:]]
    assert not EpipolarDepth().depth(views[0], covered).depth.any()


def test_static_pixels_keep_two_pixels_away_from_movers():
    labels = np.full((20, 20), CAMVID.names.index("road"), np.uint8)
    labels[10, 10] = CAMVID.names.index("pedestrian")
    mask = static_pixels(SegmentationMap(labels, CAMVID), (20, 20))
    assert np.count_nonzero(~mask) == 25
    assert static_pixels(None, (4, 5, 3)).shape == (4, 5)


def test_relative_projection_is_projection_of_the_same_point():
    views, _ = motion("turning")
    H, b = relative_projections(views[0], views[1:])
    point, depth = np.array([100.0, 80.0, 1.0]), 7.0
    world = views[0].pose @ np.append(np.linalg.inv(CAMERA.K) @ point * depth, 1.0)
    for n, other in enumerate(views[1:]):
        there = CAMERA.K @ (np.linalg.inv(other.pose) @ world)[:3]
        seen = H[n] @ point + b[n] / depth
        np.testing.assert_allclose(seen[:2] / seen[2], there[:2] / there[2])


def test_epipoles_are_the_projected_camera_centres():
    views, _ = motion("turning")
    for found, other in zip(epipoles(views[0], views[1:]), views[1:], strict=True):
        centre = np.linalg.inv(views[0].pose) @ other.pose[:, 3]
        np.testing.assert_allclose(found, CAMERA.K @ centre[:3], atol=1e-9)


def test_neighbours_are_chosen_by_baseline_and_direction():
    image = np.zeros((240, 320, 3), np.uint8)
    marks = np.array([[10.0, 10.0, 10.0]] * 4)

    def at(index: int, **step: float) -> PosedView:
        return PosedView(index, image, plane_world.pose(**step), CAMERA, marks)

    candidates = [at(1, x=0.1), at(2, x=1.5), at(3, x=1.5, yaw=50), at(4, x=9.0), at(5, x=-1.4)]
    assert [v.index for v in select_neighbours(at(0), candidates)] == [2, 5]
    assert select_neighbours(at(0), [at(0)]) == []
    bare = PosedView(0, image, plane_world.pose(), CAMERA)
    assert [v.index for v in select_neighbours(bare, candidates, count=2)] == [4, 2]


def test_views_that_do_not_fit_are_refused():
    image = np.zeros((240, 320, 3), np.uint8)
    with pytest.raises(CameraError, match="resized"):
        PosedView(0, image[:100], np.eye(4), CAMERA)
    lens = Camera(320, 240, 300, 300, 160, 120, "radtan", (0.1, 0, 0, 0))
    with pytest.raises(CameraError, match="undistort"):
        PosedView(0, image, np.eye(4), lens)
    with pytest.raises(ValueError, match="labels are"):
        PosedView(
            0,
            image,
            np.eye(4),
            CAMERA,
            labels=SegmentationMap(np.zeros((3, 4), np.uint8), CAMVID),
        )
    small = PosedView(1, image[:60, :80], plane_world.pose(x=1), CAMERA.resized(80, 60))
    with pytest.raises(ValueError, match="equal sizes"):
        EpipolarDepth().depth(PosedView(0, image, np.eye(4), CAMERA), [small])


def test_very_small_pictures_are_matched_without_failing():
    camera = Camera.from_fov(8, 6, 60)
    views = [
        PosedView(i, np.zeros((6, 8, 3), np.uint8), plane_world.pose(x=i), camera) for i in (0, 1)
    ]
    assert not EpipolarDepth().depth(views[0], views[1:]).depth.any()


def test_census_codes_equal_the_definition():
    gray = np.random.default_rng(2).integers(0, 9, (15, 18)).astype(np.float32)
    codes = depth_kernels.census(gray)
    for y in range(3, 12):
        for x in range(3, 15):
            expected = sum(
                1 << k
                for k, (dy, dx) in enumerate(depth_kernels.CENSUS_OFFSETS)
                if gray[y + dy, x + dx] > gray[y, x]
            )
            assert codes[y, x] == expected
    assert not codes[:3].any()
    assert not codes[:, -3:].any()


def test_the_usable_pixel_steepest_along_its_epipolar_line_is_tried_in_each_cell():
    gray = np.random.default_rng(4).uniform(0, 255, (40, 50)).astype(np.float32)
    usable = np.random.default_rng(5).random((40, 50)) < 0.8
    epipole = np.array([30.0, 12.0, 1.0])
    pixels, gradients, cells = depth_kernels.edge_pixels(gray, usable, 4, 5.0, epipole[None])
    gy, gx = np.gradient(gray.astype(np.float64))
    v, u = np.mgrid[:40, :50]
    line = np.stack([30.0 - u, 12.0 - v]) / np.maximum(np.hypot(30.0 - u, 12.0 - v), 1e-9)
    steep = np.where(usable, np.abs(gx * line[0] + gy * line[1]), 0)
    border = depth_kernels.BORDER
    for row in range(cells.shape[0]):
        for column in range(cells.shape[1]):
            y, x = border + 4 * row, border + 4 * column
            block = steep[y : y + 4, x : x + 4]
            number = cells[row, column]
            assert (number >= 0) == (block.max() > 5.0)
            if number >= 0:
                dy, dx = np.unravel_index(block.argmax(), block.shape)
                assert pixels[number].tolist() == [x + dx, y + dy]
                np.testing.assert_allclose(
                    gradients[number], [gx[y + dy, x + dx], gy[y + dy, x + dx]], rtol=1e-5
                )


def test_smoothing_averages_what_agrees_and_removes_what_stands_alone():
    cells = np.arange(100, dtype=np.int32).reshape(10, 10)
    rng = np.random.default_rng(6)
    truth, noise = 0.1, 0.004
    values = (truth + rng.normal(0, noise, 100)).astype(np.float32)
    values[[0, 9]] = 0.3, 0.0
    smooth = depth_kernels.regularise(values, np.full(100, noise, np.float32), cells, 2)
    assert smooth[0] == 0
    assert smooth[9] == 0
    kept = smooth > 0
    assert kept.sum() > 90
    deviation = math.sqrt(np.mean((smooth[kept] - truth) ** 2))
    assert deviation < 0.6 * math.sqrt(np.mean((values[kept] - truth) ** 2))
