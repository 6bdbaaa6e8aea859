"""What the encoders of RTSeg share: two maps per output stride, and its convolution."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import Tensor

from litescene.models.blocks import ConvNormAct


class StageMaps(NamedTuple):
    """Maps of one output stride: right after the layer that reached it, and before the next one.

    FCN8s takes its skips from the `first`, U-Net from the `last`; both are N×C×h×w. Encoders of
    whole stages give the map after the last unit as both.
    """

    first: Tensor
    last: Tensor


class StageWidths(NamedTuple):
    """Channels of `StageMaps`."""

    first: int
    last: int


biased_conv = partial(ConvNormAct, bias=True, eps=1e-3, momentum=0.01)
"""`ConvNormAct` as the TensorFlow code has it: a bias although a batch norm follows, its eps and
momentum."""
