"""Random parts of pictures stay inside, have the shares that were asked for, and mirror."""

from __future__ import annotations

import numpy as np
import pytest

from litescene.data.random_crop import Crop, CropRange


def test_parts_are_inside_with_area_and_ratio_of_their_ranges() -> None:
    g = np.random.default_rng(0)
    limits = CropRange((0.2, 0.4), (0.8, 1.25))
    drawn = [Crop.draw((200, 300), limits, 0.5, g) for _ in range(2000)]
    assert all(0 <= c.top <= 200 - c.height and 0 <= c.left <= 300 - c.width for c in drawn)
    shares = np.array([c.height * c.width / 60_000 for c in drawn])
    ratios = np.array([c.width / c.height for c in drawn])
    assert 0.19 < shares.min() < 0.22
    assert 0.38 < shares.max() < 0.41
    assert shares.mean() == pytest.approx(0.3, abs=0.01)
    assert 0.78 < ratios.min() < 0.85
    assert np.log(ratios).mean() == pytest.approx(0, abs=0.02)
    assert np.mean([c.mirrored for c in drawn]) == pytest.approx(0.5, abs=0.05)
    assert {c.top == 0 for c in drawn} == {True, False}


@pytest.mark.parametrize("size", [(1, 1), (2, 90), (90, 2)])
def test_narrow_pictures_give_parts_too(size: tuple[int, int]) -> None:
    g = np.random.default_rng(1)
    image = np.zeros((*size, 3), np.uint8)
    for _ in range(50):
        crop = Crop.draw(size, CropRange(), 0.5, g)
        assert 1 <= crop.height <= size[0]
        assert 1 <= crop.width <= size[1]
        assert crop.cut(image, (64, 64)).shape == (64, 64, 3)


def test_a_part_is_cut_where_it_says_and_mirrored() -> None:
    image = np.random.default_rng(2).integers(0, 256, (100, 90, 3), np.uint8)
    plain = Crop(5, 7, 64, 64, mirrored=False).cut(image, (64, 64))
    np.testing.assert_array_equal(plain, image[5:69, 7:71])
    np.testing.assert_array_equal(
        Crop(5, 7, 64, 64, mirrored=True).cut(image, (64, 64)), image[5:69, 7:71][:, ::-1]
    )
