"""Learning from the outputs of a trained network."""

from __future__ import annotations

from torch import Tensor

from litescene.core import IGNORE


def distillation(logits: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """T²·KL(softmax(teacher/T) ‖ softmax(logits/T)), the mean over labelled pixels.

    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, arXiv 1503.02531, per
    pixel. Both logits n×C×h×w float32; pixels without a label are left out, since most lie outside
    the picture.
    """
    valid = labels != IGNORE
    wanted = (teacher / temperature).log_softmax(1)
    given = (logits / temperature).log_softmax(1)
    divergence = (wanted.exp() * (wanted - given)).sum(1) * valid
    return temperature**2 * divergence.sum() / valid.sum().clamp(min=1)
