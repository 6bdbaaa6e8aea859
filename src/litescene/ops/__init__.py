"""Operators with their kernels, for the networks. Needs PyTorch."""

from litescene.ops.dense import DenseConv2d, dense_conv2d
from litescene.ops.depthwise import DepthwiseConv2d, depthwise_conv2d
from litescene.ops.prelu import PReLU, prelu
from litescene.ops.warp import warp

__all__ = [
    "DepthwiseConv2d",
    "DenseConv2d",
    "PReLU",
    "depthwise_conv2d",
    "dense_conv2d",
    "prelu",
    "warp",
]
