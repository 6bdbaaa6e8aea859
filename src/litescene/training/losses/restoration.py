"""How far pictures are from the true ones, for training."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-3


def l1(given: Tensor, truth: Tensor) -> Tensor:
    """Mean magnitude of the differences of two tensors of one shape."""
    return (given - truth).abs().mean()


def charbonnier(given: Tensor, truth: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Mean of √(d² + ε²) over the differences d: an L1 that is smooth at 0.

    Lai et al., "Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution", CVPR 2017,
    section 3.2, which takes ε = 0.001 for pictures from 0 to 1.
    """
    difference = given - truth
    return torch.sqrt(difference * difference + epsilon * epsilon).mean()
