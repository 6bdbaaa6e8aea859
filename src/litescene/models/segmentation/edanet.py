"""EDANet.

Paper: Lo et al., "Efficient Dense Modules of Asymmetric Convolution for Real-Time Semantic
Segmentation", ACM Multimedia Asia 2019, arXiv 1809.06323. The authors published tables, no code;
the third-party form wpf535236337/pytorch_EDANet (no licence) settles what the tables leave open.
Built from its facts; no code was taken.

Differences: convolutions have a bias (the paper's 0.68 M parameters count it), and new features
come before the block's input. That form also doubles the logits in evaluation, for pictures at
half size; ours belong to the picture it is given. It drops whole channels; ours drops single values
with the paper's rate, as the paper does not say which.

    stage    stride   channels   content
    down     2        15         3×3 stride 2 beside 2×2 maximum, concatenated
    down     4        60
    dense    4        60..260    5 blocks, dilation 1, 1, 1, 2, 2, each adds 40
    down     8        130        3×3 stride 2 only
    dense    8        130..450   8 blocks, dilation 2, 2, 4, 4, 8, 8, 16, 16, each adds 40
    head     8        classes    1×1
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from litescene.models.blocks import ConvNormAct, ConvPoolDown
from litescene.models.registry import register
from litescene.models.segmentation.network import SegmentationNetwork
from litescene.ops import DenseConv2d

GROWTH = 40


class DenseBlock(nn.Module):
    """EDA module: 1×1, then 3×1 and 1×3 twice, the second pair dilated; joins its input."""

    def __init__(self, in_channels: int, dilation: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            ConvNormAct(in_channels, GROWTH, 1, bias=True),
            *self._pair(1),
            *self._pair(dilation),
            nn.Dropout(0.02),
        )

    @staticmethod
    def _pair(dilation: int) -> tuple[nn.Module, nn.Module]:
        return (
            DenseConv2d(GROWTH, GROWTH, (3, 1), 1, (dilation, 0), (dilation, 1)),
            ConvNormAct(GROWTH, GROWTH, (1, 3), dilation=dilation, bias=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """N×C×h×w to N×(C+40)×h×w, the new channels first."""
        return torch.cat([self.main(x), x], 1)


class EDANet(SegmentationNetwork):
    """EDANet; logits at stride 8."""

    align_corners = True

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.layers = nn.Sequential(ConvPoolDown(3, 15), ConvPoolDown(15, 60))
        channels = self._dense(60, (1, 1, 1, 2, 2))
        self.layers.append(ConvNormAct(channels, 130, stride=2, bias=True))
        channels = self._dense(130, (2, 2, 4, 4, 8, 8, 16, 16))
        self.head = nn.Conv2d(channels, num_classes, 1)

    def _dense(self, channels: int, dilations: tuple[int, ...]) -> int:
        """Append blocks and return the channels after them."""
        for dilation in dilations:
            self.layers.append(DenseBlock(channels, dilation))
            channels += GROWTH
        return channels

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8."""
        return {"logits": self.head(self.layers(x))}


@register(
    "edanet",
    task="segmentation",
    paper="EDANet, arXiv 1809.06323",
    year=2019,
    size=(360, 480),
    parameters={11: 685_877, 19: 689_485},
    published={"camvid test mIoU (360×480)": 66.4, "cityscapes test mIoU": 67.3},
)
def edanet(num_classes: int = 11) -> EDANet:
    """EDANet with growth 40."""
    return EDANet(num_classes)
