"""ResNeXt.

Paper: Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017.
Official code: facebookresearch/ResNeXt (BSD), Torch. Built from its facts; no code was taken.

The form of figure 3 c: a ResNet whose bottlenecks have a 3×3 convolution in 32 groups, of 4
channels each in the first stage, twice as wide in all as ResNet-50's.

    stage   output stride   channels   width of the 3×3   bottlenecks
    stem    4               64         -                  7×7 stride 2, 3×3 maximum stride 2
    1       4               256        128                3
    2       8               512        256                4
    3       16              1024       512                6
    4       32              2048       1024               3
    head    -               classes    -                  mean over all places, linear
"""

from __future__ import annotations

from litescene.models.backbones.resnet import RESNET50, Bottleneck, ResNet
from litescene.models.classification.resnet import ResNetClassifier
from litescene.models.registry import register


class AggregatedBottleneck(Bottleneck):
    """A bottleneck of 32 paths, as groups of one convolution; section 3.3."""

    groups = 32
    widening = 2


@register(
    "resnext50_32x4d",
    task="classification",
    paper="ResNeXt, CVPR 2017",
    year=2017,
    size=(224, 224),
    parameters={1000: 25_028_904},
)
def resnext50_32x4d(num_classes: int = 1000) -> ResNetClassifier:
    """ResNeXt-50, 32 paths of 4 channels."""
    return ResNetClassifier(ResNet(AggregatedBottleneck, RESNET50), num_classes)
