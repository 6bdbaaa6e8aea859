"""H.264 video out: real presentation times, playable however the program ends."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from fractions import Fraction
from io import FileIO
from pathlib import Path
from typing import Any, Self

import av
import cv2
import numpy as np

from litescene.core import Image, OutputError
from litescene.media.atomic import output_error

_TIME_BASE = Fraction(1, 90_000)
"""MPEG's usual clock: divides 24, 25, 30 and 60 frames a second, and rounds others by 6 µs."""

_ENCODER = {
    # Measured at 1080p on two cores: the only preset that keeps up beside the networks.
    "preset": "ultrafast",
    # No frame is held back: whatever was written is in the file when it is closed.
    "tune": "zerolatency",
    "crf": "23",
}
_SECONDS_BETWEEN_KEYFRAMES = 2
_HIGHEST_RATE = 1000
"""That is announced; the pictures' times are their own."""
_LONGEST_GAP = round(6 * 3600 / _TIME_BASE)
"""Ticks between two frames: MP4 has 31 bits for them, which are 6.6 hours."""

_RESERVE = 4 << 20
_RESERVE_PER_FRAME = 64
"""Disk space claimed ahead, in bytes: enough for one more frame and the index of all."""


class VideoWriter:
    """Writes RGB pictures with their times to an MP4 file (H.264, yuv420p, BT.601).

    `rate` is the nominal rate a second; every frame is shown at its own time, counted from the
    first one's (in steps of 1/90000 s); a gap of more than six hours becomes one of six hours.
    Odd sizes are padded by one repeated column or row.

    The file grows under the name `NAME.part` and is finished and renamed by `close`, which
    leaving the `with` block calls too, after an exception or Ctrl-C as well: the frames written
    so far are then a valid video. Its index stands at the front. Without a single frame there
    is no file. Disk space for the index is claimed ahead, so when the disk fills up the frames
    so far are finished too, and `write` raises `OutputError`.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "overlay.mp4"
    >>> with VideoWriter(path, 64, 48) as video:
    ...     for index in range(3):
    ...         video.write(np.zeros((48, 64, 3), np.uint8), time=index / 25)
    >>> path.exists()
    True
    """

    def __init__(self, path: Path | str, width: int, height: int, rate: float = 25.0) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() != ".mp4":
            raise OutputError(f"videos are written as .mp4, not {self.path.name}")
        if width < 1 or height < 1 or not 0 < rate < math.inf:
            raise ValueError(
                f"cannot write video of {width}×{height} at {rate} a second; expected positive "
                "sizes and rate"
            )
        self.width, self.height = width, height
        self.frames = 0
        self._part = self.path.with_name(self.path.name + ".part")
        self._planes = np.empty(((height + height % 2) * 3 // 2, width + width % 2), np.uint8)
        self._begin: float | None = None
        self._last_tick = -1
        self._claimed = 0
        self._file = self._created()
        self._container, self._stream = self._opened(rate)

    def write(self, image: Image, time: float) -> None:
        """Add an H×W×3 uint8 RGB picture shown at `time` seconds, later than the one before.

        Raises `OutputError` if the disk is full; the video is then closed and valid.
        """
        if image.shape != (self.height, self.width, 3) or image.dtype != np.uint8:
            raise ValueError(
                f"the video is {self.height}×{self.width}×3 uint8, the picture "
                f"{image.shape} {image.dtype}"
            )
        if self._file.closed:
            raise ValueError(f"{self.path} is closed already")
        tick = self._tick(time)
        self._claim()
        frame = av.VideoFrame.from_ndarray(self._i420(image), format="yuv420p")
        frame.pts, frame.time_base = tick, _TIME_BASE
        try:
            self._container.mux(self._stream.encode(frame))
        except (av.FFmpegError, OSError) as error:
            raise self._broken(error) from error
        self.frames += 1
        self._last_tick = tick

    def close(self) -> None:
        """Finish the file and give it its name; safe to call twice."""
        if self._file.closed:
            return
        try:
            self._finish()
        except (av.FFmpegError, OSError) as error:
            raise self._broken(error) from error
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _created(self) -> FileIO:
        try:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered and without Python code of ours: nothing can interrupt libav's writing.
            return FileIO(self._part, "w+")
        except OSError as error:
            raise output_error(self.path, error) from error

    def _opened(self, rate: float) -> tuple[Any, Any]:
        container = av.open(
            self._file,
            "w",
            format="mp4",
            options={"movflags": "+faststart"},
            # Moving the index to the front, libav opens the file once more to read it.
            io_open=lambda url, flags, options: open(self._part, "rb"),  # noqa: SIM115
        )
        nominal = Fraction(min(rate, _HIGHEST_RATE)).limit_denominator(1001)
        stream: Any = container.add_stream("libx264", rate=nominal, options=dict(_ENCODER))
        stream.height, stream.width = self._planes.shape[0] * 2 // 3, self._planes.shape[1]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = stream.time_base = _TIME_BASE
        stream.codec_context.gop_size = max(1, round(rate * _SECONDS_BETWEEN_KEYFRAMES))
        stream.codec_context.colorspace = av.video.reformatter.Colorspace.ITU601
        stream.codec_context.color_range = av.video.reformatter.ColorRange.MPEG
        return container, stream

    def _tick(self, time: float) -> int:
        if self._begin is None:
            self._begin = time
        tick = round((time - self._begin) / _TIME_BASE)
        if tick <= self._last_tick:
            raise ValueError(
                f"time {time:.6f} s is not after {self._begin + self._last_tick * _TIME_BASE:.6f} "
                "s, the time of the picture before"
            )
        if tick - self._last_tick > _LONGEST_GAP:
            self._begin = time - float((self._last_tick + _LONGEST_GAP) * _TIME_BASE)
            return self._last_tick + _LONGEST_GAP
        return tick

    def _i420(self, image: Image) -> Image:
        if self._planes.shape[1] != self.width or self.height % 2:
            image = cv2.copyMakeBorder(
                image, 0, self.height % 2, 0, self.width % 2, cv2.BORDER_REPLICATE
            )
        return cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420, dst=self._planes)

    def _claim(self) -> None:
        """Claim disk space ahead, so that a full disk shows while there is room to finish."""
        need = self._file.tell() + _RESERVE + self.frames * _RESERVE_PER_FRAME
        if need <= self._claimed:
            return
        try:
            _allocate(self._file, self._claimed, need + _RESERVE)
        except OSError as error:
            frames = self.frames
            self.close()
            kept = f" (its first {frames} frames are finished and valid)" if frames else ""
            raise OutputError(f"{output_error(self.path, error)}{kept}") from error
        self._claimed = need + _RESERVE

    def _finish(self) -> None:
        if self.frames == 0:
            self._container.close()
            self._part.unlink()
            return
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._file.truncate(_end_of_boxes(self._file))
        os.fsync(self._file.fileno())
        os.replace(self._part, self.path)

    def _broken(self, error: Exception) -> OutputError:
        """Give up a file that libav can no longer finish."""
        with suppress(av.FFmpegError, OSError):
            self._container.close()
        self._file.close()
        return output_error(self.path, error)


def _allocate(file: FileIO, start: int, end: int) -> None:
    """Make the file own the bytes from `start` to `end` on the disk, as zeros."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), start, end - start)
        return
    position = file.tell()
    file.seek(start)
    for offset in range(start, end, 1 << 20):
        file.write(bytes(min(1 << 20, end - offset)))
    file.seek(position)


def _end_of_boxes(file: FileIO) -> int:
    """Where the MP4's last box ends and the claimed zeros begin (ISO/IEC 14496-12, 4.2)."""
    end, size = 0, file.seek(0, os.SEEK_END)
    while end + 8 <= size:
        file.seek(end)
        header = file.read(16)
        length = int.from_bytes(header[:4])
        if length == 1:
            length = int.from_bytes(header[8:16])
        if length == 0:
            break
        end += length
    return end
