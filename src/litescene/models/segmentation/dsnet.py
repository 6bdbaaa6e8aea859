"""DSNet.

Paper: Wang and Pan, "DSNet for Real-Time Driving Scene Semantic Segmentation", 2018, arXiv
1812.07049. Official code: Mark-sloan/DSNet (TensorFlow 1, no licence). Built from its facts; no
code was taken.

Differences: the paper's figure unpools before the 1×1 of an up unit; the code has the 1×1 first,
which the channels need, and so have we. Batch norms have an offset and no factor, a PReLU has one
slope for all channels, convolutions have no bias; strided ones are padded as TensorFlow's. The 3×3
convolutions are dense, as in the code. Its optional context-encoding loss is left out. Our reading:
a unit changes the second half of the channels and leaves the first, and a down unit's maximum
stands before its convolutions' output. Counted on a transcription of the code.

    stage    stride   channels   content
    initial  2        16         3×3 stride 2 beside 2×2 maximum, concatenated
    1        4        64         down, 4 units
    2        8        128        down, 8 units with dilation 1, 2, 5, 9, 1, 2, 5, 9
    3        8        128        8 units with dilation 2, 5, 9, 17, 2, 5, 9, 17
    4        4        64         up, 1 unit
    5        2        16         up, 1 unit
    head     1        classes    2×2 transposed
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.blocks import (
    Activation,
    Back,
    MaxPoolAndBack,
    channel_halves,
    channel_shuffle,
    doubling,
    pad_as_tensorflow,
    relu,
    single_prelu,
)
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DenseConv2d

SHUFFLED_GROUPS = 4


class OffsetNorm(nn.BatchNorm2d):
    """Batch norm with a learned offset and no factor."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3)
        del self.weight
        self.register_buffer("weight", torch.ones(channels), persistent=False)


class StridedConv(nn.Conv2d):
    """3×3 with stride 2, padded as in TensorFlow."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """N×in×h×w to N×out×⌈h/2⌉×⌈w/2⌉."""
        return super().forward(pad_as_tensorflow(x))


class DoublingConv(nn.ConvTranspose2d):
    """Transposed 3×3 with stride 2, cut as in TensorFlow: the gradient of `StridedConv`."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, 2, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """N×in×h×w to N×out×2h×2w."""
        return super().forward(x, output_size)[..., :-1, :-1]


def conv(
    in_channels: int,
    out_channels: int,
    kernel: int = 1,
    dilation: int = 1,
    activation: Activation = single_prelu,
) -> nn.Sequential:
    """Convolution, norm, activation."""
    padding = kernel // 2 * dilation
    return normed(
        DenseConv2d(in_channels, out_channels, kernel, 1, padding, dilation, bias=False),
        activation,
    )


def normed(
    convolution: nn.Conv2d | nn.ConvTranspose2d, activation: Activation = single_prelu
) -> nn.Sequential:
    """The given convolution, norm, activation."""
    channels = convolution.out_channels
    return nn.Sequential(convolution, OffsetNorm(channels), activation(channels))


class Initial(nn.Module):
    """3×3 with stride 2 beside the maximum; the convolution is normed alone and with it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = normed(StridedConv(3, 13))
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.Sequential(OffsetNorm(16), single_prelu(16))

    def forward(self, x: Tensor) -> Tensor:
        """N×3×h×w to N×16×h/2×w/2."""
        return self.norm(torch.cat([self.conv(x), self.pool(x)], 1))


class Unit(nn.Module):
    """Half the channels pass 1×1, dilated 3×3, 1×1; all are shuffled."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        half = channels // 2
        self.main = nn.Sequential(conv(half, half), conv(half, half, 3, dilation), conv(half, half))

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to the same shape."""
        kept, changed = channel_halves(x)
        return channel_shuffle(torch.cat([kept, self.main(changed)], 1), SHUFFLED_GROUPS)


class Down(nn.Module):
    """Half the size: 1×1 of the maximum beside 1×1, strided 3×3, 1×1; shuffled."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.pool = MaxPoolAndBack()
        self.other = conv(in_channels, half)
        self.main = nn.Sequential(
            conv(in_channels, half), normed(StridedConv(half, half)), conv(half, half)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Back]:
        """N×in×h×w to N×out×h/2×w/2, and the unpooling of N×in×h/2×w/2."""
        pooled, back = self.pool(x)
        joined = torch.cat([self.other(pooled), self.main(x)], 1)
        return channel_shuffle(joined, SHUFFLED_GROUPS), back


class Up(nn.Module):
    """Twice the size: unpooled 1×1 plus 1×1, transposed 3×3, 1×1; ReLU throughout."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.other = conv(in_channels, out_channels, activation=relu)
        self.main = nn.Sequential(
            conv(in_channels, out_channels, activation=relu),
            normed(DoublingConv(out_channels, out_channels), relu),
            conv(out_channels, out_channels, activation=relu),
        )

    def forward(self, x: Tensor, back: Back) -> Tensor:
        """N×in×h×w and the unpooling of N×out×h×w to N×out×2h×2w."""
        return torch.relu(back(self.other(x)) + self.main(x))


def units(channels: int, *dilations: int) -> nn.Sequential:
    """One unit per dilation."""
    return nn.Sequential(*(Unit(channels, dilation) for dilation in dilations))


class DSNet(SegmentationNetwork):
    """DSNet; its head is at full resolution."""

    divisor = 8
    unpools = True

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.initial = Initial()
        self.down1 = Down(16, 64)
        self.stage1 = units(64, 1, 1, 1, 1)
        self.down2 = Down(64, 128)
        self.stage2 = units(128, 1, 2, 5, 9, 1, 2, 5, 9)
        self.stage3 = units(128, 2, 5, 9, 17, 2, 5, 9, 17)
        self.up4 = Up(128, 64)
        self.stage4 = units(64, 1)
        self.up5 = Up(64, 16)
        self.stage5 = units(16, 1)
        self.head = doubling(16, num_classes, 2, bias=False)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 1."""
        x, back1 = self.down1(self.initial(x))
        x, back2 = self.down2(self.stage1(x))
        x = self.stage3(self.stage2(x))
        x = self.stage4(self.up4(x, back2))
        x = self.stage5(self.up5(x, back1))
        return {"logits": self.head(x)}


@register(
    "dsnet",
    task="segmentation",
    paper="DSNet, arXiv 1812.07049",
    year=2018,
    size=(360, 480),
    parameters={11: 905_728, 19: 906_240},
    published={"cityscapes val mIoU": 71.8, "cityscapes test mIoU": 69.3},
)
def dsnet(num_classes: int = 11) -> DSNet:
    """DSNet without its context-encoding loss."""
    return DSNet(num_classes)
