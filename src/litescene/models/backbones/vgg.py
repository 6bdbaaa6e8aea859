"""VGG encoders.

Paper: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015, arXiv 1409.1556. `VGG16` is network D without its classifier, which RTSeg
gives back as convolutions. `VGG10` is the reading of a sentence: Das et al., "Design of Real-time
Semantic Segmentation Decoder for Automated Driving", VISAPP 2019, arXiv 1901.06580, and Briot et
al., CVPRW 2018, use a VGG-like encoder of ten convolutions that begins with a stride and a
pooling; neither gives widths or code. Ours grow from 32 to 512.

    stage   output stride   VGG16: channels × convolutions   VGG10 (default)
    x1      1               64 × 2
    x2      2               128 × 2                          32 × 1 (the strided one)
    x4      4               256 × 3                          64 × 2
    x8      8               512 × 3                          128 × 2
    x16     16              512 × 3                          256 × 3
    x32     32              (pooling only)                   512 × 2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from litescene.models.backbones.maps import StageMaps
from litescene.models.blocks import ConvNormAct

Layer = Callable[[int, int, int], nn.Module]
"""Makes a 3×3 convolution with its norm and activation: input and output channels, stride."""


def conv_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3×3 convolution with bias and ReLU, no batch norm."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 3, stride, 1), nn.ReLU())


def conv_norm_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3×3 convolution, batch norm and ReLU."""
    return ConvNormAct(in_channels, out_channels, 3, stride)


def _stage(layer: Layer, in_channels: int, out_channels: int, count: int) -> nn.Sequential:
    layers = [layer(in_channels, out_channels, 1)]
    layers += [layer(out_channels, out_channels, 1) for _ in range(count - 1)]
    return nn.Sequential(*layers)


class VGG10(nn.Module):
    """Ten convolutions: a strided one, then four pooled stages.

    `widths` are those of x2, x4, x8, x16, x32, `repeats` the convolutions of the last four;
    `layer` makes each convolution.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128, 256, 512),
        repeats: Sequence[int] = (2, 2, 3, 2),
        layer: Layer = conv_norm_relu,
    ) -> None:
        super().__init__()
        self.channels = tuple(widths)
        self.stem = layer(3, widths[0], 2)
        self.stages = nn.ModuleList(
            _stage(layer, *shape) for shape in zip(widths[:-1], widths[1:], repeats, strict=True)
        )
        self.pool = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, x: Tensor) -> dict[int, StageMaps]:
        """N×3×H×W to the maps of strides 2, 4, 8, 16, 32."""
        x = self.stem(x)
        maps = {2: StageMaps(x, x)}
        for i, stage in enumerate(self.stages):
            first = self.pool(x)
            x = stage(first)
            maps[4 * 2**i] = StageMaps(first, x)
        return maps
