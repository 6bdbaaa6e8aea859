"""Augmentation of batches in tensors: the same code on the CPU and on a GPU.

The random numbers of a sample depend on (seed, epoch, index) alone, so a batch is the same
whoever makes it and whenever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from litescene.core import IGNORE


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Ranges of the random changes.

    `scale` (least, most) with a log-uniform draw; `jitter` relative change of brightness,
    contrast and saturation; `hue` rotation in turns.
    """

    scale: tuple[float, float] = (0.75, 1.75)
    flip: float = 0.5
    jitter: float = 0.4
    hue: float = 0.05


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random stream of one sample in one epoch."""
    return np.random.default_rng((seed, epoch, index))


Color = tuple[float, float, float, float]
"""Brightness, contrast, saturation, hue."""


@dataclass(frozen=True, slots=True)
class _Draw:
    center: tuple[float, float]
    scale: float
    flip: bool
    color: Color


def _draw(
    augmentation: Augmentation, size: tuple[int, int], crop: tuple[int, int], g: np.random.Generator
) -> _Draw:
    low, high = np.log(augmentation.scale)
    scale = float(np.exp(g.uniform(low, high)))
    centers = []
    for side, cut in zip(size, crop, strict=True):
        half = 0.5 * cut / scale
        inside = (half, side - half) if 2 * half < side else (side - half, half)
        centers.append(float(g.uniform(*inside)))
    flip = bool(g.random() < augmentation.flip)
    return _Draw((centers[0], centers[1]), scale, flip, draw_color(augmentation, g))


def draw_color(augmentation: Augmentation, g: np.random.Generator) -> Color:
    """Factors of brightness, contrast and saturation, and a rotation of the hue in turns."""
    brightness, contrast, saturation = 1 + augmentation.jitter * g.uniform(-1, 1, 3)
    hue = augmentation.hue * g.uniform(-1, 1)
    return brightness, contrast, saturation, hue


def _grid(draws: Sequence[_Draw], size: tuple[int, int], crop: tuple[int, int]) -> Tensor:
    """Sampling grid n×h×w×2 in grid_sample's units (align_corners=False)."""
    theta = np.zeros((len(draws), 2, 3), np.float32)
    for i, d in enumerate(draws):
        theta[i, 0, 0] = crop[1] / (d.scale * size[1]) * (-1 if d.flip else 1)
        theta[i, 1, 1] = crop[0] / (d.scale * size[0])
        theta[i, 0, 2] = 2 * d.center[1] / size[1] - 1
        theta[i, 1, 2] = 2 * d.center[0] / size[0] - 1
    return F.affine_grid(torch.from_numpy(theta), [len(draws), 1, *crop], align_corners=False)


_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


def color_matrices(colors: NDArray[np.float64]) -> NDArray[np.float32]:
    """n×(brightness, contrast, saturation, hue in turns) to n×3×3 matrices on RGB.

    Contrast is handled by the caller (it needs the mean); the matrix holds hue rotation and
    saturation in YIQ and the brightness factor.
    """
    matrices = []
    for brightness, _, saturation, hue in colors:
        angle = 2 * np.pi * hue
        c, s = np.cos(angle) * saturation, np.sin(angle) * saturation
        turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
        matrices.append(brightness * np.linalg.inv(_YIQ) @ turn @ _YIQ)
    return np.asarray(matrices, np.float32)


def augment_batch(
    images: Tensor,
    labels: Tensor,
    crop: tuple[int, int],
    augmentation: Augmentation,
    generators: Sequence[np.random.Generator],
) -> tuple[Tensor, Tensor]:
    """Random scale, crop, flip and colour.

    images n×H×W×3 uint8 and labels n×H×W uint8 (on any device) to float images n×3×h×w in 0..255
    and labels n×h×w int64 with 255 outside the picture. Pictures are sampled bilinearly and
    padded with mid-grey, labels by the nearest pixel.
    """
    size = (int(images.shape[1]), int(images.shape[2]))
    draws = [_draw(augmentation, size, crop, g) for g in generators]
    grid = _grid(draws, size, crop).to(images.device)
    grey = 127.5
    pictures = images.permute(0, 3, 1, 2).float() - grey
    pictures = F.grid_sample(pictures, grid, mode="bilinear", align_corners=False)
    marked = (labels.float() - IGNORE)[:, None]
    moved = F.grid_sample(marked, grid, mode="nearest", align_corners=False)[:, 0] + IGNORE
    pictures = change_colors(pictures + grey, [d.color for d in draws])
    return pictures, moved.round().long()


def change_colors(pictures: Tensor, drawn: Sequence[Color]) -> Tensor:
    """Change brightness, contrast, saturation and hue of n×3×h×w in 0..255, each picture's own."""
    colors = np.array(drawn)
    matrix = torch.from_numpy(color_matrices(colors)).to(pictures.device)
    contrast = torch.from_numpy(colors[:, 1].astype(np.float32)).to(pictures.device)
    pictures = torch.einsum("nij,njhw->nihw", matrix, pictures)
    mean = pictures.mean((1, 2, 3), keepdim=True)
    pictures = (pictures - mean) * contrast[:, None, None, None] + mean
    return pictures.clamp_(0, 255)


def mix_classes(
    images: Tensor, labels: Tensor, share: float, generators: Sequence[np.random.Generator]
) -> tuple[Tensor, Tensor]:
    """Paste the pixels of about half the classes of the batch's next picture, with their labels.

    Objects are seen before other backgrounds, which small data sets lack. The masks are those of
    Olsson et al., "ClassMix", WACV 2021, section 3.2, here with true labels.

    Args:
        images: n×3×h×w.
        labels: n×h×w int64; ignored pixels (255) are never pasted.
        share: how often a picture is mixed, 0 to 1.
        generators: the random stream of each picture.

    Returns:
        New images and labels of the same shapes.

    """
    chosen = np.zeros((len(generators), IGNORE + 1), bool)
    for row, g in zip(chosen, generators, strict=True):
        mixed, classes = g.random() < share, g.random(IGNORE) < 0.5
        row[:IGNORE] = mixed & classes
    donors = labels.roll(-1, 0)
    table = torch.from_numpy(chosen).to(labels.device)
    pasted = torch.gather(table, 1, donors.flatten(1)).view_as(labels)
    images = torch.where(pasted[:, None], images.roll(-1, 0), images)
    return images, torch.where(pasted, donors, labels)
