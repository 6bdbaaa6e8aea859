"""Detail guidance, borders and distillation against plain float64 NumPy and the papers' steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from litescene.training.losses.detail import detail_loss, label_details, near_borders
from litescene.training.losses.distillation import distillation


def blobs(height: int, width: int, seed: int) -> torch.Tensor:
    """Labels 2×height×width of random rectangles of five classes, a corner ignored."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((2, height, width), np.int64)
    for _ in range(12):
        top, left = rng.integers(0, height), rng.integers(0, width)
        bottom, right = top + rng.integers(1, 7), left + rng.integers(1, 7)
        labels[rng.integers(2), top:bottom, left:right] = rng.integers(0, 5)
    labels[0, -3:, -4:] = 255
    return torch.from_numpy(labels)


def pyramid(labels: torch.Tensor) -> torch.Tensor:
    """Section 3.3 of STDC-Seg step by step: three strides, enlarged, weighted, cut at 0.1."""
    kernel = -torch.ones(1, 1, 3, 3, dtype=torch.float64)
    kernel[0, 0, 1, 1] = 8
    padded = F.pad(labels[:, None].double(), (1, 1, 1, 1), mode="replicate")
    fused = torch.zeros(labels.shape, dtype=torch.float64)
    for stride, weight in ((1, 0.6), (2, 0.3), (4, 0.1)):
        edges = (F.conv2d(padded, kernel, stride=stride).clamp(min=0) > 0.1).double()
        ignored = labels[:, None, ::stride, ::stride] == 255
        edges = edges.masked_fill(ignored, 0)
        fused += weight * F.interpolate(edges, size=labels.shape[1:], mode="nearest")[:, 0]
    return fused > 0.1


@pytest.mark.parametrize("size", [(16, 24), (17, 23), (30, 13)])
def test_details_are_those_of_the_papers_pyramid(size: tuple[int, int]) -> None:
    for seed in range(5):
        labels = blobs(*size, seed)
        details = label_details(labels)
        assert torch.equal(details, pyramid(labels))
        assert 0 < details.float().mean() < 0.8


def test_the_detail_loss_is_entropy_and_dice_over_labelled_pixels() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 16, 24, generator=generator, dtype=torch.float64)
    labels = blobs(16, 24, 3)
    details, labelled = label_details(labels), labels != 255
    p, t, known = 1 / (1 + np.exp(-logits.numpy())), details.numpy(), labelled.numpy()
    entropy = -np.where(t, np.log(p), np.log(1 - p))[known].mean()
    dice = [
        (2 * (p[i] * t[i])[known[i]].sum() + 1) / (p[i][known[i]].sum() + t[i][known[i]].sum() + 1)
        for i in range(2)
    ]
    got = detail_loss(logits, details, labelled).item()
    assert got == pytest.approx(entropy + 1 - np.mean(dice), rel=1e-12)
    assert detail_loss(logits, details & ~details, labelled & ~labelled).item() == 0


@pytest.mark.parametrize("distance", [1, 2])
def test_pixels_near_borders_see_two_classes(distance: int) -> None:
    labels = blobs(15, 18, 4)
    y = labels.numpy()
    expected = np.zeros(y.shape, bool)
    for n, i, j in np.ndindex(*y.shape):
        window = y[n, max(i - distance, 0) : i + distance + 1, max(j - distance, 0) :][
            :, : min(j, distance) + distance + 1
        ]
        expected[n, i, j] = len(set(window.flatten().tolist()) - {255}) > 1
    assert expected.any()
    assert np.array_equal(near_borders(labels, distance).numpy(), expected)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_the_divergence_from_the_softened_teacher(temperature: float) -> None:
    generator = torch.Generator().manual_seed(2)
    logits, teacher = torch.randn(2, 2, 5, 16, 24, generator=generator, dtype=torch.float64)
    logits.requires_grad_()
    labels = blobs(16, 24, 5)

    def softened(x: torch.Tensor) -> np.ndarray:
        e = np.exp(x.detach().numpy() / temperature)
        return e / e.sum(1, keepdims=True)

    p, q = softened(teacher), softened(logits)
    divergence = (p * np.log(p / q)).sum(1)[labels.numpy() != 255].mean()
    loss = distillation(logits, teacher, labels, temperature)
    assert loss.item() == pytest.approx(temperature**2 * divergence, rel=1e-10)
    loss.backward()
    q[(labels.numpy() == 255)[:, None].repeat(5, 1)] = p[
        (labels.numpy() == 255)[:, None].repeat(5, 1)
    ]
    expected = temperature * (q - p) / int((labels != 255).sum())
    np.testing.assert_allclose(logits.grad.numpy(), expected, rtol=1e-9, atol=1e-15)
    assert distillation(logits, logits, labels, temperature).item() == pytest.approx(0, abs=1e-12)
