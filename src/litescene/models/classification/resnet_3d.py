"""A 3D ResNet-18 for clips: R3D-18.

Papers: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition", CVPR
2018, R3D of section 3.2; Hara et al., "Learning Spatio-Temporal Features with 3D Residual Networks
for Action Recognition", ICCVW 2017. Official code: facebookresearch/VMZ (Apache-2.0), Caffe2.
Built from its facts; no code was taken.

Every kernel of ResNet-18 gets a third side, and every stride from the second stage on halves time
too. R3D has no pooling but the last average; `stem_pool` puts Hara's 3×3×3 maximum of stride 2
behind the first convolution, so that there is a pooling to choose.

    stage   stride t / h, w   channels   content
    stem    1 / 2             64         3×7×7 stride 1×2×2 (with `stem_pool` 2 / 4: 3×3×3 maximum)
    1       1 / 2             64         2 basic blocks
    2       2 / 4             128        2
    3       4 / 8             256        2
    4       8 / 16            512        2
    head    -                 classes    mean over all places, linear
"""

from __future__ import annotations

from torch import Tensor, nn

from litescene.models.backbones.resnet import RESNET18, BasicBlock, ResNet
from litescene.models.blocks import Activation, relu
from litescene.models.classification.resnet import ResNetClassifier
from litescene.models.registry import register


class ConvNormAct3d(nn.Sequential):
    """3D convolution with "same" padding and an odd kernel, batch norm, activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int, int] = 3,
        stride: int | tuple[int, int, int] = 1,
        *,
        activation: Activation | None = relu,
    ) -> None:
        sides = (kernel,) * 3 if isinstance(kernel, int) else kernel
        around = (sides[0] // 2, sides[1] // 2, sides[2] // 2)
        super().__init__(
            nn.Conv3d(in_channels, out_channels, kernel, stride, around, bias=False),
            nn.BatchNorm3d(out_channels),
        )
        if activation is not None:
            self.append(activation(out_channels))


class BasicBlock3d(BasicBlock):
    """Two 3×3×3 convolutions and a shortcut."""

    layer = ConvNormAct3d


class ResNet3d(ResNetClassifier):
    """A 3D ResNet encoder and a linear classifier."""

    clip_frames = 16

    def __init__(self, num_classes: int, stem_pool: bool = False) -> None:
        stem = nn.Sequential(ConvNormAct3d(3, 64, (3, 7, 7), (1, 2, 2)))
        if stem_pool:
            stem.append(nn.MaxPool3d(3, 2, 1))
        super().__init__(ResNet(BasicBlock3d, RESNET18, stem=stem), num_classes)

    def features(self, x: Tensor) -> Tensor:
        """Normalised N×3×T×H×W (any T) to N×512×⌈T/8⌉×⌈H/16⌉×⌈W/16⌉."""
        return super().features(x)


@register(
    "resnet3d_18",
    task="classification",
    paper="R3D, CVPR 2018",
    year=2018,
    size=(112, 112),
    parameters={400: 33_371_472},
)
def resnet3d_18(num_classes: int = 400, stem_pool: bool = False) -> ResNet3d:
    """R3D-18 for clips of 16 frames, N×3×16×112×112."""
    return ResNet3d(num_classes, stem_pool)
