"""ShuffleSeg.

Paper: Gamal, Siam and Abdel-Razek, "ShuffleSeg: Real-time Semantic Segmentation Network", 2018,
arXiv 1803.03816. Official code: MSiam/TFSegmentation (TensorFlow 1, Apache-2.0). Built from its
facts; no code was taken.

It is SkipNet on ShuffleNet of the RTSeg framework, whose file tells of the readings. The published
2.0 GFLOPs at 360×640 with 20 classes are twice the 0.9985 G multiply-accumulates that we count.

    stage        stride   channels        content
    ShuffleNet   2..32    24 .. 960       three groups
    SkipNet      32..8    classes         scores, 4×4 deconvolutions, sums
    head         1        classes         16×16 deconvolution, stride 8
"""

from __future__ import annotations

from litescene.models.registry import register
from litescene.models.segmentation.rtseg import RTSeg


@register(
    "shuffleseg",
    task="segmentation",
    paper="ShuffleSeg, arXiv 1803.03816",
    year=2018,
    size=(360, 480),
    parameters={11: 919_084, 19: 1_001_756},
    published={"cityscapes val mIoU": 55.5, "cityscapes test mIoU": 58.3},
)
def shuffleseg(num_classes: int = 11) -> RTSeg:
    """ShuffleNet with three groups and the SkipNet decoder."""
    return RTSeg(num_classes, "shufflenet", "skipnet")
