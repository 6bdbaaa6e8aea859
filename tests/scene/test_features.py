import cv2
import numpy as np
import pytest

from litescene.core import CAMVID, Frame, SegmentationMap
from litescene.scene.features import (
    BORDER,
    cell_size,
    follow,
    grey_picture,
    new_corners,
    on_mask,
    static_mask,
)

NONE = np.zeros((0, 2), np.float32)


def texture(height: int = 120, width: int = 160) -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0, 255, (height, width)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, 32).astype(np.uint8)


def shifted(picture: np.ndarray, dx: float, dy: float) -> np.ndarray:
    matrix = np.array([[1, 0, dx], [0, 1, dy]])
    size = picture.shape[::-1]
    return cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=2)


def test_grey_is_the_luma_of_rgb():
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    wanted = image @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey_picture(Frame(0, 0.0, image)), wanted, atol=1.0)


def test_corners_spread_over_the_cells_and_keep_off_the_edge():
    corners = new_corners(texture(), NONE, None, 20)
    assert len(corners) > 40
    cells = np.floor(corners / 20).astype(int)
    assert len(np.unique(cells, axis=0)) == len(corners)
    assert corners.min() >= BORDER
    assert corners[:, 0].max() < 160 - BORDER


def test_cells_that_hold_a_corner_get_no_second_one():
    first = new_corners(texture(), NONE, None, 20)
    assert len(new_corners(texture(), first, None, 20)) == 0
    again = new_corners(texture(), first[1:], None, 20)
    assert len(again) <= 1


def test_flat_pictures_have_no_corners():
    assert len(new_corners(np.full((60, 60), 90, np.uint8), NONE, None, 12)) == 0


def test_corners_avoid_what_the_mask_bars():
    mask = np.ones((120, 160), bool)
    mask[:, 80:] = False
    corners = new_corners(texture(), NONE, mask, 20)
    assert len(corners)
    assert corners[:, 0].max() < 80


def test_corners_are_followed_to_a_twentieth_of_a_pixel():
    picture = texture()
    corners = new_corners(picture, NONE, None, 20)
    found, good = follow(picture, shifted(picture, 3.3, -1.7), corners, corners)
    assert good.mean() > 0.7
    move = found[good] - corners[good]
    np.testing.assert_allclose(np.median(move, axis=0), [3.3, -1.7], atol=0.05)


def test_a_large_move_is_followed_when_it_is_predicted():
    picture = texture()
    corners = new_corners(picture, NONE, None, 20)
    moved = shifted(picture, 40.0, 0.0)
    found, good = follow(picture, moved, corners, corners + np.float32([38, 1]))
    assert good.sum() > 10
    np.testing.assert_allclose(found[good] - corners[good], [[40.0, 0.0]] * good.sum(), atol=0.3)


def test_corners_that_vanish_are_not_found():
    picture = texture()
    corners = new_corners(picture, NONE, None, 20)
    other = picture.copy()
    other[:, 80:] = np.random.default_rng(5).integers(0, 256, (120, 80))
    _, good = follow(picture, other, corners, corners)
    assert good[corners[:, 0] > 92].mean() < 0.2
    assert good[corners[:, 0] < 68].all()


def test_nothing_to_follow_is_no_error():
    found, good = follow(texture(), texture(), NONE, NONE)
    assert found.shape == (0, 2)
    assert good.shape == (0,)


@pytest.mark.parametrize("name", ["car", "pedestrian", "bicyclist"])
def test_movers_are_barred_with_three_pixels_around_them(name):
    labels = np.full((60, 80), CAMVID.names.index("road"), np.uint8)
    labels[20:30, 30:40] = CAMVID.names.index(name)
    barred = np.zeros((60, 80), bool)
    barred[17:33, 27:43] = True
    mask = static_mask(SegmentationMap(labels, CAMVID), (60, 80))
    assert mask is not None
    np.testing.assert_array_equal(mask, ~barred)


def test_sky_is_barred_without_a_margin():
    labels = np.full((60, 80), CAMVID.names.index("building"), np.uint8)
    labels[:20] = CAMVID.names.index("sky")
    mask = static_mask(SegmentationMap(labels, CAMVID), (60, 80))
    assert mask is not None
    assert not mask[:20].any()
    assert mask[20:].all()


def test_unknown_pixels_may_hold_corners():
    mask = static_mask(SegmentationMap(np.full((6, 8), 255, np.uint8), CAMVID), (6, 8))
    assert mask is not None
    assert mask.all()


def test_labels_of_another_size_are_scaled():
    labels = np.zeros((30, 40), np.uint8)
    labels[:, :20] = CAMVID.names.index("road")
    mask = static_mask(SegmentationMap(labels, CAMVID), (60, 80))
    assert mask is not None
    assert mask.shape == (60, 80)
    assert mask[:, :40].all()
    assert not mask[:, 40:].any()


def test_pixels_are_looked_up_in_the_mask():
    mask = np.zeros((10, 10), bool)
    mask[2, 7] = True
    pixels = np.float32([[7.3, 1.8], [2, 7], [-4, 30]])
    np.testing.assert_array_equal(on_mask(mask, pixels), [True, False, False])
    assert static_mask(None, (10, 10)) is None
    assert on_mask(None, pixels).all()


def test_cells_divide_the_picture_into_about_as_many_as_asked():
    for height, width, count in ((360, 480, 800), (370, 1226, 1000), (64, 64, 800)):
        cell = cell_size((height, width), count)
        assert cell == 8 or height * width / cell**2 == pytest.approx(count, rel=0.1)
