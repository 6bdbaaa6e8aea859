"""MobileNetV2 encoder.

Paper: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
arXiv 1801.04381. The last 1×1 convolution and the classifier are left out.

    stage   output stride   channels   content
    stem    2               32         conv 3×3 s2
    1       2               16         1 inverted residual, t = 1
    2       4               24         2, t = 6, the first with stride 2
    3       8               32         3, the first with stride 2
    4       16              64         4, the first with stride 2
    5       16              96         3
    6       32              160        3, the first with stride 2
    7       32              320        1

The first 1×1 of stage 1, which expands nothing, is kept, as in the code of Light-Weight RefineNet;
the paper's has none.
"""

from __future__ import annotations

from torch import Tensor, nn

from litescene.models.blocks import ConvNormAct, InvertedResidual, relu6

# expansion, channels, units, stride of the first
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Module):
    """The encoder; `forward` returns the maps of the seven stages, `channels` their widths."""

    channels = tuple(stage[1] for stage in _STAGES)

    def __init__(self) -> None:
        super().__init__()
        self.stem = ConvNormAct(3, 32, 3, 2, activation=relu6)
        self.stages = nn.ModuleList()
        width = 32
        for expansion, channels, count, stride in _STAGES:
            units = []
            for i in range(count):
                step = 1 if i else stride
                units.append(InvertedResidual(width, channels, step, expansion, activation=relu6))
                width = channels
            self.stages.append(nn.Sequential(*units))

    def forward(self, x: Tensor) -> list[Tensor]:
        """N×3×H×W to seven maps of strides 2, 4, 8, 16, 16, 32, 32."""
        x = self.stem(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
