"""STDC-Seg.

Paper: Fan et al., "Rethinking BiSeNet For Real-time Semantic Segmentation", CVPR 2021,
arXiv 2104.13188. Official code: STDC-Seg (MIT). Built from its facts; no code was taken.

BiSeNet without its spatial path: the encoder's x8 takes that place, and in training a head on it
learns the edges of the labels.

Differences: the code builds a classifier inside the encoder and heads on x2, x4 and x16 that no
default setting uses, and runs its training heads in evaluation as well. We leave the former out
and run the latter in training only. The code's compiled batch norm scales by |weight| + 1e-5; ours
by the weight. That batch norm can hold an activation of its own; we read it as without one, so that
convolutions end in plain ReLU and the attention in its sigmoid, as in BiSeNet.

    stage     stride   channels   content
    STDC      2..32    32..1024   STDC1 / STDC2, padding counted in its average pooling
    context   16, 8    128        attention refinement of x32 and x16, the mean; nearest resizing
    fusion    8        256        x8 and context, weighted
    head      8        256        3×3, 1×1 to the classes
    training  16, 8    64         3×3, 1×1 on both context maps, and on x8 to one channel: `detail`
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from litescene.models.backbones.stdc import STDC, STDC1, STDC2
from litescene.models.registry import register
from litescene.models.segmentation.bisenet_blocks import (
    ContextFusion,
    FeatureFusion,
    Head,
    nearest_to,
)
from litescene.models.segmentation.network import SegmentationNetwork


class STDCSeg(SegmentationNetwork):
    """STDC-Seg; `repeats` are the blocks of the encoder's stages."""

    align_corners = True

    def __init__(
        self, num_classes: int, repeats: Sequence[int], training_heads: bool = True
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = STDC(repeats, count_border=True)
        x8, x16, x32 = self.encoder.channels[2:]
        self.context = ContextFusion(x16, x32, 128, nearest_to)
        self.fusion = FeatureFusion(x8 + 128, 256, reduction=4)
        self.head = Head(256, 256, num_classes)
        self.training_heads = training_heads
        if training_heads:
            self.head8 = Head(128, 64, num_classes)
            self.head16 = Head(128, 64, num_classes)
            self.detail = Head(x8, 64, 1)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8; in training `aux_x8`, `aux_x16` and `detail` (N×1, stride 8).

        `detail` are logits of "an edge of the labels lies here".
        """
        *_, x8, x16, x32 = self.encoder(x)
        context8, context16 = self.context(x8, x16, x32)
        found = {"logits": self.head(self.fusion(x8, context8))}
        if self.training and self.training_heads:
            found |= {"aux_x8": self.head8(context8), "aux_x16": self.head16(context16)}
            found["detail"] = self.detail(x8)
        return found


_PAPER = "STDC-Seg, arXiv 2104.13188"


@register(
    "stdc1_seg",
    task="segmentation",
    paper=_PAPER,
    year=2021,
    size=(360, 480),
    parameters={11: 8_273_056, 19: 8_275_104},
    training_parameters={11: 8_569_824, 19: 8_572_896},
)
def stdc1_seg(num_classes: int = 11, *, training_heads: bool = True) -> STDCSeg:
    """STDC1-Seg."""
    return STDCSeg(num_classes, STDC1, training_heads)


@register(
    "stdc2_seg",
    task="segmentation",
    paper=_PAPER,
    year=2021,
    size=(360, 480),
    parameters={11: 12_303_520, 19: 12_305_568},
    training_parameters={11: 12_600_288, 19: 12_603_360},
)
def stdc2_seg(num_classes: int = 11, *, training_heads: bool = True) -> STDCSeg:
    """STDC2-Seg."""
    return STDCSeg(num_classes, STDC2, training_heads)
