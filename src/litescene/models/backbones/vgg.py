"""VGG encoders.

Paper: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015, arXiv 1409.1556. `VGG16` is network D as RTSeg (MSiam/TFSegmentation,
Apache-2.0) has it, its classifier as convolutions. Built from its facts; no code was taken.

`VGG10` is the reading of a sentence: Das et al., "Design of Real-time Semantic Segmentation
Decoder for Automated Driving", VISAPP 2019, arXiv 1901.06580, and Briot et al., CVPRW 2018, use a
VGG-like encoder of ten convolutions that begins with a stride and a pooling; no code, and the
widths are not known to us. Ours grow from 32 to 512.

    stage   output stride   VGG16: channels × convolutions   VGG10 (default)
    x1      1               64 × 2
    x2      2               128 × 2                          32 × 1 (the strided one)
    x4      4               256 × 3                          64 × 2
    x8      8               512 × 3                          128 × 2
    x16     16 (8)          512 × 3                          256 × 3
    x32     32 (8)          fc6 7×7, fc7 1×1                 512 × 2

`VGG16` dilated ends at stride 8: no pooling after conv4 and conv5, dilation 2 in conv5, 4 in fc6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from litescene.models.backbones.maps import StageMaps, StageWidths
from litescene.models.blocks import ConvNormAct
from litescene.ops import DenseConv2d

Layer = Callable[[int, int, int], nn.Module]
"""Makes a 3×3 convolution with its norm and activation: input and output channels, stride."""


def conv_relu(
    in_channels: int, out_channels: int, kernel: int = 3, *, dilation: int = 1
) -> nn.Sequential:
    """Convolution with bias and ReLU, no batch norm; keeps the size.

    Begins with He's weights: without norms, PyTorch's own make the last maps vanish.
    """
    padding = kernel // 2 * dilation
    conv = DenseConv2d(in_channels, out_channels, kernel, 1, padding, dilation)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return nn.Sequential(conv, nn.ReLU())


def conv_norm_relu(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """3×3 convolution, batch norm and ReLU."""
    return ConvNormAct(in_channels, out_channels, 3, stride)


class VGG16(nn.Module):
    """Thirteen convolutions; `classifier` is the width of fc6 and fc7, 0 for neither.

    `widths` are the channels of the maps that `forward` returns, by stride.
    """

    stage_shapes = ((64, 1), (128, 2), (256, 3), (512, 3), (512, 3))

    def __init__(self, *, classifier: int = 4096, dilated: bool = False) -> None:
        super().__init__()
        self.dilated = dilated
        self.stem = conv_relu(3, 64)
        self.stages = nn.ModuleList()
        self.widths: dict[int, StageWidths] = {}
        channels = 64
        for i, (out_channels, count) in enumerate(self.stage_shapes):
            dilation = 2 if dilated and i == 4 else 1
            inputs = [channels] + [out_channels] * (count - 1)
            convs = [conv_relu(c, out_channels, dilation=dilation) for c in inputs]
            self.stages.append(nn.Sequential(*convs))
            self.widths[self._stride(i)] = StageWidths(channels, out_channels)
            channels = out_channels
        self.pools = _halvings(3 if dilated else 5)
        self.classifier = nn.Sequential()
        if classifier:
            self.classifier = nn.Sequential(
                conv_relu(512, classifier, 7, dilation=4 if dilated else 1),
                nn.Dropout(0.5),
                conv_relu(classifier, classifier, 1),
                nn.Dropout(0.5),
            )
        self.widths[self._stride(5)] = StageWidths(512, classifier or 512)

    def _stride(self, i: int) -> int:
        return min(2**i, 8) if self.dilated else 2**i

    def forward(self, x: Tensor) -> dict[int, StageMaps]:
        """N×3×H×W to the maps of strides 1, 2, 4, 8, 16, 32 (1, 2, 4, 8 if dilated)."""
        maps = {}
        x = self.stem(x)
        pools = iter(self.pools)
        for i, stage in enumerate([*self.stages, self.classifier]):
            if i and self._stride(i) > self._stride(i - 1):
                x = next(pools)(x)
            first = x
            x = stage(first)
            maps[self._stride(i)] = StageMaps(first, x)
        return maps


def _halvings(count: int) -> nn.ModuleList:
    """A pooling for each halving, so that each may learn something of its own."""
    return nn.ModuleList(nn.MaxPool2d(2, ceil_mode=True) for _ in range(count))


def _stage(layer: Layer, in_channels: int, out_channels: int, count: int) -> nn.Sequential:
    inputs = [in_channels] + [out_channels] * (count - 1)
    return nn.Sequential(*(layer(c, out_channels, 1) for c in inputs))


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
        self.pools = _halvings(4)

    def forward(self, x: Tensor) -> dict[int, StageMaps]:
        """N×3×H×W to the maps of strides 2, 4, 8, 16, 32."""
        x = self.stem(x)
        maps = {2: StageMaps(x, x)}
        for i, (pool, stage) in enumerate(zip(self.pools, self.stages, strict=True)):
            first = pool(x)
            x = stage(first)
            maps[4 * 2**i] = StageMaps(first, x)
        return maps
