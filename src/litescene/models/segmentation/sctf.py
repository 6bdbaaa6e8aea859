"""Sparse coarse-to-fine segmentation: SCTF and its improved form ISCTF.

Paper: Wu, Shen, van den Hengel, "Real-time Semantic Image Segmentation via Spatial Sparsity", 2017,
arXiv 1712.00213. No official code. These networks are readings of the mechanism; the paper's
tables of layers were not at hand, so depths and widths are ours, and no count can be compared.

The picture at half size goes through a coarse column as a whole. It gives scores and a gate: how
much the coarse scores are to be trusted, per pixel. The picture at full size goes through a fine
column only in those blocks where the gate trusts least. There the result is
w·coarse + (1 - w)·fine, elsewhere the coarse scores. Blocks are really skipped: the active ones are
cut out into a batch (`models.sparse_blocks`).

What is ours:

- The fine column's convolutions have no padding, and a crop has just the margin that they use up.
  So a block's result does not depend on how it was cut out: with all blocks active it is that of
  the whole picture at once. Beyond the picture its border is repeated. The margin is computed
  more than once, so the fine column is wide and looks only two cells of stride 4 around.
- Which blocks are active is a share of the picture's (the neediest ones) or, if given, a threshold
  on their need, the mean of 1 - w.
- In training the fine column sees the whole picture (`training_share` 1) or that share of blocks,
  drawn at random. The coarse scores get a loss of their own (`aux_coarse`, no parameters), as
  they have to stand alone where the gate trusts them.
- In-column connections of ISCTF: the classifier sees the outputs of all fine layers. Its
  cross-column connections: the coarse features, doubled, are added to the fine column's first map.

    column   stride   channels   content
    coarse   4, 8     32         of the half picture: two 3×3 s2
    coarse   8..64    32..256    4 stages of 2 residual blocks, top-down sum of all: 64 at stride 8
    gate     8        1          1×1, sigmoid; scores 1×1
    fine     2, 4     32, 128    of crops: two 3×3 s2
    fine     4        128        SCTF: 2 residual units of 3×3 and 1×1; ISCTF: two 3×3
    head     4        classes    1×1, fused with the coarse scores
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core import InputError
from litescene.models.blocks import pad_to_multiple
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.models.segmentation.sctf_columns import (
    CoarseColumn,
    ConnectedFine,
    FineColumn,
    ResidualFine,
    middle,
)
from litescene.models.sparse_blocks import (
    best_blocks,
    cut_blocks,
    from_blocks,
    needy_blocks,
    repeat_border,
    to_blocks,
)

FINE_STRIDE, COARSE_STRIDE = 4, 8


class SparseCoarseToFine(SegmentationNetwork):
    """Coarse column everywhere, fine column in active blocks of `block`×`block` pixels.

    `share` of the blocks is active or, if given, those whose need is at least `threshold`.
    `connected` adds the coarse features to the fine column.
    """

    def __init__(
        self,
        num_classes: int,
        fine: FineColumn,
        *,
        connected: bool,
        share: float = 0.25,
        threshold: float | None = None,
        block: int = 64,
        training_share: float = 1.0,
    ) -> None:
        super().__init__()
        if not (0.001 <= share <= 1 and 0.001 <= training_share <= 1):
            raise InputError(
                f"share = {share}, training_share = {training_share}: give shares of 0.001 to 1"
            )
        if block < COARSE_STRIDE or block % COARSE_STRIDE:
            raise InputError(f"block = {block}: give a multiple of {COARSE_STRIDE}")
        self.num_classes, self.block = num_classes, block
        self.share, self.threshold, self.training_share = share, threshold, training_share
        features = 64
        self.halve = nn.AvgPool2d(2)
        self.coarse = CoarseColumn(features)
        self.scores = nn.Conv2d(features, num_classes, 1)
        self.gate = nn.Conv2d(features, 1, 1)
        self.fine = fine
        self.cross = nn.Conv2d(features, fine.width, 1) if connected else None

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 4; in training `aux_coarse` at stride 8."""
        height, width = x.shape[-2:]
        picture = pad_to_multiple(x, self.block)
        features = self.coarse(self.halve(picture))
        scores, trust = self.scores(features), torch.sigmoid(self.gate(features))
        logits = self._refined(picture, features, _doubled(scores), trust)
        found = {"logits": logits[..., : (height + 3) // 4, : (width + 3) // 4]}
        if self.training:
            found["aux_coarse"] = scores[..., : (height + 7) // 8, : (width + 7) // 8]
        return found

    def active_blocks(self, trust: Tensor) -> Tensor | None:
        """Numbers of the active blocks from the gate N×1×h×w at stride 8; None for all."""
        need = F.avg_pool2d(1 - trust, self.block // COARSE_STRIDE)[:, 0]
        if self.training:
            need, share = torch.rand_like(need), self.training_share
        elif self.threshold is not None:
            return needy_blocks(need, self.threshold)
        else:
            share = self.share
        return None if share == 1 else best_blocks(need, share)

    def _refined(self, picture: Tensor, features: Tensor, coarse: Tensor, trust: Tensor) -> Tensor:
        active = self.active_blocks(trust)
        weight = _doubled(trust)
        if active is None:
            return weight * coarse + (1 - weight) * self.fine_scores(picture, features, None)
        fine = self.fine_scores(picture, features, active)
        side = self.block // FINE_STRIDE
        blocks, weight = to_blocks(coarse, side), to_blocks(weight, side)[active]
        fused = weight * blocks[active] + (1 - weight) * fine
        rows, columns = (n // self.block for n in picture.shape[-2:])
        return from_blocks(blocks.index_put((active,), fused), rows, columns)

    def fine_scores(self, picture: Tensor, features: Tensor, active: Tensor | None) -> Tensor:
        """The fine column's scores at stride 4.

        Args:
            picture: N×3×H×W, the sides multiples of `block`.
            features: the coarse column's map, N×64×H/8×W/8.
            active: numbers of K blocks, or None for all at once.

        Returns:
            K×classes×block/4×block/4, or N×classes×H/4×W/4 for all.

        """
        reach = self.fine.reach
        wide = self._surrounded(picture, active, self.block, FINE_STRIDE * reach + 2)
        if self.cross is None:
            return self.fine(wide, None)
        # At least one cell of stride 4 more than needed: doubling would look beyond the crop there.
        margin = reach // 2 + 1
        context = self.cross(features)
        context = self._surrounded(context, active, self.block // COARSE_STRIDE, margin)
        return self.fine(wide, middle(_doubled(context), 2 * margin - reach))

    @staticmethod
    def _surrounded(x: Tensor, active: Tensor | None, step: int, margin: int) -> Tensor:
        if active is None:
            return repeat_border(x, margin)
        return cut_blocks(x, active, step, margin)


def _doubled(x: Tensor) -> Tensor:
    size = [2 * side for side in x.shape[-2:]]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


_PAPER = "Spatial sparsity, arXiv 1712.00213"


@register(
    "sctf",
    task="segmentation",
    paper=_PAPER,
    year=2017,
    size=(512, 1024),
    parameters={11: 3_204_503, 19: 3_206_055},
)
def sctf(
    num_classes: int = 11,
    *,
    share: float = 0.25,
    threshold: float | None = None,
    block: int = 64,
    training_share: float = 1.0,
) -> SparseCoarseToFine:
    """SCTF: residual units in the fine column."""
    return SparseCoarseToFine(
        num_classes,
        ResidualFine(num_classes),
        connected=False,
        share=share,
        threshold=threshold,
        block=block,
        training_share=training_share,
    )


@register(
    "isctf",
    task="segmentation",
    paper=_PAPER,
    year=2017,
    size=(512, 1024),
    parameters={11: 3_182_359, 19: 3_185_959},
    published={"cityscapes test mIoU": 72.9},
)
def isctf(
    num_classes: int = 11,
    *,
    share: float = 0.25,
    threshold: float | None = None,
    block: int = 64,
    training_share: float = 1.0,
) -> SparseCoarseToFine:
    """ISCTF: plain layers in the fine column, connected across and along the columns."""
    return SparseCoarseToFine(
        num_classes,
        ConnectedFine(num_classes),
        connected=True,
        share=share,
        threshold=threshold,
        block=block,
        training_share=training_share,
    )
