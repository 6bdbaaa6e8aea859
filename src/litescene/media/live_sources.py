"""Network streams and local cameras: sources that do not wait for their reader."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import av
import cv2

from litescene.core import Frame, SourceError
from litescene.media.sources import Skipped, Source, without_password
from litescene.media.video_source import (
    Clock,
    decode,
    nominal_rate,
    out_of_turn,
    reason_of,
    upright_rgb,
)

_OPEN_SECONDS, _READ_SECONDS = 10.0, 10.0
_OPTIONS = {
    # Over TCP: lost UDP packets smear pictures, and a smeared picture is a wrong picture.
    "rtsp": {"rtsp_transport": "tcp"},
    # Servers close connections on which nothing was asked for long.
    "http": {"reconnect": "1", "reconnect_delay_max": "4"},
}


class StreamSource(Source):
    """Frames of a network stream (RTSP, RTMP, HTTP, UDP, SRT).

    Times are the stream's presentation times. If nothing comes for ten seconds, or the
    connection breaks, the source ends and `skipped` says why. It is `live` unless a web server
    says how long it is, as of a file: that can wait.
    """

    def __init__(self, url: str, limit: int | None) -> None:
        super().__init__(without_password(url), limit)
        self._reading = threading.Lock()
        options = next((o for kind, o in _OPTIONS.items() if url.lower().startswith(kind)), {})
        asked = time.monotonic()
        try:
            self._container = av.open(url, options=options, timeout=(_OPEN_SECONDS, _READ_SECONDS))
        except (av.FFmpegError, OSError) as error:
            # FFmpeg calls a server that stays silent invalid data, or an exit that was asked for.
            silent = time.monotonic() - asked >= _OPEN_SECONDS
            said = f"no answer within {_OPEN_SECONDS:g} seconds" if silent else reason_of(error)
            raise SourceError(f"the stream {self.name} cannot be opened: {said}") from error
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(f"the stream {self.name} has no video in it")
        self._stream = self._container.streams.video[0]
        self.live = not self._is_file(url)
        # Frame threads would hold live frames back.
        self._stream.thread_type = "SLICE" if self.live else "AUTO"
        self._clock = Clock(self._stream)
        self._decoded = decode(self._container.demux(self._stream), self.skipped, self.name)
        self._first: Frame | None = next(self._received(), None)
        if self._first is None:
            self.close()
            raise SourceError(
                f"the stream {self.name} gave no frame within {_READ_SECONDS:.0f} seconds"
            )
        count = None if self.live else self._stream.frames or None
        self._describe(self._first, count, nominal_rate(self._stream))

    def _is_file(self, url: str) -> bool:
        ends = self._container.size > 0 and self._container.duration is not None
        return ends and url.lower().startswith("http")

    def _frames(self) -> Iterator[Frame]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
        yield from self._received()

    def _received(self) -> Iterator[Frame]:
        while (frame := self._read()) is not None:
            time_of_frame = self._clock.time_of(frame)
            if time_of_frame is None:
                self.skipped.append(Skipped(self.name, out_of_turn(frame)))
            else:
                yield Frame(0, time_of_frame, upright_rgb(frame))

    def _read(self) -> Any:
        # One at a time: FFmpeg does not survive a connection that closes under its reader.
        with self._reading:
            return next(self._decoded, None)

    def close(self) -> None:
        """Close the connection; nothing more comes after it.

        Waits for a read that another thread is in, which ends after ten seconds at the latest.
        """
        with self._reading:
            self._decoded, self._first = iter(()), None
            self._container.close()


class CameraSource(Source):
    """Frames of a camera at this machine, through OpenCV.

    Times are seconds since the first frame, taken from the monotonic clock when it arrives.
    """

    live = True

    def __init__(self, number: int, limit: int | None) -> None:
        super().__init__(f"camera:{number}", limit)
        self._reading = threading.Lock()
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        self._capture = cv2.VideoCapture(number)
        cv2.utils.logging.setLogLevel(level)
        self._begin: float | None = None
        self._first = self._grab() if self._capture.isOpened() else None
        if self._first is None:
            self.close()
            raise SourceError(
                f"camera {number} cannot be opened or gives no picture; is it connected, and does "
                "no other program use it?"
            )
        self._describe(self._first, None, self._capture.get(cv2.CAP_PROP_FPS) or None)

    def _frames(self) -> Iterator[Frame]:
        first, self._first = self._first, None
        frame = first or self._grab()
        while frame is not None:
            yield frame
            frame = self._grab()
        self.skipped.append(Skipped(self.name, "the camera gave no more pictures"))

    def _grab(self) -> Frame | None:
        with self._reading:  # OpenCV frees the device even under a reader
            grabbed, picture = self._capture.read()
        if not grabbed:
            return None
        now = time.monotonic()
        if self._begin is None:
            self._begin = now
        return Frame(0, now - self._begin, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))

    def close(self) -> None:
        """Give the camera back.

        Waits for a read that another thread is in, for as long as the camera's driver lets it.
        """
        with self._reading:
            self._capture.release()
