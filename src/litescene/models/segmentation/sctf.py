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
  the whole picture at once. Beyond the picture its border is repeated.
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
    fine     2, 4     32, 96     of crops: two 3×3 s2
    fine     4        96         SCTF: 2 residual units of two 3×3; ISCTF: three 3×3
    head     4        classes    1×1, fused with the coarse scores
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core import InputError
from litescene.models.backbones.resnet import BasicBlock
from litescene.models.blocks import ConvNormAct, pad_to_multiple, resize_to
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.models.sparse_blocks import (
    best_blocks,
    cut_blocks,
    from_blocks,
    needy_blocks,
    repeat_border,
    to_blocks,
)

FINE_STRIDE, COARSE_STRIDE = 4, 8


class CoarseColumn(nn.Module):
    """Residual network with a top-down sum."""

    widths = (32, 64, 128, 256)

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        first = self.widths[0]
        self.stem = nn.Sequential(ConvNormAct(3, first, 3, 2), ConvNormAct(first, first, 3, 2))
        self.stages = nn.ModuleList()
        channels = first
        for i, width in enumerate(self.widths):
            blocks = BasicBlock(channels, width, 2 if i else 1), BasicBlock(width, width, 1)
            self.stages.append(nn.Sequential(*blocks))
            channels = width
        self.lateral = nn.ModuleList([ConvNormAct(width, out_channels, 1) for width in self.widths])

    def forward(self, x: Tensor) -> Tensor:
        """N×3×H×W to N×out×⌈H/4⌉×⌈W/4⌉."""
        x = self.stem(x)
        maps = []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            x = stage(x)
            maps.append(lateral(x))
        y = maps.pop()
        while maps:
            y = maps[-1] + resize_to(y, maps.pop())
        return y


def _unpadded(in_channels: int, out_channels: int, stride: int = 1) -> ConvNormAct:
    return ConvNormAct(in_channels, out_channels, 3, stride, padding=0)


class ResidualUnit(nn.Module):
    """Two unpadded 3×3 convolutions and the middle of their input."""

    reach = 2

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _unpadded(channels, channels)
        self.second = ConvNormAct(channels, channels, padding=0, activation=None)
        self.out = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """K×C×h×w to K×C×(h - 4)×(w - 4)."""
        return self.out(self.second(self.first(x)) + _middle(x, self.reach))


def _middle(x: Tensor, margin: int) -> Tensor:
    return x[..., margin:-margin, margin:-margin] if margin else x


class FineColumn(nn.Module):
    """Crops of the picture to class scores at stride 4, without any padding.

    `reach` is how many cells of stride 4 a score sees around itself. A crop of
    (4m + 4)×(4m + 4) pixels gives (m - 2·reach)×(m - 2·reach) scores.
    """

    reach: int

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.stem = nn.Sequential(_unpadded(3, 32, 2), _unpadded(32, width, 2))

    def forward(self, picture: Tensor, context: Tensor | None) -> Tensor:
        """Crops and, where the column is connected to the coarse one, m×m maps from there."""
        raise NotImplementedError


class ResidualFine(FineColumn):
    """Fine column of SCTF: residual units."""

    def __init__(self, num_classes: int, width: int = 96, count: int = 2) -> None:
        super().__init__(width)
        self.reach = count * ResidualUnit.reach
        self.units = nn.Sequential(*[ResidualUnit(width) for _ in range(count)])
        self.head = nn.Conv2d(width, num_classes, 1)

    def forward(self, picture: Tensor, context: Tensor | None) -> Tensor:
        """K×3×(4m + 4)×(4m + 4) to K×classes×(m - 2·reach)×(m - 2·reach)."""
        return self.head(self.units(self.stem(picture)))


class ConnectedFine(FineColumn):
    """Fine column of ISCTF: plain layers, all of which the classifier sees."""

    def __init__(self, num_classes: int, width: int = 96, count: int = 3) -> None:
        super().__init__(width)
        self.reach = count
        self.layers = nn.ModuleList([_unpadded(width, width) for _ in range(count)])
        self.head = nn.Conv2d((count + 1) * width, num_classes, 1)

    def forward(self, picture: Tensor, context: Tensor | None) -> Tensor:
        """K×3×(4m + 4)×(4m + 4) and K×width×m×m to K×classes×(m - 2·reach)×(m - 2·reach)."""
        x = self.stem(picture)
        x = x if context is None else x + context
        seen = [_middle(x, self.reach)]
        for i, layer in enumerate(self.layers, start=1):
            x = layer(x)
            seen.append(_middle(x, self.reach - i))
        return self.head(torch.cat(seen, 1))


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
        if not (0 < share <= 1 and 0 < training_share <= 1):
            raise InputError(
                f"share = {share}, training_share = {training_share}: "
                "give shares above 0 and at most 1"
            )
        if block < COARSE_STRIDE or block % COARSE_STRIDE:
            raise InputError(f"block = {block}: give a multiple of {COARSE_STRIDE}")
        self.num_classes, self.block = num_classes, block
        self.share, self.threshold, self.training_share = share, threshold, training_share
        features = 64
        self.coarse = CoarseColumn(features)
        self.scores = nn.Conv2d(features, num_classes, 1)
        self.gate = nn.Conv2d(features, 1, 1)
        self.fine = fine
        self.cross = nn.Conv2d(features, fine.width, 1) if connected else None

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 4; in training `aux_coarse` at stride 8."""
        height, width = x.shape[-2:]
        picture = pad_to_multiple(x, self.block)
        features = self.coarse(F.avg_pool2d(picture, 2))
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
        return self.fine(wide, _middle(_doubled(context), 2 * margin - reach))

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
    parameters={11: 3_198_711, 19: 3_200_007},
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
    parameters={11: 3_124_983, 19: 3_128_583},
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
