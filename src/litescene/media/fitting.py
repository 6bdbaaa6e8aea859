"""Pictures at the size that a network or a video wants."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import IGNORE, Image

SAME_ASPECT = 1.05
SMALLEST = 64


def network_size(
    frame: tuple[int, int], trained: tuple[int, int], stride: int = 32
) -> tuple[int, int]:
    """Height and width at which a segmentation network sees a frame.

    The trained size, if its aspect ratio is within 5 % of the frame's; otherwise the same area
    with the frame's aspect ratio, each side rounded to a multiple of `stride`, at least 64.

    >>> network_size((360, 480), (360, 480))
    (360, 480)
    >>> network_size((1080, 1920), (512, 1024))
    (544, 960)
    """
    if _alike(frame, trained):
        return trained
    height = math.sqrt(trained[0] * trained[1] * frame[0] / frame[1])
    width = height * frame[1] / frame[0]
    rows, columns = (max(round(side / stride) * stride, SMALLEST) for side in (height, width))
    return rows, columns


def _alike(frame: tuple[int, int], size: tuple[int, int]) -> bool:
    ratio = (frame[1] * size[0]) / (frame[0] * size[1])
    return max(ratio, 1 / ratio) <= SAME_ASPECT


def resize(image: Image, size: tuple[int, int]) -> Image:
    """The picture at (height, width): averaged down by the nearest whole factor, then bilinear.

    Averaging by a whole factor and interpolating the rest takes 2 ms from 1080p to 1024×512,
    averaging by the broken factor 10 ms; neither lets fine texture alias.
    """
    height, width = image.shape[:2]
    factor = round(math.sqrt(height * width / (size[0] * size[1])))
    if factor > 1:
        reduced = (-(-width // factor), -(-height // factor))
        image = np.asarray(cv2.resize(image, reduced, interpolation=cv2.INTER_AREA), np.uint8)
    if image.shape[:2] == size:
        return image
    return np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def centre_crop(image: Image, size: tuple[int, int], share: float = 1.0) -> Image:
    """The centre of a picture H×W×3 at `size` (height, width).

    `share`, above 0 and at most 1, is that of the sides of the largest part with the aspect of
    `size`. With 224 / 256 it is the usual cut of 224 out of a picture whose shorter side is 256.

    >>> centre_crop(np.zeros((300, 400, 3), np.uint8), (64, 64)).shape
    (64, 64, 3)
    """
    height, width = image.shape[:2]
    pixels = share * min(height / size[0], width / size[1])
    rows, columns = (max(round(side * pixels), 1) for side in size)
    top, left = (height - rows) // 2, (width - columns) // 2
    return resize(image[top : top + rows, left : left + columns], size)


def fit_whole(image: Image, size: tuple[int, int]) -> Image:
    """The whole picture H×W×3 at `size` (height, width): aspect kept, centred on black.

    A picture of that size is given back as it is.

    >>> fit_whole(np.full((2, 1, 3), 9, np.uint8), (2, 3))[0, :, 0].tolist()
    [0, 9, 0]
    """
    if image.shape[:2] == size:
        return image
    inside = _inside((image.shape[0], image.shape[1]), size)
    fitted = np.zeros((*size, 3), np.uint8)
    fitted[inside] = resize(image, _extent(inside))
    return fitted


def fit_labelled(
    image: Image, labels: NDArray[np.uint8], size: tuple[int, int]
) -> tuple[Image, NDArray[np.uint8]]:
    """A picture H×W×3 and its labels H×W at `size` (height, width).

    Both are stretched where the aspect is within 5 %; else the whole picture is centred on black,
    and the labels on 255 (no class). Labels are those of the nearest pixels.
    """
    frame = (image.shape[0], image.shape[1])
    if _alike(frame, size):
        return resize(image, size), _nearest(labels, size)
    inside = _inside(frame, size)
    fitted = np.full(size, IGNORE, np.uint8)
    fitted[inside] = _nearest(labels, _extent(inside))
    return fit_whole(image, size), fitted


def _nearest(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if labels.shape == size:
        return labels
    return np.asarray(cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT))


def _inside(frame: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of `size` that a whole frame takes, its aspect kept."""
    scale = min(size[0] / frame[0], size[1] / frame[1])
    rows, columns = (max(round(side * scale), 1) for side in frame)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    return slice(top, top + rows), slice(left, left + columns)


def _extent(inside: tuple[slice, slice]) -> tuple[int, int]:
    rows, columns = (part.stop - part.start for part in inside)
    return rows, columns
