"""PP-LiteSeg.

Paper: Peng et al., "PP-LiteSeg: A Superior Real-Time Semantic Segmentation Model", 2022,
arXiv 2204.02681. Official code: PaddleSeg (Apache-2.0). Built from its facts; no code was taken.

Differences: the paper's text names two fusion modules, the official code has three (x32, x16, x8)
and so have we. The official frozen scalar `_scale` = 1 inside the fusion is left out: it is a
constant.

Options switch the paper's parts off, as its ablation does: `attention="sum"` adds the maps instead
of weighting them (UAFM), `context=False` leaves out SPPM, and `widths=(96, 96, 96)` is the decoder
before FLD; these three numbers are the first author's (PaddleSeg issue 2384). SPPM gives as many
channels as the first fusion. What stands in its place without it is not told; here x32 then goes
through both convolutions of its fusion alone. The attentions `spatial_mean` and `channel_mean`,
which know no maximum, are the official code's `UAFM_SpAtten_S` and `UAFM_ChAtten_S`.

    stage   stride   channels T / B   content
    STDC    2..32    32 .. 1024       STDC1 / STDC2, padding not counted in its average pooling
    SPPM    32       128              pooled to 1, 2, 4 bins, 1×1, resized, summed, 3×3
    UAFM    32       128 / 128        fuses x32 with the context
    UAFM    16       64 / 96          fuses x16
    UAFM    8        32 / 64          fuses x8
    head    8        32 / 64          3×3, 1×1 to the classes; in training also on x16 and x32
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from litescene.core import UnknownNameError
from litescene.models.backbones.stdc import STDC, STDC1, STDC2
from litescene.models.blocks import ConvNormAct, adaptive_average, leaky_relu, resize_to
from litescene.models.registry import register
from litescene.models.segmentation.bisenet_blocks import Head
from litescene.models.segmentation.network import SegmentationNetwork

Attention = Literal["spatial", "channel", "spatial_mean", "channel_mean", "sum"]
Widths = tuple[int, int, int]
"""Channels of the decoder on x8, x16 and x32."""


class PyramidPooling(nn.Module):
    """SPPM, section 3.3: global context from three pooled copies of the last map."""

    bins = (1, 2, 4)

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [ConvNormAct(in_channels, out_channels, 1, bias=True) for _ in self.bins]
        )
        self.out = ConvNormAct(out_channels, out_channels, 3, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×h×w."""
        context: Tensor | None = None
        for bins, branch in zip(self.bins, self.branches, strict=True):
            pooled = resize_to(branch(adaptive_average(x, bins)), x)
            context = pooled if context is None else context + pooled
        return self.out(context)


class SpatialAttention(nn.Module):
    """Weight per pixel from the channel mean, and unless `mean_only` maximum, of both inputs."""

    def __init__(self, channels: int, mean_only: bool = False) -> None:
        super().__init__()
        self.mean_only = mean_only
        pooled = 2 if mean_only else 4
        self.mix = nn.Sequential(ConvNormAct(pooled, 2), ConvNormAct(2, 1, activation=None))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two N×C×h×w maps to N×1×h×w weights in 0..1."""
        pooled: list[Tensor] = []
        for source in (x, y):
            pooled.append(source.mean(1, keepdim=True))
            if not self.mean_only:
                pooled.append(source.amax(1, keepdim=True))
        return torch.sigmoid(self.mix(torch.cat(pooled, 1)))


class ChannelAttention(nn.Module):
    """Weight per channel from the spatial mean, and unless `mean_only` maximum, of both inputs."""

    def __init__(self, channels: int, mean_only: bool = False) -> None:
        super().__init__()
        self.mean_only = mean_only
        pooled = (2 if mean_only else 4) * channels
        self.mix = nn.Sequential(
            ConvNormAct(pooled, channels // 2, 1, activation=leaky_relu),
            ConvNormAct(channels // 2, channels, 1, activation=None),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two N×C×h×w maps to N×C×1×1 weights in 0..1."""
        pooled = [m.mean((2, 3), keepdim=True) for m in (x, y)]
        if not self.mean_only:
            pooled += [m.amax((2, 3), keepdim=True) for m in (x, y)]
        return torch.sigmoid(self.mix(torch.cat(pooled, 1)))


_ATTENTIONS: dict[str, Callable[[int], nn.Module | None]] = {
    "spatial": SpatialAttention,
    "channel": ChannelAttention,
    "spatial_mean": partial(SpatialAttention, mean_only=True),
    "channel_mean": partial(ChannelAttention, mean_only=True),
    "sum": lambda channels: None,
}


class AttentionFusion(nn.Module):
    """UAFM, section 3.2: z = a·conv(low) + (1 - a)·up(high), then a 3×3 convolution.

    With the attention `sum` z = conv(low) + up(high).
    """

    def __init__(self, low: int, high: int, out: int, attention: Attention) -> None:
        super().__init__()
        self.low = ConvNormAct(low, high)
        if attention not in _ATTENTIONS:
            raise UnknownNameError("attention", attention, _ATTENTIONS)
        self.attention = _ATTENTIONS[attention](high)
        self.out = ConvNormAct(high, out)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """N×low×h×w and N×high×h'×w' to N×out×h×w."""
        x = self.low(low)
        y = resize_to(high, x)
        if self.attention is None:
            return self.out(x + y)
        weight = self.attention(x, y)
        return self.out(x * weight + y * (1 - weight))


class PPLiteSeg(SegmentationNetwork):
    """PP-LiteSeg; `widths` of the fusions and `heads` are channels on x8, x16, x32."""

    def __init__(
        self,
        num_classes: int,
        repeats: Sequence[int],
        heads: Sequence[int],
        *,
        widths: Widths,
        attention: Attention = "spatial",
        context: bool = True,
        training_heads: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.encoder = STDC(repeats, count_border=False)
        x8, x16, x32 = widths
        self.context = PyramidPooling(1024, x32) if context else None
        self.fuse32: nn.Module
        if context:
            self.fuse32 = AttentionFusion(1024, x32, x32, attention)
        else:
            self.fuse32 = nn.Sequential(ConvNormAct(1024, x32), ConvNormAct(x32, x32))
        self.fuse16 = AttentionFusion(512, x32, x16, attention)
        self.fuse8 = AttentionFusion(256, x16, x8, attention)
        self.head8 = Head(x8, heads[0], num_classes)
        self.training_heads = training_heads
        if training_heads:
            self.head16 = Head(x16, heads[1], num_classes)
            self.head32 = Head(x32, heads[2], num_classes)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8; in training `aux_x16` and `aux_x32`."""
        *_, x8, x16, x32 = self.encoder(x)
        f32 = self.fuse32(x32) if self.context is None else self.fuse32(x32, self.context(x32))
        f16 = self.fuse16(x16, f32)
        found = {"logits": self.head8(self.fuse8(x8, f16))}
        if self.training and self.training_heads:
            found |= {"aux_x16": self.head16(f16), "aux_x32": self.head32(f32)}
        return found


_PAPER = "PP-LiteSeg, arXiv 2204.02681"


@register(
    "pp_liteseg_t",
    task="segmentation",
    paper=_PAPER,
    year=2022,
    size=(360, 480),
    parameters={11: 8_028_064, 19: 8_028_320},
    training_parameters={11: 8_140_320, 19: 8_141_600},
    published={"camvid test mIoU (720×960)": 73.3, "cityscapes val mIoU (512×1024)": 73.1},
)
def pp_liteseg_t(
    num_classes: int = 11,
    *,
    attention: Attention = "spatial",
    context: bool = True,
    widths: Widths = (32, 64, 128),
    training_heads: bool = True,
) -> PPLiteSeg:
    """PP-LiteSeg-T: STDC1 encoder."""
    return PPLiteSeg(
        num_classes,
        STDC1,
        (32, 64, 64),
        widths=widths,
        attention=attention,
        context=context,
        training_heads=training_heads,
    )


@register(
    "pp_liteseg_b",
    task="segmentation",
    paper=_PAPER,
    year=2022,
    size=(360, 480),
    parameters={11: 12_234_240, 19: 12_234_752},
    training_parameters={11: 12_364_928, 19: 12_366_464},
    published={"camvid test mIoU (720×960)": 75.0, "cityscapes val mIoU (512×1024)": 75.3},
)
def pp_liteseg_b(
    num_classes: int = 11,
    *,
    attention: Attention = "spatial",
    context: bool = True,
    widths: Widths = (64, 96, 128),
    training_heads: bool = True,
) -> PPLiteSeg:
    """PP-LiteSeg-B: STDC2 encoder."""
    return PPLiteSeg(
        num_classes,
        STDC2,
        (64, 64, 64),
        widths=widths,
        attention=attention,
        context=context,
        training_heads=training_heads,
    )
