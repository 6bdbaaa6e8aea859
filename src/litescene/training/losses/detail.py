"""Where labels change: what a detail head learns, and pixels that count more.

Labels n×H×W int64, 255 = ignore.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.core import IGNORE


def near_borders(labels: Tensor, distance: int = 2) -> Tensor:
    """Pixels n×H×W (bool) with two classes within `distance` rows and columns of them.

    Ignored pixels are no class.
    """
    window = 2 * distance + 1
    value = labels.float()
    highest = F.max_pool2d(value.masked_fill(labels == IGNORE, -1), window, 1, distance)
    lowest = -F.max_pool2d(-value, window, 1, distance)  # 255 is above every class
    return highest > lowest


def label_details(labels: Tensor) -> Tensor:
    """Detail ground truth n×H×W (bool): Fan et al., STDC-Seg, arXiv 2104.13188, section 3.3.

    A pixel is a detail where the Laplacian of the labels (8 in the middle, -1 around) is above 0.
    The paper takes that at strides 1, 2 and 4, enlarges each to the picture, adds them with weights
    0.6, 0.3 and 0.1 and keeps what exceeds 0.1. So stride 1 or 2 decides, and stride 4 alone never
    does: it is left out. Unlike in the official code the picture's frame and ignored pixels are no
    details.
    """
    value = labels.float()
    around = F.pad(value[:, None], (1, 1, 1, 1), mode="replicate")
    total = F.avg_pool2d(around, 3, 1, divisor_override=1)[:, 0]
    fine = (9 * value > total) & (labels != IGNORE)
    coarse = fine[:, ::2, ::2].repeat_interleave(2, 1).repeat_interleave(2, 2)
    return fine | coarse[:, : labels.shape[1], : labels.shape[2]]


def detail_loss(logits: Tensor, details: Tensor, labelled: Tensor) -> Tensor:
    """Binary cross-entropy + 1 - Dice of logits n×h×w float32, over the `labelled` pixels.

    The Dice coefficient (2·Σp·t + 1) / (Σp + Σt + 1) is per picture, then averaged (section 3.3).
    """
    truth = details.to(logits.dtype)
    pixels = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    entropy = (pixels * labelled).sum() / labelled.sum().clamp(min=1)
    p, t = ((maps * labelled).flatten(1) for maps in (logits.sigmoid(), truth))
    dice = (2 * (p * t).sum(1) + 1) / (p.sum(1) + t.sum(1) + 1)
    return entropy + torch.mean(1 - dice)
