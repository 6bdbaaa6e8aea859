"""BiSeNet V2.

Paper: Yu et al., "BiSeNet V2: Bilateral Network with Guided Aggregation for Real-time Semantic
Segmentation", IJCV 2021, arXiv 2004.02147. There is no official code; the counts are those of the
best known port, CoinCheung/BiSeNet (MIT). Built from the paper and the port's facts; no code was
taken.

Differences: the paper's booster heads are a 3×3 convolution and a classifier, the port's enlarge
the map by two and add a 3×3 convolution to as many channels as one of their cells has pixels; the
paper resizes bilinearly inside the aggregation, the port takes the nearest. We follow the port,
since only it can be held against an implementation. Its upsampling by four needs sides divisible
by 32; ours goes to the size of the detail map.

    stage        stride   channels   content
    detail       2        64         3×3 s2, 3×3
    detail       4        64         3×3 s2, 3×3, 3×3
    detail       8        128        3×3 s2, 3×3, 3×3
    stem         4        16         3×3 s2; convolutions and maximum side by side
    semantic     8        32         2 gather-and-expansion layers, the first with stride 2
    semantic     16       64         2
    semantic     32       128        4; then context embedding
    aggregation  8        128        each branch weighted by the other
    head         8        1024       3×3, dropout, 1×1 to the classes
    boosters     4..32    128        in training on the four semantic maps, at half their stride
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.blocks import ConvNormAct
from litescene.models.registry import register
from litescene.models.segmentation.bisenet_blocks import nearest_to
from litescene.models.segmentation.network import SegmentationNetwork

EXPANSION = 6


class DetailBranch(nn.Sequential):
    """Table 1, left: N×3×H×W to N×128×⌈H/8⌉×⌈W/8⌉."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        before = 3
        for channels, count in ((64, 2), (64, 3), (128, 3)):
            layers.append(ConvNormAct(before, channels, 3, 2))
            layers += [ConvNormAct(channels, channels) for _ in range(count - 1)]
            before = channels
        super().__init__(*layers)


class Stem(nn.Module):
    """Figure 4a: half the size, then half again by convolutions and by a maximum; joined."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = ConvNormAct(3, channels, 3, 2)
        self.conv = nn.Sequential(
            ConvNormAct(channels, channels // 2, 1), ConvNormAct(channels // 2, channels, 3, 2)
        )
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.join = ConvNormAct(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """N×3×H×W to N×channels×⌈H/4⌉×⌈W/4⌉."""
        x = self.first(x)
        return self.join(torch.cat([self.conv(x), self.pool(x)], 1))


class GatherExpand(nn.Module):
    """Figures 5b, 5c: a 3×3 gathers, a depthwise 3×3 widens six times, a 1×1 brings it back.

    With stride 2 a second depthwise convolution follows the first, which then has no activation,
    and the shortcut is a separable convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        width = EXPANSION * in_channels
        layers: list[nn.Module] = [ConvNormAct(in_channels, in_channels)]
        self.shortcut: nn.Module = nn.Identity()
        if stride == 2:
            layers.append(
                ConvNormAct(in_channels, width, 3, 2, groups=in_channels, activation=None)
            )
            layers.append(ConvNormAct(width, width, groups=width))
            self.shortcut = nn.Sequential(
                ConvNormAct(in_channels, in_channels, 3, 2, in_channels, activation=None),
                ConvNormAct(in_channels, out_channels, 1, activation=None),
            )
        else:
            layers.append(ConvNormAct(in_channels, width, groups=in_channels))
        layers.append(ConvNormAct(width, out_channels, 1, activation=None))
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×⌈h/stride⌉×⌈w/stride⌉."""
        return torch.relu(self.body(x) + self.shortcut(x))


class ContextEmbedding(nn.Module):
    """Figure 4b: the mean over the picture, normalised and mixed, is added to every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.mix = ConvNormAct(channels, channels, 1)
        self.out = ConvNormAct(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the same shape."""
        return self.out(x + self.mix(self.norm(x.mean((2, 3), keepdim=True))))


class SemanticBranch(nn.Module):
    """Table 1, right; `channels` are those of the maps x4, x8, x16, x32 that `forward` returns."""

    channels = (16, 32, 64, 128)
    repeats = (2, 2, 4)

    def __init__(self) -> None:
        super().__init__()
        self.stem = Stem(self.channels[0])
        self.stages = nn.ModuleList()
        for before, after, count in zip(
            self.channels[:-1], self.channels[1:], self.repeats, strict=True
        ):
            layers = [GatherExpand(before, after, 2)]
            layers += [GatherExpand(after, after, 1) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(*layers))
        self.context = ContextEmbedding(self.channels[-1])

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """N×3×H×W to the four maps, and to the last one with its context."""
        found = [self.stem(x)]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found, self.context(found[-1])


def _separable(channels: int) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(channels, channels, groups=channels, activation=None),
        nn.Conv2d(channels, channels, 1, bias=False),
    )


class GuidedAggregation(nn.Module):
    """Figure 6: each branch is weighted by the other, at stride 8 and at stride 32; summed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.detail_fine = _separable(channels)
        self.detail_half = ConvNormAct(channels, channels, 3, 2, activation=None)
        self.pool = nn.AvgPool2d(3, 2, 1)
        self.semantic_fine = ConvNormAct(channels, channels, activation=None)
        self.semantic_coarse = _separable(channels)
        self.out = ConvNormAct(channels, channels)

    def forward(self, detail: Tensor, semantic: Tensor) -> Tensor:
        """N×C at stride 8 and N×C at stride 32 to N×C at stride 8."""
        half = self.detail_half(detail)

        def enlarge(x: Tensor) -> Tensor:
            # In two steps: at once, engines round a few widths differently.
            return nearest_to(nearest_to(x, half), detail)

        gate = torch.sigmoid(enlarge(self.semantic_fine(semantic)))
        fine = self.detail_fine(detail) * gate
        coarse = self.pool(half) * torch.sigmoid(self.semantic_coarse(semantic))
        return self.out(fine + enlarge(coarse))


class Booster(nn.Sequential):
    """Training head on a map of `stride`: N×in×h×w to N×classes×2h×2w.

    As many channels before the classifier as a cell of the map has pixels in the picture.
    """

    def __init__(self, in_channels: int, stride: int, num_classes: int) -> None:
        super().__init__(
            ConvNormAct(in_channels, 128),
            nn.Dropout(0.1),
            nn.Upsample(scale_factor=2),
            ConvNormAct(128, stride**2),
            nn.Conv2d(stride**2, num_classes, 1),
        )


class BiSeNetV2(SegmentationNetwork):
    """BiSeNet V2."""

    strides = (4, 8, 16, 32)

    def __init__(self, num_classes: int, training_heads: bool = True) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.detail = DetailBranch()
        self.semantic = SemanticBranch()
        self.aggregation = GuidedAggregation(128)
        self.head = nn.Sequential(
            ConvNormAct(128, 1024), nn.Dropout(0.1), nn.Conv2d(1024, num_classes, 1)
        )
        self.training_heads = training_heads
        if training_heads:
            self.boosters = nn.ModuleList(
                [
                    Booster(width, stride, num_classes)
                    for width, stride in zip(SemanticBranch.channels, self.strides, strict=True)
                ]
            )

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8; in training `aux_x4` to `aux_x32`, each at half that stride."""
        detail = self.detail(x)
        stages, semantic = self.semantic(x)
        found = {"logits": self.head(self.aggregation(detail, semantic))}
        if self.training and self.training_heads:
            for stride, head, stage in zip(self.strides, self.boosters, stages, strict=True):
                found[f"aux_x{stride}"] = head(stage)
        return found


@register(
    "bisenet_v2",
    task="segmentation",
    paper="BiSeNet V2, arXiv 2004.02147",
    year=2021,
    size=(360, 480),
    parameters={11: 3_350_427, 19: 3_358_627},
    training_parameters={11: 5_212_375, 19: 5_231_487},
)
def bisenet_v2(num_classes: int = 11, *, training_heads: bool = True) -> BiSeNetV2:
    """BiSeNet V2 of the common width."""
    return BiSeNetV2(num_classes, training_heads)
