"""The backbone of YOLOv5-Lite-g: RepVGG blocks of stride 2 between cross-stage blocks.

Paper of the blocks: Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021.
Written from the paper and a fact sheet of YOLOv5-Lite, not from code. As every block here has
stride 2, none has the paper's identity branch; the activation is SiLU instead of ReLU.

| stage | output stride | channels | blocks |
|---|---|---|---|
| stem (Focus, conv 3×3) | 2 | 32 | - |
| stage2 | 4 | 64 | RepVGG s2, C3 × 1 |
| stage3 | 8 | 128 | RepVGG s2, C3 × 3 |
| stage4 | 16 | 256 | RepVGG s2, C3 × 3 |
| stage5 | 32 | 512 | RepVGG s2, SPP 5, 9, 13, C3 × 1 without shortcut |
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.csp_blocks import BN_EPS, C3, SPP, Focus, batch_norm
from litescene.ops import DenseConv2d


class RepConv2d(nn.Module):
    """3×3 and 1×1 convolution of stride 2 side by side, each with batch norm, summed.

    `deployed` is the one 3×3 convolution that computes the same in evaluation.
    """

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(DenseConv2d(c_in, c_out, 3, 2, 1, bias=False), batch_norm(c_out))
        self.point = nn.Sequential(nn.Conv2d(c_in, c_out, 1, 2, bias=False), batch_norm(c_out))

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×⌈H/2⌉×⌈W/2⌉."""
        y: Tensor = self.dense(x) + self.point(x)
        return y

    def deployed(self) -> nn.Conv2d:
        """A 3×3 convolution with bias: both kernels scaled by their norms and added."""
        weight, bias = _scaled(self.dense)
        centre, more = _scaled(self.point)
        c_out, c_in = weight.shape[:2]
        whole = nn.Conv2d(c_in, c_out, 3, 2, 1).to(weight)
        with torch.no_grad():
            whole.weight.copy_(weight + F.pad(centre, (1, 1, 1, 1)))
            whole.bias.copy_(bias + more)  # type: ignore[union-attr]
        return whole


def _scaled(branch: nn.Sequential) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution with its batch norm in evaluation."""
    kernel, norm = branch[0].get_parameter("weight"), branch[1]
    gain = norm.get_parameter("weight") / (norm.get_buffer("running_var") + BN_EPS).sqrt()
    bias = norm.get_parameter("bias") - norm.get_buffer("running_mean") * gain
    return kernel * gain[:, None, None, None], bias


class RepVGGBlock(nn.Module):
    """`RepConv2d` and SiLU."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = RepConv2d(c_in, c_out)

    def forward(self, x: Tensor) -> Tensor:
        """N×Cin×H×W to N×Cout×⌈H/2⌉×⌈W/2⌉."""
        return F.silu(self.conv(x))


class RepCSPNet(nn.Module):
    """Feature pyramid of strides 8, 16 and 32; `channels` holds the widths of the three maps."""

    channels: Sequence[int] = (128, 256, 512)

    def __init__(self) -> None:
        super().__init__()
        self.stem = Focus(3, 32)
        self.stage2 = nn.Sequential(RepVGGBlock(32, 64), C3(64, 64, shortcut=True))
        self.stage3 = nn.Sequential(RepVGGBlock(64, 128), C3(128, 128, 3, shortcut=True))
        self.stage4 = nn.Sequential(RepVGGBlock(128, 256), C3(256, 256, 3, shortcut=True))
        self.stage5 = nn.Sequential(RepVGGBlock(256, 512), SPP(512, 512), C3(512, 512))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """N×3×H×W (even sides) to the maps at strides 8, 16 and 32."""
        p3 = self.stage3(self.stage2(self.stem(x)))
        p4 = self.stage4(p3)
        return p3, p4, self.stage5(p4)
