"""PSNR and SSIM against float64 written out by their definitions, SciPy and scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import correlate
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from litescene.metrics import ImageQuality, psnr, ssim

SIZES = [(11, 11, 3), (48, 37, 3), (64, 80)]


def pair(shape: tuple[int, ...], noise: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(sum(shape))
    smooth = np.add.outer(np.arange(shape[0]) * 2.0, np.arange(shape[1]) * 1.5) % 200
    truth = smooth if len(shape) == 2 else np.stack([smooth, smooth.T.mean() + 0 * smooth,
                                                     200 - smooth], 2)  # fmt: skip
    truth = np.clip(truth + rng.normal(0, 20, shape), 0, 255).astype(np.uint8)
    given = np.clip(truth + rng.normal(0, noise, shape), 0, 255).astype(np.uint8)
    return given, truth


def ssim_by_definition(given: np.ndarray, truth: np.ndarray) -> float:
    """Equation 13 of the paper, window by window of weights that sum to 1, by SciPy."""
    at = np.arange(11) - 5
    kernel = np.exp(-np.add.outer(at**2, at**2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    planes = []
    for x, y in zip(np.atleast_3d(given).T, np.atleast_3d(truth).T, strict=True):
        x, y = x.astype(np.float64), y.astype(np.float64)
        mx, my = correlate(x, kernel), correlate(y, kernel)
        vx, vy = correlate(x * x, kernel) - mx**2, correlate(y * y, kernel) - my**2
        cov = correlate(x * y, kernel) - mx * my
        whole = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
        planes.append(whole[5:-5, 5:-5].mean())
    return float(np.mean(planes))


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_ssim_is_the_papers_equation_over_the_windows_inside(shape: tuple[int, ...]) -> None:
    given, truth = pair(shape)
    assert ssim(given, truth) == pytest.approx(ssim_by_definition(given, truth), abs=1e-9)
    assert 0.05 < ssim(given, truth) < 0.95


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_both_agree_with_scikit_image(shape: tuple[int, ...]) -> None:
    given, truth = pair(shape)
    assert psnr(given, truth) == pytest.approx(peak_signal_noise_ratio(truth, given))
    theirs = structural_similarity(
        truth, given, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        channel_axis=2 if len(shape) == 3 else None, data_range=255,
    )  # fmt: skip
    assert ssim(given, truth) == pytest.approx(theirs, abs=1e-9)


def test_psnr_of_a_constant_error_is_its_closed_form() -> None:
    truth = np.random.default_rng(0).integers(20, 200, (16, 20, 3), dtype=np.uint8)
    for error in (1, 5, 40):
        expected = 20 * math.log10(255 / error)
        assert psnr(truth + np.uint8(error), truth) == pytest.approx(expected, abs=1e-12)
        assert psnr(truth, truth + np.uint8(error)) == pytest.approx(expected, abs=1e-12)


def test_equal_pictures_have_ssim_one_and_infinite_psnr() -> None:
    _, truth = pair((32, 32, 3))
    assert psnr(truth, truth) == math.inf
    assert ssim(truth, truth) == 1.0


def test_an_inverted_picture_has_a_negative_ssim() -> None:
    _, truth = pair((40, 40))
    assert ssim(255 - truth, truth) < -0.5


def test_means_count_every_picture_alike_and_equal_ones_with_100_db() -> None:
    quality = ImageQuality()
    assert quality.to_dict() == {"psnr": 0.0, "ssim": 0.0, "pictures": 0}
    truth = np.full((20, 20, 3), 100, np.uint8)
    quality.add(truth, truth)
    quality.add(truth + np.uint8(255 - 100), np.zeros_like(truth))
    found = quality.to_dict()
    assert (found["psnr"], found["pictures"]) == (pytest.approx(50.0), 2)


@pytest.mark.parametrize(
    ("given", "truth"),
    [
        (np.zeros((12, 12, 3), np.uint8), np.zeros((12, 13, 3), np.uint8)),
        (np.zeros((12, 12, 3), np.float32), np.zeros((12, 12, 3), np.uint8)),
        (np.zeros((0, 12, 3), np.uint8), np.zeros((0, 12, 3), np.uint8)),
    ],
    ids=["sizes", "types", "empty"],
)
def test_pictures_that_cannot_be_compared_are_refused(given: np.ndarray, truth: np.ndarray) -> None:
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match="pictures to compare are uint8"):
            metric(given, truth)


def test_ssim_needs_a_whole_window() -> None:
    small = np.zeros((10, 30, 3), np.uint8)
    with pytest.raises(ValueError, match="11×11"):
        ssim(small, small)
