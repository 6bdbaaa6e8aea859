"""A few pictures that stand for a whole video of any length."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from litescene.core import Image

MOMENTS = 6
_WIDTH = 640
_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Moment:
    """An overlay picture at a time in seconds, as the bytes of a JPEG file."""

    time: float
    jpeg: bytes


class Moments:
    """Pictures at even distances over everything shown so far, without knowing how much comes.

    Every `stride`-th picture is kept, small and compressed; when there are twice as many as
    wanted, every second one goes and the stride doubles. So memory stays flat.
    """

    def __init__(self, wanted: int = MOMENTS) -> None:
        self._wanted = wanted
        self._kept: list[Moment] = []
        self._stride, self._count = 1, 0

    def show(self, time: float, image: Image) -> None:
        """Offer the next picture, H×W×3 uint8 RGB."""
        if self._count % self._stride == 0:
            self._kept.append(Moment(time, _jpeg(image)))
            if len(self._kept) >= 2 * self._wanted:
                self._kept = self._kept[::2]
                self._stride *= 2
        self._count += 1

    def chosen(self) -> list[Moment]:
        """At most the wanted number, spread evenly from the first to the last kept."""
        count = min(self._wanted, len(self._kept))
        return [
            self._kept[i] for i in np.linspace(0, len(self._kept) - 1, count).round().astype(int)
        ]


def _jpeg(image: Image) -> bytes:
    height, width = image.shape[:2]
    if width > _WIDTH:
        size = (_WIDTH, max(round(height * _WIDTH / width), 1))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    bgr = np.ascontiguousarray(image[..., ::-1])
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()
