"""The anchor head of the YOLOv5 family: one 1×1 convolution per level, and its decoding.

A level's map has a·(5+C) channels: per anchor tx, ty, tw, th, objectness, then C classes. With
s = sigmoid(t), cell (column, row) and stride k the box is, in pixels of the network's input,

    x = (2 sx - 0.5 + column)·k,  y = (2 sy - 0.5 + row)·k,  w = (2 sw)²·anchor_w,  h likewise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Anchors = tuple[tuple[tuple[float, float], ...], ...]
"""Per level, per anchor: width and height in pixels."""

COCO_ANCHORS: Anchors = (
    ((10.0, 13.0), (16.0, 30.0), (33.0, 23.0)),
    ((30.0, 61.0), (62.0, 45.0), (59.0, 119.0)),
    ((116.0, 90.0), (156.0, 198.0), (373.0, 326.0)),
)


def split_anchors(raw: Tensor, anchors: int) -> Tensor:
    """N×(a·(5+C))×H×W to N×a×H×W×(5+C)."""
    n, c, h, w = raw.shape
    return raw.view(n, anchors, c // anchors, h, w).permute(0, 1, 3, 4, 2)


def decode_level(raw: Tensor, anchors: Tensor, stride: int) -> Tensor:
    """One level's raw map N×(a·(5+C))×H×W to rows N×(a·H·W)×(5+C).

    A row is x, y, w, h in pixels, objectness and class scores in 0..1; rows are ordered anchor,
    row, column. `anchors` is a×2 in pixels.
    """
    y = split_anchors(raw, len(anchors)).sigmoid()
    n, a, h, w, width = y.shape
    rows = torch.arange(h, device=raw.device, dtype=raw.dtype)
    columns = torch.arange(w, device=raw.device, dtype=raw.dtype)
    grid = torch.stack((columns.view(1, w).expand(h, w), rows.view(h, 1).expand(h, w)), dim=-1)
    xy = (y[..., 0:2] * 2.0 - 0.5 + grid) * stride
    wh = (y[..., 2:4] * 2.0) ** 2 * anchors.view(1, a, 1, 1, 2)
    return torch.cat((xy, wh, y[..., 4:]), dim=-1).reshape(n, a * h * w, width)


class AnchorHead(nn.Module):
    """1×1 convolutions to the raw maps of every level."""

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        anchors: Anchors = COCO_ANCHORS,
        strides: Sequence[int] = (8, 16, 32),
    ) -> None:
        super().__init__()
        if not len(in_channels) == len(anchors) == len(strides):
            raise ValueError("one channel count, anchor set and stride per level are needed")
        self.num_classes = num_classes
        self.anchors = anchors
        self.strides = tuple(strides)
        outputs = 5 + num_classes
        self.convs = nn.ModuleList(
            nn.Conv2d(c, len(a) * outputs, 1) for c, a in zip(in_channels, anchors, strict=True)
        )
        for i, sizes in enumerate(anchors):
            self.register_buffer(f"anchors{i}", torch.tensor(sizes), persistent=False)
        self._init_biases()

    def _init_biases(self) -> None:
        # About eight objects in a 640 picture, evenly over the cells; equal class frequencies.
        for conv, stride, sizes in zip(self.convs, self.strides, self.anchors, strict=True):
            with torch.no_grad():
                bias = conv.get_parameter("bias").view(len(sizes), -1)
                bias[:, 4] += math.log(8 / (640 / stride) ** 2)
                bias[:, 5:] += math.log(0.6 / (self.num_classes - 0.99))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Feature maps to raw maps, N×(a·(5+C))×H×W per level."""
        return [conv(x) for conv, x in zip(self.convs, features, strict=True)]

    def decode(self, raw: Sequence[Tensor]) -> Tensor:
        """Raw maps to rows N×R×(5+C), levels in order of stride."""
        return torch.cat(
            [
                decode_level(x, self.get_buffer(f"anchors{i}"), stride)
                for i, (x, stride) in enumerate(zip(raw, self.strides, strict=True))
            ],
            dim=1,
        )
