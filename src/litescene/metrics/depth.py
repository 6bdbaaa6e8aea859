"""Errors of a depth map against the truth (Eigen et al. 2014)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import DataError


@dataclass(frozen=True, slots=True)
class DepthScores:
    """Errors over pixels where estimate and truth are known.

    `abs_rel` and `sq_rel` are relative to the true depth, `rmse` is in its unit, `rmse_log` in
    natural logarithms, `silog` 100 times the standard deviation of the log difference;
    `delta1..3` shares of pixels within the ratio 1.25, 1.25², 1.25³. `coverage` is the share of
    true pixels that the estimate knows; `scale` the factor applied to the estimate.
    """

    abs_rel: float
    sq_rel: float
    rmse: float
    rmse_log: float
    silog: float
    delta1: float
    delta2: float
    delta3: float
    coverage: float
    pixels: int
    scale: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        return asdict(self)


def depth_errors(
    estimate: NDArray[np.floating[Any]],
    truth: NDArray[np.floating[Any]],
    *,
    mask: NDArray[np.bool_] | None = None,
    max_depth: float = np.inf,
    median_scaling: bool = False,
) -> DepthScores:
    """Errors of `estimate` against `truth`, two z-depth maps of one shape, 0 = unknown.

    `mask` (same shape) and `max_depth` choose the true pixels that count. `median_scaling`
    first brings the median of the estimate to that of the truth, for depth without a scale.
    Raises `DataError` when no pixel is known in both.
    """
    if estimate.shape != truth.shape:
        raise ValueError(f"depth {estimate.shape} and truth {truth.shape} differ in size")
    wanted = (truth > 0) & (truth <= max_depth)
    if mask is not None:
        wanted &= mask
    both = wanted & (estimate > 0)
    pixels = int(both.sum())
    if pixels == 0:
        raise DataError("no pixel has both an estimated and a true depth; nothing to compare")
    found, true = estimate[both].astype(np.float64), truth[both].astype(np.float64)
    scale = float(np.median(true) / np.median(found)) if median_scaling else 1.0
    found = found * scale
    difference, log = found - true, np.log(found) - np.log(true)
    ratio = np.exp(np.abs(log))
    return DepthScores(
        abs_rel=float(np.mean(np.abs(difference) / true)),
        sq_rel=float(np.mean(np.square(difference) / true)),
        rmse=float(np.sqrt(np.mean(np.square(difference)))),
        rmse_log=float(np.sqrt(np.mean(np.square(log)))),
        silog=100.0 * float(np.std(log)),
        delta1=float(np.mean(ratio < 1.25)),
        delta2=float(np.mean(ratio < 1.25**2)),
        delta3=float(np.mean(ratio < 1.25**3)),
        coverage=pixels / int(wanted.sum()),
        pixels=pixels,
        scale=scale,
    )
