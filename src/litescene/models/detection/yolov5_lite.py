"""YOLOv5-Lite: YOLOv5's anchor detector on mobile backbones.

Origin: github.com/ppogg/YOLOv5-Lite (2021, GPL-3.0; no paper). Written from a fact sheet of
measured shapes, not from its code. Differences: any input size from 64 up (padded inside to
stride 32 with the letterbox grey, at the right and bottom, so boxes keep their coordinates);
decoding is part of the network in evaluation only.

| | e | s | c | g |
|---|---|---|---|---|
| backbone | ShuffleNetV2 | ShuffleNetV2 | PP-LCNet | RepVGG and C3 |
| its maps (strides 8, 16, 32) | 120, 232, 464 | 120, 232, 464 | 128, 256, 512 | 128, 256, 512 |
| neck, top-down (32, 16, 8) | 96, 96, 96 | 128, 64, 64 | 256, 128, 128 | 128, 128, 128 |
| neck, bottom-up (8, 16, 32) | 96, 96, 96 | 64, 128, 256 | 128, 256, 512 | 128, 128, 128 |
| joined there by | sum | concatenation | concatenation | concatenation |
| neck blocks | depthwise 3×3 + 1×1, ReLU | C3 × 1 | C3 × 1 | C3 × 3 |
| neck, halving | depthwise | 3×3 | LC block 5×5, gated | 3×3 |

The variants "i8e" and "i8s" of the origin are no networks, but e and s in eight bits: see
`export.int8`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.backbones.pp_lcnet import LCBlock, PPLCNet
from litescene.models.backbones.rep_csp import RepCSPNet
from litescene.models.backbones.shufflenet_v2 import ShuffleNetV2
from litescene.models.csp_blocks import C3, ConvBlock, batch_norm
from litescene.models.detection.anchor_head import COCO_ANCHORS, AnchorHead, Anchors
from litescene.models.registry import register
from litescene.models.spec import InputSpec
from litescene.ops import DepthwiseConv2d

PAD_VALUE = 114 / 255
"""The letterbox grey after normalisation (RGB / 255)."""


class DepthwiseBlock(nn.Module):
    """Depthwise 3×3 and pointwise convolution, each with batch norm and ReLU."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = DepthwiseConv2d(c_in, (3, 3), stride, (1, 1))
        self.bn1 = batch_norm(c_in)
        self.conv2 = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.bn2 = batch_norm(c_out)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×H/stride×W/stride."""
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


class NeckE(nn.Module):
    """Neck of variant e: top-down by concatenation, bottom-up by plain sums, 96 wide."""

    channels = (96, 96, 96)

    def __init__(self, backbone: Sequence[int]) -> None:
        super().__init__()
        width = 96
        self.lateral5 = ConvBlock(backbone[2], width)
        self.top4 = DepthwiseBlock(width + backbone[1], width)
        self.lateral4 = ConvBlock(width, width)
        self.top3 = DepthwiseBlock(width + backbone[0], width)
        self.down4 = DepthwiseBlock(width, width, 2)
        self.out4 = DepthwiseBlock(width, width)
        self.down5 = DepthwiseBlock(width, width, 2)
        self.out5 = DepthwiseBlock(width, width)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps at strides 8, 16, 32 to maps at the same strides."""
        p3, p4, p5 = features
        lateral5 = self.lateral5(p5)
        lateral4 = self.lateral4(self.top4(torch.cat((_upsample(lateral5), p4), dim=1)))
        out3 = self.top3(torch.cat((_upsample(lateral4), p3), dim=1))
        out4 = self.out4(self.down4(out3) + lateral4)
        out5 = self.out5(self.down5(out4) + lateral5)
        return [out3, out4, out5]


class PathAggregation(nn.Module):
    """Neck of variants s, c and g: path aggregation by concatenation, with C3 blocks.

    `laterals` are the widths of the 1×1 convolutions at strides 32 and 16; the latter is also that
    of the map at stride 8. `down` makes the block of stride 2 for so many channels.
    """

    def __init__(
        self,
        backbone: Sequence[int],
        laterals: tuple[int, int],
        channels: tuple[int, int],
        down: Callable[[int], nn.Module],
        repeats: int = 1,
    ) -> None:
        super().__init__()
        wide, narrow = laterals
        self.channels = (narrow, *channels)
        self.lateral5 = ConvBlock(backbone[2], wide)
        self.top4 = C3(wide + backbone[1], wide, repeats)
        self.lateral4 = ConvBlock(wide, narrow)
        self.top3 = C3(narrow + backbone[0], narrow, repeats)
        self.down4 = down(narrow)
        self.out4 = C3(2 * narrow, channels[0], repeats)
        self.down5 = down(channels[0])
        self.out5 = C3(channels[0] + wide, channels[1], repeats)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps at strides 8, 16, 32 to maps at the same strides."""
        p3, p4, p5 = features
        lateral5 = self.lateral5(p5)
        lateral4 = self.lateral4(self.top4(torch.cat((_upsample(lateral5), p4), dim=1)))
        out3 = self.top3(torch.cat((_upsample(lateral4), p3), dim=1))
        out4 = self.out4(torch.cat((self.down4(out3), lateral4), dim=1))
        out5 = self.out5(torch.cat((self.down5(out4), lateral5), dim=1))
        return [out3, out4, out5]


def _conv_down(channels: int) -> nn.Module:
    return ConvBlock(channels, channels, 3, 2)


def _lc_down(channels: int) -> nn.Module:
    return LCBlock(channels, channels, 5, 2, excited=True)


class YOLOv5Lite(nn.Module):
    """The detector: backbone, neck, anchor head.

    In training `forward` gives `{"raw": [N×(3·(5+C))×h×w, ...]}`; in evaluation decoded rows
    N×R×(5+C): x, y, w, h in pixels of the input, objectness, class scores.
    """

    input_spec = InputSpec(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def __init__(
        self,
        backbone: nn.Module,
        neck: NeckE | PathAggregation,
        num_classes: int,
        anchors: Anchors = COCO_ANCHORS,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = AnchorHead(neck.channels, num_classes, anchors)

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return self.head.num_classes

    @property
    def anchors(self) -> Anchors:
        """Per level, per anchor: width and height in pixels."""
        return self.head.anchors

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of each level."""
        return self.head.strides

    def raw_heads(self, x: Tensor) -> list[Tensor]:
        """N×3×H×W (H, W from 64 up, RGB / 255) to raw maps before the sigmoid.

        Sides that are no multiple of the largest stride are padded on the right and at the
        bottom with the letterbox grey; the maps cover the padded picture.
        """
        height, width = x.shape[-2:]
        if min(height, width) < 64:
            raise ValueError(f"pictures must be at least 64×64, not {height}×{width}")
        stride = self.strides[-1]
        if height % stride or width % stride:
            x = F.pad(x, (0, -width % stride, 0, -height % stride), value=PAD_VALUE)
        return self.head(self.neck(self.backbone(x)))

    def forward(self, x: Tensor) -> Tensor | dict[str, list[Tensor]]:
        """Raw maps in training, decoded rows in evaluation."""
        raw = self.raw_heads(x)
        return {"raw": raw} if self.training else self.head.decode(raw)


_ORIGIN = "YOLOv5-Lite (no paper)"


@register(
    "yolov5_lite_e",
    task="detection",
    paper=_ORIGIN,
    year=2021,
    size=(320, 320),
    parameters={80: 787_085},
    training_parameters={80: 787_085},
    published={"coco val mAP50 (320)": 35.1},
)
def yolov5_lite_e(num_classes: int = 80, anchors: Anchors = COCO_ANCHORS) -> YOLOv5Lite:
    """YOLOv5-Lite-e: 787,085 parameters with 80 classes."""
    backbone = ShuffleNetV2(stage_repeats=(3, 7, 1))
    return YOLOv5Lite(backbone, NeckE(backbone.channels), num_classes, anchors)


@register(
    "yolov5_lite_s",
    task="detection",
    paper=_ORIGIN,
    year=2021,
    size=(416, 416),
    parameters={80: 1_649_853},
    training_parameters={80: 1_649_853},
    published={"coco val mAP50 (416)": 42.0, "coco val mAP (416)": 25.2},
)
def yolov5_lite_s(num_classes: int = 80, anchors: Anchors = COCO_ANCHORS) -> YOLOv5Lite:
    """YOLOv5-Lite-s: 1,649,853 parameters with 80 classes."""
    backbone = ShuffleNetV2(stage_repeats=(3, 7, 3))
    neck = PathAggregation(backbone.channels, (128, 64), (128, 256), _conv_down)
    return YOLOv5Lite(backbone, neck, num_classes, anchors)


@register(
    "yolov5_lite_c",
    task="detection",
    paper=_ORIGIN,
    year=2021,
    size=(512, 512),
    parameters={80: 4_591_901},
    training_parameters={80: 4_591_901},
    published={"coco val mAP50 (512)": 50.9, "coco val mAP (512)": 32.5},
)
def yolov5_lite_c(num_classes: int = 80, anchors: Anchors = COCO_ANCHORS) -> YOLOv5Lite:
    """YOLOv5-Lite-c: 4,591,901 parameters with 80 classes."""
    backbone = PPLCNet()
    neck = PathAggregation(backbone.channels, (256, 128), (256, 512), _lc_down)
    return YOLOv5Lite(backbone, neck, num_classes, anchors)


@register(
    "yolov5_lite_g",
    task="detection",
    paper=_ORIGIN,
    year=2021,
    size=(640, 640),
    parameters={80: 5_574_845},
    training_parameters={80: 5_574_845},
    published={"coco val mAP50 (640)": 57.6, "coco val mAP (640)": 39.1},
)
def yolov5_lite_g(num_classes: int = 80, anchors: Anchors = COCO_ANCHORS) -> YOLOv5Lite:
    """YOLOv5-Lite-g: 5,574,845 parameters with 80 classes."""
    backbone = RepCSPNet()
    neck = PathAggregation(backbone.channels, (128, 128), (128, 128), _conv_down, repeats=3)
    return YOLOv5Lite(backbone, neck, num_classes, anchors)
