"""Pictures seen from where each pixel came from: backward warping, bilinear."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.core.errors import OperatorError


def warp(picture: Tensor, motion: Tensor) -> Tensor:
    """out(x, y) = picture(x + dx, y + dy), between four pixels bilinear.

    Args:
        picture: N×C×H×W.
        motion: N×2×H×W, dx (to the right) and dy (down) in pixels, whole numbers being pixels'
            centres. What it points to outside the picture is the nearest pixel of the border.

    Returns:
        N×C×H×W in the picture's type; both arguments have gradients. It exports to ONNX
        (GridSample) for any size.

    Raises `OperatorError` for tensors whose shapes do not fit.

    >>> half_right = torch.tensor([0.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
    >>> warp(torch.tensor([[[[1.0, 2.0, 4.0]]]]), half_right)
    tensor([[[[1.5000, 3.0000, 4.0000]]]])
    """
    if motion.shape != (picture.shape[0], 2, *picture.shape[2:]):
        raise OperatorError(
            f"a motion of shape {tuple(motion.shape)} does not fit a picture of shape "
            f"{tuple(picture.shape)}; expected N×2×H×W for N×C×H×W"
        )
    # Half precision has no place for the coordinates of a wide picture.
    precise = torch.promote_types(torch.promote_types(picture.dtype, motion.dtype), torch.float32)
    height, width = picture.shape[2:]
    columns = torch.arange(width, device=picture.device).to(precise)
    rows = torch.arange(height, device=picture.device).to(precise)[:, None]
    # grid_sample's unit is half a side, from the middle, with pixels' edges at ±1.
    x = (2 * (columns + motion[:, 0]) + 1) / width - 1
    y = (2 * (rows + motion[:, 1]) + 1) / height - 1
    grid = torch.stack((x, y), 3)
    sampled = F.grid_sample(picture.to(precise), grid, padding_mode="border", align_corners=False)
    return sampled.to(picture.dtype)
