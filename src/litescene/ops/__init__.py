"""Operators with their kernels, for the networks. Needs PyTorch."""

from litescene.ops.depthwise import DepthwiseConv2d, depthwise_conv2d
from litescene.ops.dilated import DilatedConv2d, dilated_conv2d
from litescene.ops.prelu import PReLU, prelu
from litescene.ops.warp import warp

__all__ = [
    "DepthwiseConv2d",
    "DilatedConv2d",
    "PReLU",
    "depthwise_conv2d",
    "dilated_conv2d",
    "prelu",
    "warp",
]
