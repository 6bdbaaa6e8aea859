from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

MILLISECONDS = Fraction(1, 1000)

MakeVideo = Callable[..., Path]


def quadrants(width: int, height: int, shade: int = 0) -> NDArray[np.uint8]:
    """Red upper left, green upper right, blue lower left, grey lower right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (220, 30, 30)
    image[: height // 2, width // 2 :] = (30, 220, 30)
    image[height // 2 :, : width // 2] = (30, 30, 220)
    image[height // 2 :, width // 2 :] = 60 + shade % 150
    return image


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """Write a small video whose frames are shown at the given ticks."""

    def make(
        name: str,
        ticks: Sequence[int],
        *,
        codec: str = "libx264",
        size: tuple[int, int] = (64, 48),
        time_base: Fraction = MILLISECONDS,
        rotation: int = 0,
        container: str | None = None,
        colorspace: int | None = None,
        color_range: int | None = None,
        noise: bool = False,
    ) -> Path:
        path = tmp_path / name
        rng = np.random.default_rng(0)
        with av.open(str(path), "w", format=container) as output:
            stream = output.add_stream(codec, rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = stream.time_base = time_base
            if colorspace is not None:
                stream.codec_context.colorspace = colorspace
            if color_range is not None:
                stream.codec_context.color_range = color_range
            if rotation:
                stream.set_display_rotation(rotation)
            for index, tick in enumerate(ticks):
                image = quadrants(*size, shade=index)
                if noise:
                    image = rng.integers(0, 255, image.shape, dtype=np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
                    format="yuv420p", dst_colorspace=colorspace, dst_color_range=color_range
                )
                frame.pts, frame.time_base = tick, time_base
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path

    return make
