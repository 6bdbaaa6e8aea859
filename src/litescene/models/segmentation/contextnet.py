"""ContextNet.

Paper: Poudel, Bonde, Liwicki and Zach, "ContextNet: Exploring Context and Detail for Semantic
Segmentation in Real-time", BMVC 2018, arXiv 1805.04554. There is no official code; the counts and
details are those of the port of the repository xyff. Built from its facts; no code was taken.

Differences: the paper's context branch ends in one more 3×3 convolution of 128 channels, its
fusion has a depthwise convolution of dilation 4 (port: 1) and its classifier is a single 1×1
(port: two separable convolutions before it); the paper states 0.85 M parameters, the port has
0.876 M at 11 classes. The port keeps the first 1×1 of the inverted residual without expansion, and
the counts are with it. We take the port's reading, since only that one can be held against an
implementation. All resizing aligns the corners, as in Fast-SCNN by the same authors. Of the
paper's networks this is cn14, with the context at a quarter; cn12 and cn124 are not here.

    stage     stride   channels   content
    detail    2        32         conv 3×3 s2 without padding
    detail    4, 8     64, 128    separable s2
    detail    8        128        separable
    context   8        32         of the picture at a quarter: conv 3×3 s2 without padding
    context   8        32         inverted residual (t = 1), one more (t = 6)
    context   16, 32   48, 64     3 inverted residuals each (t = 6), the first with stride 2
    context   32       96, 128    2 each
    fusion    8        128        context resized, depthwise 3×3, 1×1; plus detail 1×1
    head      8        128        2 separable, 1×1 to the classes
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.blocks import ConvNormAct, SeparableConv
from litescene.models.registry import register
from litescene.models.segmentation.fast_scnn import Classifier, Fusion, residuals
from litescene.models.segmentation.network import SegmentationNetwork


def quarter(x: Tensor) -> Tensor:
    """N×C×H×W to N×C×⌊H/4⌋×⌊W/4⌋, bilinear with aligned corners."""
    size = (x.shape[2] // 4, x.shape[3] // 4)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=True)


class ContextNet(SegmentationNetwork):
    """ContextNet; the head's logits are resized with aligned corners."""

    align_corners = True

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.detail = nn.Sequential(
            ConvNormAct(3, 32, 3, 2, padding=0),
            SeparableConv(32, 64, 2),
            SeparableConv(64, 128, 2),
            SeparableConv(128, 128),
        )
        self.context = nn.Sequential(
            ConvNormAct(3, 32, 3, 2, padding=0),
            *residuals(32, 32, 1, 1, expansion=1),
            *residuals(32, 32, 1, 1),
            *residuals(32, 48, 2, 3),
            *residuals(48, 64, 2, 3),
            *residuals(64, 96, 1, 2),
            *residuals(96, 128, 1, 2),
        )
        self.fusion = Fusion(128, 128, 128)
        self.head = Classifier(128, num_classes)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8."""
        detail = self.detail(x)
        return {"logits": self.head(self.fusion(detail, self.context(quarter(x))))}


_PAPER = "ContextNet, arXiv 1805.04554"


@register(
    "contextnet",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 875_531, 19: 876_563},
    published={"cityscapes val mIoU": 65.9, "cityscapes test mIoU": 66.1},
)
def contextnet(num_classes: int = 11) -> ContextNet:
    """ContextNet with the context at a quarter of the picture (cn14)."""
    return ContextNet(num_classes)
