"""ICNet.

Paper: Zhao et al., "ICNet for Real-Time Semantic Segmentation on High-Resolution Images",
ECCV 2018, arXiv 1704.08545. Official code: hszhao/ICNet (Caffe; no licence stated). Built from its
facts; no code was taken.

Differences: the published half-width network is built as the prototxt has it. Its pooling windows
are fixed for one size of the picture; ours adapt to the map. Its interpolation lays corner on
corner and fits sides of 32k + 1 only; at other sizes the doubled map, after its convolution, is
resized to the one that it meets. (The reference count, computed from the prototxt and not on a
running network, has for 361×481, which is no such size, the doubled 45 rows beside 46, and so have
we.) The network before its pruning, `icnet_full`, is our reading: every convolution but the
classifiers twice as wide. So is the eps of batch norms, 1e-5.

    stage     stride   channels   content
    middle    8        64         half picture: 3×3 s2, 3×3, 3×3, max pool 3×3 s2
    stage2    8        128        3 bottlenecks of 32
    stage3    16       256        bottleneck of 64 with stride 2
    deep      32       256        that map at half size: 3 more bottlenecks of 64
    stage4    32       512        6 bottlenecks of 128, dilation 2
    stage5    32       1024       3 bottlenecks of 256, dilation 4
    context   32       256        + its averages over 1, 2, 3, 6 bins; 1×1
    detail    8        64         whole picture: three 3×3 s2 (32, 32, 64)
    fuse24    16       128        cascade feature fusion of context and stage3
    fuse12    8        128        cascade feature fusion of fuse24 and detail
    head      4        classes    resized, 1×1; in training also on context (16) and fuse24 (8)
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.blocks import ConvNormAct, adaptive_average, resize_to
from litescene.models.pruning import Prunable
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork


def _half(x: Tensor) -> Tensor:
    """Every second cell, corner on corner: N×C×H×W to N×C×⌈H/2⌉×⌈W/2⌉."""
    size = [(side + 1) // 2 for side in x.shape[-2:]]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


def _double(x: Tensor) -> Tensor:
    """One cell between every two, corner on corner: N×C×H×W to N×C×(2H - 1)×(2W - 1)."""
    size = [2 * side - 1 for side in x.shape[-2:]]
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolution and a shortcut; the stride is on the first 1×1."""

    def __init__(
        self, in_channels: int, width: int, out_channels: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.reduce = ConvNormAct(in_channels, width, 1, stride)
        self.conv = ConvNormAct(width, width, dilation=dilation)
        self.expand = ConvNormAct(width, out_channels, 1, activation=None)
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.shortcut = ConvNormAct(in_channels, out_channels, 1, stride, activation=None)
        self.out = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """N×in×H×W to N×out×⌈H/stride⌉×⌈W/stride⌉."""
        y = self.expand(self.conv(self.reduce(x)))
        return self.out(y + self.shortcut(x))


def _stage(in_channels: int, width: int, count: int, dilation: int) -> nn.Sequential:
    out = 4 * width
    widths = [in_channels] + [out] * (count - 1)
    blocks = [Bottleneck(width_in, width, out, dilation=dilation) for width_in in widths]
    return nn.Sequential(*blocks)


class CascadeFusion(nn.Module):
    """CFF, section 3.3: the doubled deep map, dilated 3×3, plus the detailed one, 1×1."""

    def __init__(self, deep: int, detail: int, out: int) -> None:
        super().__init__()
        self.deep = ConvNormAct(deep, out, dilation=2, activation=None)
        self.detail = ConvNormAct(detail, out, 1, activation=None)
        self.out = nn.ReLU()

    def forward(self, deep: Tensor, detail: Tensor) -> Tensor:
        """N×deep×h'×w', already doubled, and N×detail×h×w to N×out×h×w."""
        y = self.detail(detail)
        return self.out(resize_to(self.deep(deep), y, align_corners=True) + y)


class ICNet(SegmentationNetwork, Prunable):
    """ICNet; `width` scales all channels: 1 is the published half-width network, 2 the full one."""

    align_corners = True
    bins = (1, 2, 3, 6)

    def __init__(self, num_classes: int, width: float = 1.0, training_heads: bool = True) -> None:
        super().__init__()
        self.num_classes, self.width = num_classes, width
        c32, c64, c128, c256 = (round(n * width) for n in (32, 64, 128, 256))
        self.middle = nn.ModuleList(
            [ConvNormAct(3, c32, 3, 2), ConvNormAct(c32, c32), ConvNormAct(c32, c64)]
        )
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.stage2 = _stage(c64, c32, 3, 1)
        self.stage3 = Bottleneck(4 * c32, c64, 4 * c64, 2)
        self.deep = _stage(4 * c64, c64, 3, 1)
        self.stage4 = _stage(4 * c64, c128, 6, 2)
        self.stage5 = _stage(4 * c128, c256, 3, 4)
        self.context = ConvNormAct(4 * c256, c256, 1)
        self.detail = nn.ModuleList(
            [ConvNormAct(3, c32, 3, 2), ConvNormAct(c32, c32, 3, 2), ConvNormAct(c32, c64, 3, 2)]
        )
        self.fuse24 = CascadeFusion(c256, 4 * c64, c128)
        self.fuse12 = CascadeFusion(c128, c64, c128)
        self.head = nn.Conv2d(c128, num_classes, 1)
        self.training_heads = training_heads
        if training_heads:
            self.head4 = nn.Conv2d(c256, num_classes, 1)
            self.head24 = nn.Conv2d(c128, num_classes, 1)

    def _context(self, x16: Tensor) -> Tensor:
        x = self.stage5(self.stage4(self.deep(_half(x16))))
        pooled = [resize_to(adaptive_average(x, n), x, align_corners=True) for n in self.bins]
        return self.context(x + sum(pooled[1:], pooled[0]))

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 4; in training `aux_sub4` at 16 and `aux_sub24` at 8."""
        middle = _half(x)
        for layer in self.middle:
            middle = layer(middle)
        x16 = self.stage3(self.stage2(self.pool(middle)))
        sub4 = _double(self._context(x16))
        x2, x4, x8 = self.detail
        at4 = x4(x2(x))
        at8 = x8(at4)
        sub24 = _double(self.fuse24(sub4, x16))
        sub12 = resize_to(self.fuse12(sub24, at8), at4, align_corners=True)
        found = {"logits": self.head(sub12)}
        if self.training and self.training_heads:
            found |= {"aux_sub4": self.head4(sub4), "aux_sub24": self.head24(sub24)}
        return found

    def channel_groups(self) -> Mapping[str, tuple[str, str]]:
        """Layer to the names of its input's and output's channels (see `models.pruning`)."""
        groups = {
            **_chain("middle", ("picture", "middle.0", "middle.1", "middle")),
            **_chain("detail", ("picture", "detail.0", "detail.1", "detail")),
            **self._block_groups("stage2", "middle", "stage2"),
            **self._block_groups("stage3", "stage2", "stage3"),
            **self._block_groups("deep", "stage3", "stage3"),
            **self._block_groups("stage4", "stage3", "stage4"),
            **self._block_groups("stage5", "stage4", "stage5"),
            "context": ("stage5", "context"),
            "fuse24.deep": ("context", "fuse24"),
            "fuse24.detail": ("stage3", "fuse24"),
            "fuse12.deep": ("fuse24", "fuse12"),
            "fuse12.detail": ("detail", "fuse12"),
            "head": ("fuse12", "classes"),
        }
        if self.training_heads:
            groups |= {"head4": ("context", "classes"), "head24": ("fuse24", "classes")}
        return groups

    def _block_groups(self, stage: str, source: str, target: str) -> dict[str, tuple[str, str]]:
        # The sums of a stage tie all its outputs together.
        groups: dict[str, tuple[str, str]] = {}
        for name, block in self.get_submodule(stage).named_modules(prefix=stage):
            if isinstance(block, Bottleneck):
                inner = (f"{name}.reduce", f"{name}.conv")
                groups[inner[0]] = (source, inner[0])
                groups[inner[1]] = inner
                groups[f"{name}.expand"] = (inner[1], target)
                if isinstance(block.shortcut, ConvNormAct):
                    groups[f"{name}.shortcut"] = (source, target)
                source = target
        return groups

    def narrowed(self, rate: float) -> Self:
        """An untrained network with `rate` of the channels."""
        return type(self)(self.num_classes, self.width * rate, self.training_heads)


def _chain(stage: str, names: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    return {f"{stage}.{i}": pair for i, pair in enumerate(itertools.pairwise(names))}


_PAPER = "ICNet, arXiv 1704.08545"


@register(
    "icnet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 6_698_955, 19: 6_699_987},
    training_parameters={11: 6_703_201, 19: 6_707_321},
    published={
        "camvid test mIoU (720×960)": 67.1,
        "cityscapes val mIoU": 67.7,
        "cityscapes test mIoU": 69.5,
    },
)
def icnet(num_classes: int = 11, *, width: float = 1.0, training_heads: bool = True) -> ICNet:
    """ICNet as published: the pruned half of PSPNet50 in its deep branch."""
    return ICNet(num_classes, width, training_heads)


@register(
    "icnet_full",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 26_732_427, 19: 26_734_483},
    training_parameters={11: 26_740_897, 19: 26_749_113},
)
def icnet_full(num_classes: int = 11, *, training_heads: bool = True) -> ICNet:
    """ICNet before its pruning (`models.pruning`): twice as wide."""
    return ICNet(num_classes, 2.0, training_heads)
