"""Losses against plain float64 NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from litescene.training.losses.segmentation import (
    class_weights,
    ohem_cross_entropy,
    soft_jaccard,
    weighted_cross_entropy,
)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 4, 9, 7, generator=generator, dtype=torch.float64) * 3
    labels = torch.randint(0, 4, (2, 9, 7), generator=generator)
    labels[0, :2] = 255
    return logits, labels


def probabilities(logits: torch.Tensor) -> NDArray[np.float64]:
    z = logits.numpy()
    e = np.exp(z - z.max(1, keepdims=True))
    return np.moveaxis(e / e.sum(1, keepdims=True), 1, -1)


def true_probability(logits: torch.Tensor, labels: torch.Tensor) -> NDArray[np.float64]:
    p, y = probabilities(logits), labels.numpy()
    return np.array([p[i][y[i]] for i in zip(*np.nonzero(y != 255), strict=True)])


def test_cross_entropy_is_the_mean_over_labelled_pixels(batch: tuple) -> None:
    logits, labels = batch
    expected = -np.log(true_probability(logits, labels)).mean()
    assert weighted_cross_entropy(logits, labels).item() == pytest.approx(expected, rel=1e-12)


def test_weights_multiply_each_pixel(batch: tuple) -> None:
    logits, labels = batch
    weight = torch.rand(labels.shape, dtype=torch.float64)
    p, w = true_probability(logits, labels), weight.numpy()[labels.numpy() != 255]
    got = weighted_cross_entropy(logits, labels, weight).item()
    assert got == pytest.approx(-(np.log(p) * w).mean(), rel=1e-12)
    kept = p <= 0.7
    got = ohem_cross_entropy(logits, labels, min_kept=1, weight=weight).item()
    assert got == pytest.approx(-(np.log(p) * w)[kept].mean(), rel=1e-12)


@pytest.mark.parametrize("min_kept", [1, 20, 60, 10_000])
@pytest.mark.parametrize("threshold", [0.05, 0.7])
def test_ohem_keeps_the_hard_pixels(batch: tuple, min_kept: int, threshold: float) -> None:
    logits, labels = batch
    p = np.sort(true_probability(logits, labels))
    kept = p[p <= max(threshold, p[min_kept - 1])] if min_kept < len(p) else p
    got = ohem_cross_entropy(logits, labels, threshold=threshold, min_kept=min_kept).item()
    assert got == pytest.approx(-np.log(kept).mean(), rel=1e-12)


def test_soft_jaccard_is_one_minus_the_mean_overlap(batch: tuple) -> None:
    logits, labels = batch
    p, y = probabilities(logits), labels.numpy()
    valid = y != 255
    overlaps = []
    for c in range(4):
        truth = (y == c) & valid
        both = (p[..., c] * truth).sum()
        overlaps.append(both / ((p[..., c] * valid).sum() + truth.sum() - both))
    assert soft_jaccard(logits, labels).item() == pytest.approx(1 - np.mean(overlaps), rel=1e-12)


def test_a_batch_without_labels_costs_nothing_and_stays_finite(batch: tuple) -> None:
    logits, labels = batch
    logits = logits.clone().requires_grad_()
    empty = torch.full_like(labels, 255)
    total = (
        weighted_cross_entropy(logits, empty)
        + ohem_cross_entropy(logits, empty, min_kept=5)
        + soft_jaccard(logits, empty)
    )
    total.backward()
    assert total.item() == 0
    assert not logits.grad.any()


def test_class_weights_balance_by_the_median_frequency() -> None:
    counts = torch.tensor([800, 100, 100, 0])
    weights = class_weights(counts, balance=1.0)
    assert weights[1] / weights[0] == pytest.approx(8.0)
    assert (weights[:3] * counts[:3]).sum() / 1000 == pytest.approx(1.0)
    assert torch.equal(class_weights(counts), torch.ones(4))


def test_class_weights_fall_with_the_logarithm_of_the_frequency() -> None:
    counts = torch.tensor([800, 150, 50, 0])
    p = np.array([0.8, 0.15, 0.05])
    expected = 1 / np.log(1.02 + p)
    expected /= (expected * p).sum()
    weights = class_weights(counts, inverse_log=1.02)
    assert weights[:3].tolist() == pytest.approx(expected.tolist(), rel=1e-6)
