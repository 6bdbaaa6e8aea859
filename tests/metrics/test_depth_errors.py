import numpy as np
import pytest

from litescene.core import DataError
from litescene.metrics import depth_errors


def test_figures_agree_with_their_formulas_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 60, (20, 30)).astype(np.float32)
    found = (truth * np.exp(rng.normal(0, 0.3, truth.shape))).astype(np.float32)
    truth[rng.random(truth.shape) < 0.2] = 0
    found[rng.random(truth.shape) < 0.2] = 0
    pairs = [(float(d), float(t)) for d, t in zip(found.flat, truth.flat, strict=True)]
    pairs = [(d, t) for d, t in pairs if d > 0 and 0 < t <= 50]
    n, logs = len(pairs), [np.log(d / t) for d, t in pairs]
    s = depth_errors(found, truth, max_depth=50)
    assert s.pixels == n
    assert s.abs_rel == pytest.approx(sum(abs(d - t) / t for d, t in pairs) / n)
    assert s.sq_rel == pytest.approx(sum((d - t) ** 2 / t for d, t in pairs) / n)
    assert s.rmse == pytest.approx((sum((d - t) ** 2 for d, t in pairs) / n) ** 0.5)
    assert s.rmse_log == pytest.approx((sum(x * x for x in logs) / n) ** 0.5)
    variance = sum(x * x for x in logs) / n - (sum(logs) / n) ** 2
    assert s.silog == pytest.approx(100 * variance**0.5)
    for k, value in enumerate((s.delta1, s.delta2, s.delta3), start=1):
        assert value == pytest.approx(sum(max(d / t, t / d) < 1.25**k for d, t in pairs) / n)
    assert s.coverage == pytest.approx(n / np.sum((truth > 0) & (truth <= 50)))
    assert s.to_dict()["scale"] == 1.0


def test_median_scaling_makes_a_scaled_truth_perfect() -> None:
    truth = np.random.default_rng(1).uniform(1, 9, (5, 7))
    s = depth_errors(0.2 * truth, truth, median_scaling=True)
    assert s.scale == pytest.approx(5.0)
    assert s.rmse == pytest.approx(0.0, abs=1e-12)
    assert s.delta1 == 1.0


def test_the_mask_chooses_pixels() -> None:
    truth, found = np.full((2, 2), 2.0), np.array([[2.0, 4.0], [4.0, 4.0]])
    mask = np.array([[True, False], [False, False]])
    assert depth_errors(found, truth, mask=mask).rmse == 0.0


def test_nothing_in_common_and_other_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="nothing to compare"):
        depth_errors(np.zeros((2, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="differ in size"):
        depth_errors(np.ones((2, 2)), np.ones((2, 3)))
