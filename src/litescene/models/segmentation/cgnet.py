"""CGNet.

Paper: Wu et al., "CGNet: A Light-weight Context Guided Network for Semantic Segmentation", IEEE
Transactions on Image Processing 2020, arXiv 1811.08201. Official code: CGNet (MIT). Built from its
facts; no code was taken.

Differences: none that matter. Average pools of the picture count the padded border; batch norms
have eps 1e-3; the official input is RGB (its code calls it BGR) minus the mean of BGR, not divided
by 255. The official dropout before the head is off by default and left out.

    stage    stride   channels        content
    stage1   2        32, mixed 35    three 3×3, the first with stride; and the picture at 1/2
    stage2   4        64, mixed 131   CG with stride, M - 1 CG (dilation 2); last, first, picture
    stage3   8        128, mixed 256  CG with stride, N - 1 CG (dilation 4); first and last
    head     8        classes         1×1
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.blocks import ConvNormAct, NormAct
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DepthwiseConv2d, PReLU

EPS = 1e-3


class GlobalGate(nn.Module):
    """Global context of section 3.1: a weight per channel from the map's mean."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        hidden = channels // reduction
        self.weigh = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to the weighted map."""
        weight = self.weigh(x.mean((2, 3)))
        return x * weight[:, :, None, None]


class LocalSurround(nn.Module):
    """Depthwise 3×3 and dilated depthwise 3×3 of one map, concatenated; batch norm, PReLU."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        wide = (dilation, dilation)
        self.local = DepthwiseConv2d(channels, (3, 3), 1, (1, 1))
        self.surround = DepthwiseConv2d(channels, (3, 3), 1, wide, wide)
        self.norm = NormAct(2 * channels, PReLU, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×2C×H×W."""
        return self.norm(torch.cat([self.local(x), self.surround(x)], 1))


class CGDown(nn.Module):
    """Context guided block that halves the resolution; without residual."""

    def __init__(self, in_channels: int, channels: int, dilation: int, reduction: int) -> None:
        super().__init__()
        self.first = ConvNormAct(in_channels, channels, 3, 2, activation=PReLU, eps=EPS)
        self.context = LocalSurround(channels, dilation)
        self.reduce = nn.Conv2d(2 * channels, channels, 1, bias=False)
        self.gate = GlobalGate(channels, reduction)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×channels×⌈H/2⌉×⌈W/2⌉."""
        return self.gate(self.reduce(self.context(self.first(x))))


class CG(nn.Module):
    """Context guided block; the residual joins after the gate ("global residual")."""

    def __init__(self, channels: int, dilation: int, reduction: int) -> None:
        super().__init__()
        self.first = ConvNormAct(channels, channels // 2, 1, activation=PReLU, eps=EPS)
        self.context = LocalSurround(channels // 2, dilation)
        self.gate = GlobalGate(channels, reduction)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to the same shape."""
        return x + self.gate(self.context(self.first(x)))


class Stage(nn.Module):
    """`depth` blocks, the first with stride 2; gives the first and the last map."""

    def __init__(
        self, in_channels: int, channels: int, depth: int, dilation: int, reduction: int
    ) -> None:
        super().__init__()
        self.down = CGDown(in_channels, channels, dilation, reduction)
        self.blocks = nn.Sequential(*(CG(channels, dilation, reduction) for _ in range(depth - 1)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """N×in×H×W to two maps N×channels×⌈H/2⌉×⌈W/2⌉."""
        first = self.down(x)
        return first, self.blocks(first)


class CGNet(SegmentationNetwork):
    """CGNet; `depths` are the paper's M and N."""

    def __init__(self, num_classes: int, depths: tuple[int, int]) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.pool = nn.AvgPool2d(3, 2, 1)
        self.stage1 = nn.Sequential(
            ConvNormAct(3, 32, 3, 2, activation=PReLU, eps=EPS),
            ConvNormAct(32, 32, activation=PReLU, eps=EPS),
            ConvNormAct(32, 32, activation=PReLU, eps=EPS),
        )
        self.mix1 = NormAct(32 + 3, PReLU, eps=EPS)
        self.stage2 = Stage(32 + 3, 64, depths[0], 2, 8)
        self.mix2 = NormAct(2 * 64 + 3, PReLU, eps=EPS)
        self.stage3 = Stage(2 * 64 + 3, 128, depths[1], 4, 16)
        self.mix3 = NormAct(2 * 128, PReLU, eps=EPS)
        self.head = nn.Conv2d(2 * 128, num_classes, 1, bias=False)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8."""
        half = self.pool(x)
        y = self.mix1(torch.cat([self.stage1(x), half], 1))
        first, last = self.stage2(y)
        y = self.mix2(torch.cat([last, first, self.pool(half)], 1))
        y = self.mix3(torch.cat(self.stage3(y), 1))
        return {"logits": self.head(y)}


_PAPER = "CGNet, arXiv 1811.08201"


@register(
    "cgnet",
    task="segmentation",
    paper=_PAPER,
    year=2020,
    size=(360, 480),
    parameters={11: 494_258, 19: 496_306},
    published={
        "camvid test mIoU (360×480)": 65.6,
        "cityscapes val mIoU": 63.5,
        "cityscapes test mIoU": 64.8,
    },
)
def cgnet(num_classes: int = 11) -> CGNet:
    """CGNet with M = 3, N = 21."""
    return CGNet(num_classes, (3, 21))


@register(
    "cgnet_m3n15",
    task="segmentation",
    paper=_PAPER,
    year=2020,
    size=(360, 480),
    parameters={11: 421_634, 19: 423_682},
)
def cgnet_m3n15(num_classes: int = 11) -> CGNet:
    """CGNet with M = 3, N = 15."""
    return CGNet(num_classes, (3, 15))
