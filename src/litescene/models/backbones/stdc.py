"""STDC encoder.

Paper: Fan et al., "Rethinking BiSeNet for Real-time Semantic Segmentation", CVPR 2021,
arXiv 2104.13188. Official code: STDC-Seg (MIT); Paddle port in PaddleSeg (Apache-2.0).
Built from the facts of both; no code was taken.

Differences between the two originals: the average pooling of a stride-2 block counts the padded
border in the torch code and does not in the Paddle port. `count_border` chooses; PP-LiteSeg needs
the Paddle behaviour.

    stage   output stride   channels   content
    x2      2               32         conv 3×3 s2
    x4      4               64         conv 3×3 s2
    x8      8               256        STDC blocks (STDC1: 2, STDC2: 4), the first with stride 2
    x16     16              512        STDC blocks (2, 5)
    x32     32              1024       STDC blocks (2, 3)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from litescene.models.blocks import ConvNormAct

STDC1 = (2, 2, 2)
STDC2 = (4, 5, 3)


class STDCBlock(nn.Module):
    """Short-term dense concatenation: four convolutions of falling width, concatenated.

    With stride 2 a depthwise convolution without activation follows the first 1×1, and the
    concatenation takes its average-pooled input instead.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, count_border: bool
    ) -> None:
        super().__init__()
        half, quarter, eighth = out_channels // 2, out_channels // 4, out_channels // 8
        self.first = ConvNormAct(in_channels, half, 1)
        self.down: nn.Module | None = None
        if stride == 2:
            self.down = ConvNormAct(half, half, 3, 2, groups=half, activation=None)
            self.pool = nn.AvgPool2d(3, 2, 1, count_include_pad=count_border)
        self.rest = nn.ModuleList(
            [
                ConvNormAct(half, quarter),
                ConvNormAct(quarter, eighth),
                ConvNormAct(eighth, eighth),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×out×⌈H/stride⌉×⌈W/stride⌉."""
        x = self.first(x)
        outputs = [x]
        if self.down is not None:
            outputs = [self.pool(x)]
            x = self.down(x)
        for layer in self.rest:
            x = layer(x)
            outputs.append(x)
        return torch.cat(outputs, 1)


class STDC(nn.Module):
    """The encoder; `forward` returns the maps x2, x4, x8, x16, x32."""

    channels = (32, 64, 256, 512, 1024)

    def __init__(self, repeats: Sequence[int], *, count_border: bool = True) -> None:
        super().__init__()
        self.stem = nn.ModuleList([ConvNormAct(3, 32, 3, 2), ConvNormAct(32, 64, 3, 2)])
        self.stages = nn.ModuleList()
        width = 64
        for out_channels, count in zip(self.channels[2:], repeats, strict=True):
            blocks = [STDCBlock(width, out_channels, 2, count_border)]
            blocks += [
                STDCBlock(out_channels, out_channels, 1, count_border) for _ in range(count - 1)
            ]
            self.stages.append(nn.Sequential(*blocks))
            width = out_channels

    def forward(self, x: Tensor) -> list[Tensor]:
        """N×3×H×W to five maps of strides 2, 4, 8, 16, 32."""
        maps = []
        for stage in [*self.stem, *self.stages]:
            x = stage(x)
            maps.append(x)
        return maps
