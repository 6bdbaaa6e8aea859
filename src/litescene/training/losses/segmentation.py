"""Losses of semantic segmentation. Logits n×C×h×w float32, labels n×h×w int64, 255 = ignore.

`weight` n×h×w multiplies each pixel's loss; the sum is divided by the pixels, not by the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.core import IGNORE


def ohem_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    threshold: float = 0.7,
    min_kept: int,
    weight: Tensor | None = None,
) -> Tensor:
    """Online hard example mining: the mean cross-entropy of the hard pixels.

    A pixel is kept when the probability of its true class is at most max(`threshold`, the
    `min_kept`-th smallest such probability), and where there are no more than `min_kept` pixels.
    PaddleSeg's form (PP-LiteSeg, section 4.1). Never empty: without a labelled pixel the loss is 0.
    """
    loss, valid = _pixel_losses(logits, labels)
    with torch.no_grad():
        # ignored pixels sort before every other one: they never count as hard
        hardness = loss.masked_fill(~valid, -1.0).flatten()
        limit = -torch.log(logits.new_tensor(threshold))
        if min_kept >= int(valid.sum()):
            limit = torch.zeros_like(limit)
        elif min_kept > 0:
            limit = torch.minimum(limit, -(-hardness).kthvalue(min_kept).values)
        kept = (hardness.view_as(loss) >= limit) & valid
    if weight is not None:
        loss = loss * weight
    return (loss * kept).sum() / kept.sum().clamp(min=1)


def _pixel_losses(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy n×h×w (0 where ignored) and which pixels are labelled."""
    loss = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="none")
    return loss, labels != IGNORE


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy, the mean over labelled pixels (0 when there is none)."""
    loss, valid = _pixel_losses(logits, labels)
    if weight is not None:
        loss = loss * weight
    return loss.sum() / valid.sum().clamp(min=1)


def soft_jaccard(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - soft intersection over union, the mean over the classes in the batch.

    Rahman and Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation", ISVC 2016, section 3, per class and over the whole batch.
    """
    classes = logits.shape[1]
    valid = labels != IGNORE
    inside = labels * valid
    p = logits.softmax(1) * valid[:, None]
    p_true = p.gather(1, inside[:, None]).flatten()
    intersection = p.new_zeros(classes).index_add(0, inside.flatten(), p_true)
    truth = torch.bincount(labels[valid], minlength=classes)
    union = p.sum((0, 2, 3)) + truth - intersection
    present = truth > 0
    iou = intersection[present] / union[present].clamp(min=1e-6)
    return (1 - iou).mean() if iou.numel() else logits.sum() * 0


def class_weights(counts: Tensor, *, balance: float = 0.0, inverse_log: float = 0.0) -> Tensor:
    """A weight per class from its `counts` of pixels, scaled so that the mean over pixels is 1.

    With `balance` (median frequency / frequency)^balance: 0 gives equal weights, 1 Eigen and
    Fergus's median frequency balancing (ICCV 2015, section 6.3.2). With `inverse_log` c instead
    1 / ln(c + frequency), as ENet (arXiv 1606.02147, section 5.1) and many after it. Absent classes
    get weight 1 before scaling.
    """
    frequency = counts.double() / counts.sum()
    seen = counts > 0
    weights = torch.ones_like(frequency)
    if inverse_log:
        weights[seen] = 1 / torch.log(inverse_log + frequency[seen])
    else:
        weights[seen] = (frequency[seen].median() / frequency[seen]) ** balance
    return (weights / (weights * frequency).sum()).float()
