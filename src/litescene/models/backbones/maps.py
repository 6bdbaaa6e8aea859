"""What an encoder of RTSeg gives: two maps per output stride."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class StageMaps(NamedTuple):
    """Maps of one output stride: right after the layer that reached it, and before the next one.

    FCN8s takes its skips from the `first`, U-Net from the `last`; both are N×C×h×w.
    """

    first: Tensor
    last: Tensor
