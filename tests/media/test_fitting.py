"""Pictures, and labels with them, at the size that a network wants."""

from __future__ import annotations

import numpy as np
import pytest

from litescene.core import IGNORE
from litescene.media.fitting import centre_crop, fit_labelled, fit_whole


def ramp(height: int, width: int) -> np.ndarray:
    """Red is the column, green the row."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns, rows, 0 * rows], axis=2).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 100), (100, 64), (64, 64)])
def test_the_shorter_side_is_kept_whole_and_the_longer_one_cut_evenly(
    height: int, width: int
) -> None:
    seen = centre_crop(ramp(height, width), (64, 64))
    top, left = (height - 64) // 2, (width - 64) // 2
    np.testing.assert_array_equal(seen, ramp(height, width)[top : top + 64, left : left + 64])


def test_a_share_is_that_of_the_shorter_side() -> None:
    seen = centre_crop(ramp(128, 200), (64, 64), 0.5)
    np.testing.assert_array_equal(seen, ramp(128, 200)[32:96, 68:132])


def test_halves_are_averages_of_four_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 256, (128, 140, 3), np.uint8)
    cells = image[:, 6:134].reshape(64, 2, 64, 2, 3).mean((1, 3))
    difference = np.abs(centre_crop(image, (64, 64)).astype(float) - cells)
    assert difference.max() <= 0.5


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (700, 2)])
@pytest.mark.parametrize("wanted", [(64, 64), (64, 96)])
def test_pictures_of_any_size_fit(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert centre_crop(np.full((*size, 3), 7, np.uint8), wanted).shape == (*wanted, 3)


def test_an_aspect_that_is_not_square_is_cut_out_with_its_aspect() -> None:
    seen = centre_crop(ramp(100, 100), (50, 100))
    np.testing.assert_array_equal(seen, ramp(100, 100)[25:75])


@pytest.mark.parametrize(
    ("height", "width", "size", "place"),
    [
        (20, 40, (40, 40), (slice(10, 30), slice(0, 40))),
        (40, 20, (40, 40), (slice(0, 40), slice(10, 30))),
        (80, 40, (40, 40), (slice(0, 40), slice(10, 30))),
        (10, 10, (40, 41), (slice(0, 40), slice(0, 40))),
        (40, 41, (40, 41), (slice(0, 40), slice(0, 41))),
        (1, 900, (40, 41), (slice(19, 20), slice(0, 41))),
    ],
)
def test_a_whole_picture_keeps_its_aspect_and_has_black_around_it(
    height: int, width: int, size: tuple[int, int], place: tuple[slice, slice]
) -> None:
    seen = fit_whole(np.full((height, width, 3), 200, np.uint8), size)
    expected = np.zeros((*size, 3), np.uint8)
    expected[place] = 200
    np.testing.assert_array_equal(seen, expected)


def test_labels_are_those_of_the_nearest_pixels_of_the_picture() -> None:
    """Against half-pixel centres in floating point."""
    labels = np.random.default_rng(0).integers(0, 9, (90, 121), np.uint8)
    image = np.repeat(labels[..., None], 3, axis=2)
    for size in ((45, 60), (64, 87), (131, 173)):
        fitted, marked = fit_labelled(image, labels, size)
        assert fitted.shape == (*size, 3)
        rows, columns = (
            np.clip(np.floor((np.arange(n) + 0.5) * old / n), 0, old - 1).astype(int)
            for n, old in zip(size, labels.shape, strict=True)
        )
        np.testing.assert_array_equal(marked, labels[np.ix_(rows, columns)])


def test_a_picture_of_another_aspect_is_whole_with_no_class_around_it() -> None:
    image, labels = np.full((20, 40, 3), 200, np.uint8), np.full((20, 40), 3, np.uint8)
    fitted, marked = fit_labelled(image, labels, (40, 40))
    expected = np.full((40, 40), IGNORE, np.uint8)
    expected[10:30] = 3
    np.testing.assert_array_equal(marked, expected)
    np.testing.assert_array_equal(fitted[..., 0], np.where(expected == 3, 200, 0))


def test_nearly_the_same_aspect_is_stretched() -> None:
    image, labels = ramp(96, 132), np.full((96, 132), 3, np.uint8)
    fitted, marked = fit_labelled(image, labels, (96, 128))
    assert (marked == 3).all()
    assert fitted[50, :, 0].max() > 128
