"""YOLOv5-Lite: YOLOv5's anchor detector on mobile backbones.

Origin: github.com/ppogg/YOLOv5-Lite (2021, GPL-3.0; no paper). Written from a fact sheet of
measured shapes, not from its code. Differences: any input size from 64 up (padded inside to
stride 32 with the letterbox grey, at the right and bottom, so boxes keep their coordinates);
decoding is part of the network in evaluation only.

| map | stride | e | s |
|---|---|---|---|
| backbone (ShuffleNetV2) | 8, 16, 32 | 120, 232, 464 | 120, 232, 464 |
| neck, top-down | 32, 16, 8 | 96, 96, 96 | 128, 64, 64 |
| neck, bottom-up | 8, 16, 32 | 96, 96, 96 (sum) | 64, 128, 256 (concatenation) |
| neck blocks | | depthwise 3×3 + 1×1, ReLU | C3 with one bottleneck, SiLU |
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.backbones.shufflenet_v2 import BN_EPS, BN_MOMENTUM, ShuffleNetV2
from litescene.models.detection.anchor_head import AnchorHead, Anchors
from litescene.models.registry import register
from litescene.models.spec import InputSpec
from litescene.ops import DepthwiseConv2d

PAD_VALUE = 114 / 255
"""The letterbox grey after normalisation (RGB / 255)."""


class ConvBlock(nn.Module):
    """Convolution without bias, batch norm, SiLU."""

    def __init__(self, c_in: int, c_out: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(c_out, eps=BN_EPS, momentum=BN_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×H/stride×W/stride."""
        return F.silu(self.bn(self.conv(x)))


class DepthwiseBlock(nn.Module):
    """Depthwise 3×3 and pointwise convolution, each with batch norm and ReLU."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = DepthwiseConv2d(c_in, (3, 3), stride, (1, 1))
        self.bn1 = nn.BatchNorm2d(c_in, eps=BN_EPS, momentum=BN_MOMENTUM)
        self.conv2 = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out, eps=BN_EPS, momentum=BN_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×H/stride×W/stride."""
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class C3(nn.Module):
    """Cross-stage block: a 1×1-3×3 bottleneck (no shortcut) beside a 1×1, fused by a 1×1."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        half = c_out // 2
        self.cv1 = ConvBlock(c_in, half)
        self.bottleneck = nn.Sequential(ConvBlock(half, half), ConvBlock(half, half, 3))
        self.cv2 = ConvBlock(c_in, half)
        self.cv3 = ConvBlock(c_out, c_out)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×H×W."""
        return self.cv3(torch.cat((self.bottleneck(self.cv1(x)), self.cv2(x)), dim=1))


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


class NeckS(nn.Module):
    """Neck of variant s: path aggregation with C3 blocks."""

    channels = (64, 128, 256)

    def __init__(self, backbone: Sequence[int]) -> None:
        super().__init__()
        self.lateral5 = ConvBlock(backbone[2], 128)
        self.top4 = C3(128 + backbone[1], 128)
        self.lateral4 = ConvBlock(128, 64)
        self.top3 = C3(64 + backbone[0], 64)
        self.down4 = ConvBlock(64, 64, 3, 2)
        self.out4 = C3(128, 128)
        self.down5 = ConvBlock(128, 128, 3, 2)
        self.out5 = C3(256, 256)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps at strides 8, 16, 32 to maps at the same strides."""
        p3, p4, p5 = features
        lateral5 = self.lateral5(p5)
        lateral4 = self.lateral4(self.top4(torch.cat((_upsample(lateral5), p4), dim=1)))
        out3 = self.top3(torch.cat((_upsample(lateral4), p3), dim=1))
        out4 = self.out4(torch.cat((self.down4(out3), lateral4), dim=1))
        out5 = self.out5(torch.cat((self.down5(out4), lateral5), dim=1))
        return [out3, out4, out5]


class YOLOv5Lite(nn.Module):
    """The detector: backbone, neck, anchor head.

    In training `forward` gives `{"raw": [N×(3·(5+C))×h×w, ...]}`; in evaluation decoded rows
    N×R×(5+C): x, y, w, h in pixels of the input, objectness, class scores.
    """

    input_spec = InputSpec(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

    def __init__(self, backbone: ShuffleNetV2, neck: NeckE | NeckS, num_classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = AnchorHead(neck.channels, num_classes)

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
def yolov5_lite_e(num_classes: int = 80) -> YOLOv5Lite:
    """YOLOv5-Lite-e: 787,085 parameters with 80 classes."""
    backbone = ShuffleNetV2(stage_repeats=(3, 7, 1))
    return YOLOv5Lite(backbone, NeckE(backbone.channels), num_classes)


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
def yolov5_lite_s(num_classes: int = 80) -> YOLOv5Lite:
    """YOLOv5-Lite-s: 1,649,853 parameters with 80 classes."""
    backbone = ShuffleNetV2(stage_repeats=(3, 7, 3))
    return YOLOv5Lite(backbone, NeckS(backbone.channels), num_classes)


_NECK_LAYERS = {
    7: "lateral5",
    10: "top4",
    11: "lateral4",
    14: "top3",
    15: "down4",
    17: "out4",
    18: "down5",
    20: "out5",
}


def _own_key(key: str) -> str | None:
    """Our name of an official e or s state-dict entry, None for the derived anchor tables."""
    match = re.fullmatch(r"model\.(\d+)\.(.+)", key)
    if match is None:
        raise KeyError(key)
    layer, rest = int(match[1]), match[2]
    if layer == 0:
        return "backbone.stem." + rest.removeprefix("conv.")
    if layer == 21:
        return "head.convs." + rest[2:] if rest.startswith("m.") else None
    if layer in _NECK_LAYERS:
        rest = re.sub(r"^m\.0\.cv([12])\.", lambda m: f"bottleneck.{int(m[1]) - 1}.", rest)
        return f"neck.{_NECK_LAYERS[layer]}.{rest}"
    stage, is_repeat = 3 + (layer - 1) // 2, (layer - 1) % 2
    unit = 0
    if is_repeat:
        numbered = re.fullmatch(r"(\d+)\.(branch.+)", rest)
        unit = 1 + (int(numbered[1]) if numbered else 0)
        rest = numbered[2] if numbered else rest
    rest = rest.replace("branch1.", "shortcut.").replace("branch2.", "branch.")
    return f"backbone.stage{stage}.{unit}.{rest}"


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of the official e or s network under our names.

    Raises `KeyError` naming an entry that is none of theirs.
    """
    return {own: value for key, value in state.items() if (own := _own_key(key)) is not None}
