"""Video files as a source of frames with the container's own presentation times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2

from litescene.core import Frame, Image, SourceError
from litescene.media.sources import DEFAULT_RATE, Skipped, Source

_LOCAL_ONLY = {"protocol_whitelist": "file,crypto,data"}
"""A playlist on the disk must not make the program load something from a network."""

_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}

_TOLERATED_GAP = 1.0
"""Seconds by which the last frame may fall short of the duration the container announces."""

_CLOCK_RESET = 10.0
"""Going back by more seconds than this, the time stamps have started anew; by less, a decoder
gave an old frame late, which it does after damaged data."""


class VideoSource(Source):
    """Frames of a video file that PyAV reads, turned upright by its rotation mark.

    Times are the presentation time stamps times the time base: they need not start at 0, and
    a variable frame rate is kept. A frame without a time stamp, or where the time stamps start
    anew, is placed one nominal interval after the one before and counted in `notes`.

    Damaged packets, and frames that come after a later one, are named in `skipped` and left
    out. A file that ends too early gives what there is and is named in `skipped` too.
    """

    def __init__(self, path: Path, limit: int | None) -> None:
        super().__init__(str(path), limit)
        self._path = path
        self._hidden = 0
        with self._opened() as container:
            stream = self._video_stream(container)
            first = next(self._decoded(container, stream), None)
            if first is None:
                raise SourceError(
                    f"{path} has a video stream but not one frame can be read from it; "
                    "it may be empty or cut off"
                )
            self._describe(first, stream.frames or None, nominal_rate(stream))

    def _frames(self) -> Iterator[Frame]:
        with self._opened() as container:
            stream = self._video_stream(container)
            count, last = 0, 0.0
            for frame in self._decoded(container, stream):
                count, last = count + 1, frame.time
                yield frame
            self._check_end(stream, count, last)

    def _opened(self) -> Any:
        try:
            container = av.open(str(self._path.absolute()), options=_LOCAL_ONLY)
        except (av.FFmpegError, OSError) as error:
            raise SourceError(
                f"{self._path} cannot be read as a video: {reason_of(error)}"
            ) from error
        if container.format.name == "tty":  # FFmpeg draws any text file as a terminal's screen
            container.close()
            raise SourceError(f"{self._path} is a text file; expected a video file")
        return container

    def _video_stream(self, container: Any) -> Any:
        cover = av.stream.Disposition.attached_pic
        stream = next((s for s in container.streams.video if not s.disposition & cover), None)
        if stream is None:
            raise SourceError(
                f"{self._path} has no video in it; it is of another kind, or was cut off before "
                "its index was written"
            )
        stream.thread_type = "AUTO"
        return stream

    def _decoded(self, container: Any, stream: Any) -> Iterator[Frame]:
        clock, mended = Clock(stream), 0
        try:
            packets = self._count_hidden(container.demux(stream))
            for frame in decode(packets, self.skipped, self._path.name):
                mended += frame.is_corrupt
                time = clock.time_of(frame)
                if time is None:
                    self.skipped.append(Skipped(self._path.name, out_of_turn(frame)))
                else:
                    yield Frame(0, time, upright_rgb(frame))
        finally:
            if clock.repaired:
                self.notes.append(
                    f"{clock.repaired} frames had no usable time stamp and were placed one "
                    "nominal interval after the frame before"
                )
            if mended:
                self.notes.append(f"{mended} frames are damaged and were mended by the decoder")

    def _count_hidden(self, packets: Iterator[Any]) -> Iterator[Any]:
        """The packets; those of frames that an edit list hides, as of a trimmed video, count."""
        self._hidden = 0
        for packet in packets:
            self._hidden += packet.is_discard
            yield packet

    def _check_end(self, stream: Any, count: int, last: float) -> None:
        """Name the file in `skipped` if its end is missing."""
        announced = stream.frames - self._hidden
        if announced > count:
            reason = f"holds {count} readable frames of {announced} announced"
        elif stream.duration is not None:
            end = ((stream.start_time or 0) + stream.duration) * float(stream.time_base)
            if end - last <= _TOLERATED_GAP + 1 / (nominal_rate(stream) or DEFAULT_RATE):
                return
            reason = f"ends at {last:.3f} s, {end - last:.1f} s before the announced end"
        else:
            return
        self.skipped.append(Skipped(self._path.name, reason))


class Clock:
    """Presentation times that always increase."""

    def __init__(self, stream: Any) -> None:
        self._interval = 1 / (nominal_rate(stream) or DEFAULT_RATE)
        self._last: float | None = None
        self._shift = 0.0
        self.repaired = 0

    def time_of(self, frame: Any) -> float | None:
        """Time of the next decoded frame in seconds; `None` if it comes out of its turn."""
        expected = 0.0 if self._last is None else self._last + self._interval
        if frame.pts is None:
            self.repaired += 1
            time = expected
        else:
            time = float(frame.pts * frame.time_base) + self._shift
            back = 0.0 if self._last is None else self._last - time
            if back > _CLOCK_RESET:
                self._shift += expected - time
                self.repaired += 1
                time = expected
            elif self._last is not None and time <= self._last:
                return None
        self._last = time
        return time


def decode(packets: Iterator[Any], skipped: list[Skipped], name: str) -> Iterator[Any]:
    """Decode packet by packet; what is damaged goes to `skipped` and decoding goes on."""
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            skipped.append(Skipped(name, f"reading stopped: {reason_of(error)}"))
            return
        if packet is None:
            return
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            at = "" if packet.pts is None else f" at {float(packet.pts * packet.time_base):.3f} s"
            skipped.append(Skipped(name, f"damaged data{at}: {reason_of(error)}"))
            continue
        yield from frames


def out_of_turn(frame: Any) -> str:
    """Why a frame whose time has passed is left out."""
    return f"the frame of {float(frame.pts * frame.time_base):.3f} s came after a later one"


def nominal_rate(stream: Any) -> float | None:
    """Frames a second that the container announces, `None` if it does not."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate else None


def upright_rgb(frame: Any) -> Image:
    """RGB picture of a decoded frame, converted by its own colour matrix and range."""
    # Measured against copying the planes and cv2.cvtColor: 0.06 to 0.10 ms at 480×360 and 0.65
    # to 0.90 ms at 1080p, and it knows every pixel format, matrix and range.
    image: Image = frame.to_ndarray(format="rgb24")
    turn = _TURNS.get(round(frame.rotation) % 360)
    return image if turn is None else cv2.rotate(image, turn)


def reason_of(error: Exception) -> str:
    """The system's or FFmpeg's own words, without codes and file names."""
    return str(getattr(error, "strerror", None) or error)
