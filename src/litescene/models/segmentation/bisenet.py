"""BiSeNet.

Paper: Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation",
ECCV 2018, arXiv 1808.00897. Official code: TorchSeg (MIT). Built from its facts; no code was
taken.

Differences: the paper describes the spatial path as three 3×3 convolutions with stride 2, the
code begins with a 7×7 and ends with a 1×1; the paper's 49.0 M and 5.8 M parameters (ResNet-18,
Xception39) do not fit the code, whose counts are a quarter of them. We follow the code. Its
log-softmax at the end is left out: the loss has its own. Our reading, where the facts are silent:
the spatial path runs first and stands first in the fusion, and the eps of batch norms is 1e-5.

    stage     stride   channels R18 / X39 / R101   content
    spatial   8        128                         7×7 s2, 3×3 s2, 3×3 s2, 1×1
    encoder   8..32    128, 256, 512 / 64, 128, 256 / 512, 1024, 2048
    context   16, 8    128                         attention refinement of x32 and x16, the mean
    fusion    8        256                         spatial and context, weighted
    head      8        64 / 64 / 256               3×3, 1×1 to the classes
    training  16, 8    256 / 128 / 256             3×3, 1×1 on both context maps
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from litescene.models.backbones.resnet import resnet18, resnet101
from litescene.models.backbones.xception39 import Xception39
from litescene.models.blocks import ConvNormAct, resize_to
from litescene.models.registry import register
from litescene.models.segmentation.bisenet_blocks import ContextFusion, FeatureFusion, Head
from litescene.models.segmentation.network import SegmentationNetwork


class SpatialPath(nn.Sequential):
    """Section 3.1: a short path that keeps the detail, N×3×H×W to N×128×⌈H/8⌉×⌈W/8⌉."""

    def __init__(self) -> None:
        super().__init__(
            ConvNormAct(3, 64, 7, 2),
            ConvNormAct(64, 64, 3, 2),
            ConvNormAct(64, 64, 3, 2),
            ConvNormAct(64, 128, 1),
        )


class BiSeNet(SegmentationNetwork):
    """BiSeNet; the encoder's last three `channels` are those of its x8, x16, x32.

    `head` and `training_head` are the widths before the classifiers.
    """

    align_corners = True
    width = 128

    def __init__(
        self,
        num_classes: int,
        encoder: nn.Module,
        channels: tuple[int, ...],
        head: int = 64,
        training_head: int = 256,
        training_heads: bool = True,
    ) -> None:
        super().__init__()
        width = self.width
        self.num_classes = num_classes
        self.spatial = SpatialPath()
        self.encoder = encoder
        self.context = ContextFusion(
            channels[-2], channels[-1], width, partial(resize_to, align_corners=True)
        )
        self.fusion = FeatureFusion(2 * width, 2 * width, reduction=1)
        self.head = Head(2 * width, head, num_classes, bias=True)
        self.training_heads = training_heads
        if training_heads:
            self.head16 = Head(width, training_head, num_classes, bias=True)
            self.head8 = Head(width, training_head, num_classes, bias=True)

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """`logits` at stride 8; in training `aux_x16` and `aux_x8`.

        The strides of the two are those at which the maps are: the code takes the refined x32 and
        x16 after their upsampling.
        """
        spatial = self.spatial(x)
        x8, x16, x32 = self.encoder(x)[-3:]
        context8, context16 = self.context(x8, x16, x32)
        found = {"logits": self.head(self.fusion(spatial, context8))}
        if self.training and self.training_heads:
            found |= {"aux_x16": self.head16(context16), "aux_x8": self.head8(context8)}
        return found


_PAPER = "BiSeNet, arXiv 1808.00897"


@register(
    "bisenet_r18",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 12_893_643, 19: 12_894_163},
    training_parameters={11: 13_490_145, 19: 13_494_777},
    published={"camvid test mIoU (720×960)": 68.7, "cityscapes val mIoU": 74.8},
)
def bisenet_r18(num_classes: int = 11, *, training_heads: bool = True) -> BiSeNet:
    """BiSeNet with a ResNet-18."""
    encoder = resnet18()
    return BiSeNet(num_classes, encoder, encoder.channels, training_heads=training_heads)


@register(
    "bisenet_x39",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 1_541_443, 19: 1_541_963},
    training_parameters={11: 1_839_705, 19: 1_842_289},
    published={"camvid test mIoU (720×960)": 65.6, "cityscapes val mIoU": 69.0},
)
def bisenet_x39(num_classes: int = 11, *, training_heads: bool = True) -> BiSeNet:
    """BiSeNet with an Xception39."""
    encoder = Xception39()
    return BiSeNet(
        num_classes, encoder, encoder.channels, training_head=128, training_heads=training_heads
    )


@register(
    "bisenet_r101",
    task="segmentation",
    paper=_PAPER,
    year=2018,
    size=(360, 480),
    parameters={11: 47_636_747, 19: 47_638_803},
    training_parameters={11: 48_233_249, 19: 48_239_417},
)
def bisenet_r101(num_classes: int = 11, *, training_heads: bool = True) -> BiSeNet:
    """BiSeNet with a ResNet-101 whose stem is three 3×3 convolutions."""
    encoder = resnet101(deep_stem=True)
    return BiSeNet(num_classes, encoder, encoder.channels, head=256, training_heads=training_heads)
