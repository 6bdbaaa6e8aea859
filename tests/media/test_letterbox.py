from __future__ import annotations

import numpy as np
import pytest

from litescene.media.letterbox import Letterbox

# picture (w, h), target, resized (w, h), pad l t r b and output (w, h) in auto mode, square pad
TABLE = [
    ((1000, 800), 608, (608, 486), (0, 13, 0, 13), (608, 512), (0, 61, 0, 61)),
    ((1280, 720), 640, (640, 360), (0, 12, 0, 12), (640, 384), (0, 140, 0, 140)),
    ((810, 1080), 640, (480, 640), (0, 0, 0, 0), (480, 640), (80, 0, 80, 0)),
    ((500, 333), 320, (320, 213), (0, 5, 0, 6), (320, 224), (0, 53, 0, 54)),
    ((500, 375), 416, (416, 312), (0, 4, 0, 4), (416, 320), (0, 52, 0, 52)),
    ((1000, 801), 640, (640, 513), (0, 15, 0, 16), (640, 544), (0, 63, 0, 64)),
]


def _pads(box: Letterbox) -> tuple[int, int, int, int]:
    bottom = box.size[0] - box.resized[0] - box.top
    right = box.size[1] - box.resized[1] - box.left
    return box.left, box.top, right, bottom


@pytest.mark.parametrize("row", TABLE)
def test_the_measured_table_of_the_original_is_met(row: tuple) -> None:
    (width, height), target, resized, pads, output, square = row
    auto = Letterbox.plan((height, width), (target, target), auto=True)
    assert (auto.resized[::-1], _pads(auto), auto.size[::-1]) == (resized, pads, output)
    full = Letterbox.plan((height, width), (target, target), auto=False)
    assert (full.resized[::-1], _pads(full), full.size) == (resized, square, (target, target))


@pytest.mark.parametrize("row", TABLE)
def test_the_pictures_corners_map_back_exactly(row: tuple) -> None:
    (width, height), target, *_ = row
    box = Letterbox.plan((height, width), (target, target), auto=True)
    inside = [box.left, box.top, box.left + box.resized[1], box.top + box.resized[0]]
    back = box.to_picture(np.array([inside], np.float32))
    np.testing.assert_allclose(back, [[0, 0, width, height]], atol=1e-3)


@pytest.mark.parametrize(
    ("size", "inside"),
    [((801, 1000), (513, 640)), ((100, 1999), (32, 640)), ((1999, 100), (640, 32))],
)
def test_each_axis_has_the_ratio_that_rounding_gave_it(
    size: tuple[int, int], inside: tuple[int, int]
) -> None:
    """The original maps both axes by one ratio, which is off by up to half a pixel of the input:
    on a picture of 100×1999 by one and a half of the picture's own."""
    box = Letterbox.plan(size, (640, 640), auto=True)
    edges = [[box.left, box.top, box.left + inside[1], box.top + inside[0]]]
    back = box.to_picture(np.array(edges, np.float32))
    np.testing.assert_allclose(back, [[0, 0, size[1], size[0]]], rtol=1e-6)


def test_boxes_outside_are_clipped_to_the_picture() -> None:
    box = Letterbox.plan((333, 500), (320, 320), auto=True)
    back = box.to_picture(np.array([[-50, -50, 1000, 1000]], np.float32))
    np.testing.assert_array_equal(back, [[0, 0, 500, 333]])


def test_the_picture_lies_on_grey() -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    box = Letterbox.plan((64, 96), (96, 96), auto=False)
    padded = box.apply(image)
    assert padded.shape == (96, 96, 3)
    np.testing.assert_array_equal(padded[16:80], image)
    assert (padded[:16] == 114).all()
    assert (padded[80:] == 114).all()


def test_a_picture_of_another_size_is_refused() -> None:
    box = Letterbox.plan((64, 96), (96, 96), auto=True)
    with pytest.raises(ValueError, match="planned for"):
        box.apply(np.zeros((65, 96, 3), np.uint8))
