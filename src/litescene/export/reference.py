"""PyTorch's own last steps, against which the runtime's fused ones are held."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.core import Contract

_LARGEST_OUTPUT = 300
_CLASS_OFFSET = 1e5
"""Pixels between the planes of two classes; far more than any picture is wide."""


def upsampled(logits: Tensor, height: int, width: int, *, align_corners: bool) -> Tensor:
    """N×C×h×w logits to N×C×height×width, bilinear."""
    return F.interpolate(logits, (height, width), mode="bilinear", align_corners=align_corners)


def decoded(heads: Sequence[Tensor], contract: Contract) -> Tensor:
    """Raw maps of one picture, a·(5+C)×h×w, to rows x1, y1, x2, y2, objectness, classes."""
    rows = []
    for head, sizes, stride in zip(heads, contract.anchors, contract.strides, strict=True):
        height, width = head.shape[1:]
        s = head.view(len(sizes), -1, height, width).permute(0, 2, 3, 1).double().sigmoid()
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        centre = (2 * s[..., :2] - 0.5 + torch.stack((x, y), -1)) * stride
        half = 2 * s[..., 2:4] ** 2 * torch.tensor(sizes).view(-1, 1, 1, 2)
        level = torch.cat((centre - half, centre + half, s[..., 4:]), -1)
        rows.append(level.reshape(-1, level.shape[-1]))
    return torch.cat(rows)


def found_boxes(heads: Sequence[Tensor], contract: Contract, score: float, iou: float) -> Tensor:
    """Decoding and per-class non-maximum suppression: n×6 rows x1, y1, x2, y2, score, class."""
    rows = decoded(heads, contract)
    rows = rows[rows[:, 4] > score]
    best, label = (rows[:, 5:] * rows[:, 4:5]).max(1)
    rows = torch.cat((rows[:, :4], best[:, None], label[:, None].double()), 1)[best > score]
    rows = rows[rows[:, 4].argsort(descending=True, stable=True)]
    shifted = rows[:, :4] + rows[:, 5:] * _CLASS_OFFSET
    kept: list[int] = []
    alive = torch.ones(len(rows), dtype=torch.bool)
    for i in range(len(rows)):
        if alive[i] and len(kept) < _LARGEST_OUTPUT:
            kept.append(i)
            alive &= overlaps(shifted[i], shifted) <= iou
    return rows[kept]


def overlaps(box: Tensor, boxes: Tensor) -> Tensor:
    """Intersection over union of one box with n×4 boxes."""
    sides = (torch.minimum(box[2:4], boxes[:, 2:4]) - torch.maximum(box[:2], boxes[:, :2])).clamp(0)
    areas = (boxes[:, 2:4] - boxes[:, :2]).prod(1) + (box[2:4] - box[:2]).prod()
    return sides.prod(1) / (areas - sides.prod(1))
