from __future__ import annotations

import http.server
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from litescene.core import SourceError
from litescene.media import live_sources, open_source
from litescene.media.sources import Source, without_password

MakeVideo = Callable[..., Path]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]

        def send_header(self, keyword: str, value: str) -> None:
            if keyword != "Content-Length" or "live" not in self.path:
                super().send_header(keyword, value)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_stream_is_live_and_gives_its_own_times(make_video: MakeVideo, serve: str) -> None:
    make_video("live.ts", [90_000 + 40 * i for i in range(20)])
    with open_source(f"{serve}/live.ts", limit=15) as source:
        assert (source.live, source.frame_count, source.width) == (True, None, 64)
        frames = list(source)
    assert [f.index for f in frames] == list(range(15))
    np.testing.assert_allclose(np.diff([f.time for f in frames]), 0.04, atol=1e-4)
    assert frames[0].time == pytest.approx(90.0, abs=3)


def test_a_file_of_a_web_server_waits_until_it_is_asked(make_video: MakeVideo, serve: str) -> None:
    make_video("drive.mp4", [40 * i for i in range(20)])
    with open_source(f"{serve}/drive.mp4") as source:
        assert (source.live, source.frame_count) == (False, 20)
        assert [f.time for f in source] == pytest.approx([0.04 * i for i in range(20)])


def test_a_connection_that_breaks_in_a_file_is_made_anew(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    """As a server closes one that waited for long."""
    whole = make_video("drive.mp4", [40 * i for i in range(50)], noise=True).read_bytes()
    begun: list[int] = []

    class Breaking(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "bytes=0-")
            assert said is not None
            first = int(said[1])
            begun.append(first)
            self.send_response(206)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Range", f"bytes {first}-{len(whole) - 1}/{len(whole)}")
            self.send_header("Content-Length", str(len(whole) - first))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(whole[first : first + len(whole) // 2])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with open_source(f"http://127.0.0.1:{server.server_port}/drive.mp4") as source:
                assert len(list(source)) == 50
                assert source.skipped == []
        finally:
            server.shutdown()
            thread.join()
    assert len(begun) > 1


def test_a_stream_that_ends_goes_on_where_it_was(make_video: MakeVideo, serve: str) -> None:
    make_video("s.ts", [40 * i for i in range(6)])
    source = open_source(f"{serve}/s.ts")
    assert len(list(source)) == 6
    assert list(source) == []
    source.close()
    source.close()


def test_a_stream_that_nobody_serves_is_one_clear_line(serve: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SourceError, match=rf"rtsp://127.0.0.1:{port}/x cannot be opened: Conn"):
        open_source(f"rtsp://127.0.0.1:{port}/x")
    with pytest.raises(SourceError, match=r"gone\.ts cannot be opened"):
        open_source(f"{serve}/gone.ts")


def test_a_password_is_not_repeated(serve: str) -> None:
    url = serve.replace("http://", "http://admin:secret@") + "/nothing.mp4"
    with pytest.raises(SourceError) as raised:
        open_source(url)
    assert "secret" not in str(raised.value)
    assert without_password("rtsp://me:secret@host:554/a?b=1") == "rtsp://host:554/a?b=1"
    assert "nothing.mp4" in str(raised.value)


def test_a_stream_without_video_is_one_clear_line(tmp_path: Path, serve: str) -> None:
    with av.open(str(tmp_path / "sound.ts"), "w") as output:
        stream = output.add_stream("mp2", rate=44100, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.int16), "s16", "mono")
        sound.sample_rate, sound.pts = 44100, 0
        output.mux([*stream.encode(sound), *stream.encode(None)])
    with pytest.raises(SourceError, match=r"sound\.ts has no video in it"):
        open_source(f"{serve}/sound.ts")


def test_a_closed_stream_gives_nothing_more(make_video: MakeVideo, serve: str) -> None:
    make_video("s.ts", [40 * i for i in range(6)])
    source = open_source(f"{serve}/s.ts")
    source.close()
    assert list(source) == []


def close_while_reading(source: Source, reading: threading.Event, go_on: threading.Event) -> bool:
    """Close `source` while another thread reads; whether it waited for the end of the read."""
    reader = threading.Thread(target=lambda: list(source))
    closer = threading.Thread(target=source.close)
    reader.start()
    assert reading.wait(60)
    closer.start()
    closer.join(timeout=0.2)
    waited = closer.is_alive()
    go_on.set()
    closer.join(timeout=60)
    reader.join(timeout=60)
    assert not closer.is_alive()
    assert not reader.is_alive()
    return waited


def test_closing_a_stream_waits_for_the_read_that_another_thread_is_in(
    make_video: MakeVideo, serve: str
) -> None:
    make_video("s.ts", [40 * i for i in range(20)])
    source = open_source(f"{serve}/s.ts")
    assert isinstance(source, live_sources.StreamSource)
    decoded, reading, go_on = source._decoded, threading.Event(), threading.Event()

    def slow() -> Iterator[object]:
        for frame in decoded:
            reading.set()
            assert go_on.wait(60)
            yield frame

    source._decoded = slow()
    assert close_while_reading(source, reading, go_on)
    assert list(source) == []


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_silent_server_is_given_up_after_a_while(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_sources, "_OPEN_SECONDS", 0.3)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        with pytest.raises(SourceError, match=r"/x cannot be opened: no answer within 0.3 seconds"):
            open_source(f"{scheme}://127.0.0.1:{server.getsockname()[1]}/x")


class FakeCapture:
    """A camera of four blue pictures, then nothing."""

    left = 4

    def __init__(self, number: int) -> None:
        self.number = number
        self.released = False

    def isOpened(self) -> bool:
        return self.number == 1

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        picture = np.zeros((24, 32, 3), np.uint8)
        picture[..., 0] = 255
        return (True, picture) if self.left >= 0 else (False, None)

    def get(self, what: int) -> float:
        return 30.0 if what == cv2.CAP_PROP_FPS else 0.0

    def release(self) -> None:
        self.released = True


@pytest.mark.parametrize("spec", [1, "1", "camera:1", "/dev/video1"])
def test_a_camera_gives_rgb_frames_until_it_stops(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, spec: int | str
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    monkeypatch.chdir(tmp_path)
    with open_source(spec) as source:
        assert (source.live, source.rate, source.width, source.height) == (True, 30.0, 32, 24)
        frames = list(source)
        assert [s.reason for s in source.skipped] == ["the camera gave no more pictures"]
    assert source._capture.released  # type: ignore[attr-defined]
    assert len(frames) == 4
    assert frames[0].image[0, 0].tolist() == [0, 0, 255]
    assert 0 <= frames[0].time < frames[-1].time < 1


def test_closing_a_camera_waits_for_the_read_that_another_thread_is_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, go_on, order = threading.Event(), threading.Event(), []

    class Slow(FakeCapture):
        def read(self) -> tuple[bool, np.ndarray | None]:
            if self.left == 3:  # the first frame is read while the camera is opened
                reading.set()
                assert go_on.wait(60)
            order.append("released" if self.released else "read")
            return (False, None) if self.released else super().read()

    monkeypatch.setattr(cv2, "VideoCapture", Slow)
    assert close_while_reading(open_source(1), reading, go_on)
    assert order[:2] == ["read", "read"]


def test_a_camera_that_is_not_there_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with pytest.raises(SourceError, match="camera 3 cannot be opened"):
        open_source("camera:3")
