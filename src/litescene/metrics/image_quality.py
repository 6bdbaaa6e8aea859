"""How near a picture is to the true one: PSNR and SSIM, in NumPy and OpenCV.

Pictures are H×W×3 (or H×W) uint8 of equal size; the data range is 255.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Picture = NDArray[np.uint8]

RANGE = 255.0
MOST_PSNR = 100.0
"""PSNR in dB that `ImageQuality` counts for equal pictures, whose own is infinite."""
WINDOW, SIGMA = 11, 1.5
_C1, _C2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2


def psnr(given: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio in dB, 10·log10(255² / mean squared error) over all planes.

    Infinite for equal pictures. Raises `ValueError` for pictures of other types or sizes.

    >>> grey = np.full((16, 16, 3), 100, np.uint8)
    >>> round(psnr(grey, grey + np.uint8(1)), 2)
    48.13
    """
    _check(given, truth)
    error = given.astype(np.float64) - truth
    mean = float(np.mean(error * error))
    return float("inf") if mean == 0 else 10 * float(np.log10(RANGE**2 / mean))


def ssim(given: Picture, truth: Picture) -> float:
    """Structural similarity, -1 to 1: the mean over all positions and planes.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13 (2004), equation 13, with its constants: an 11×11 Gaussian
    window of σ 1.5, K1 = 0.01, K2 = 0.03, moments of the population. Only windows that lie wholly
    inside the picture count, as in the authors' code, so nothing depends on how borders are
    filled: of H×W there are (H-10)×(W-10). Each plane is compared by itself.

    Raises `ValueError` for pictures of other types or sizes, or with a side below 11.
    """
    _check(given, truth)
    if min(truth.shape[:2]) < WINDOW:
        raise ValueError(f"SSIM takes pictures from {WINDOW}×{WINDOW} on, not {truth.shape}")
    x, y = given.astype(np.float64), truth.astype(np.float64)
    mean_x, mean_y = _inner_means(x), _inner_means(y)
    square_x, square_y, product = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    variances = _inner_means(x * x) + _inner_means(y * y) - square_x - square_y
    covariance = _inner_means(x * y) - product
    above = (2 * product + _C1) * (2 * covariance + _C2)
    below = (square_x + square_y + _C1) * (variances + _C2)
    return float(np.mean(above / below))


def _inner_means(x: F64) -> F64:
    """Gaussian means of all windows inside the picture."""
    blurred = cv2.GaussianBlur(x, (WINDOW, WINDOW), SIGMA)
    edge = WINDOW // 2
    return np.asarray(blurred[edge:-edge, edge:-edge], np.float64)


def _check(given: Picture, truth: Picture) -> None:
    fits = given.shape == truth.shape and truth.ndim in (2, 3) and truth.size > 0
    if not fits or given.dtype != np.uint8 or truth.dtype != np.uint8:
        raise ValueError(
            f"pictures to compare are uint8 of one size, not {given.shape} {given.dtype} and "
            f"{truth.shape} {truth.dtype}"
        )


@dataclass
class ImageQuality:
    """Means of PSNR and SSIM over pictures, each counting the same.

    The PSNR of a picture counts with at most `MOST_PSNR`, so that one without any error does not
    make the mean infinite.
    """

    psnrs: list[float] = field(default_factory=list)
    ssims: list[float] = field(default_factory=list)

    def add(self, given: Picture, truth: Picture) -> None:
        """Compare one picture, H×W×3 uint8."""
        self.psnrs.append(min(psnr(given, truth), MOST_PSNR))
        self.ssims.append(ssim(given, truth))

    def to_dict(self) -> dict[str, float | int]:
        """`psnr` (dB), `ssim` and the number of `pictures`; zeros without any."""
        count = len(self.psnrs)
        return {
            "psnr": float(np.mean(self.psnrs)) if count else 0.0,
            "ssim": float(np.mean(self.ssims)) if count else 0.0,
            "pictures": count,
        }
