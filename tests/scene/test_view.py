"""The live 3D page."""

from __future__ import annotations

import ipaddress
import logging
import socket
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_drive import HEIGHT, WIDTH, RunJob, frames_of
from test_report import a_page

from litescene.cli import run as run_verb
from litescene.core import Camera, Frame, MissingExtraError
from litescene.scene import view as view_module
from litescene.scene.view import LiveView

viser = pytest.importorskip("viser", reason="the live page needs the extra 'view'")


@pytest.fixture
def page(caplog: pytest.LogCaptureFixture) -> Any:
    with caplog.at_level(logging.INFO, "litescene"):
        live = LiveView(Camera.from_fov(WIDTH, HEIGHT, 70))
    assert live.url in caplog.text
    yield live
    live.close()


def test_the_page_is_served_while_poses_and_maps_come(page: Any) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    path = np.zeros((0, 3))
    for step in range(3):
        pose = np.eye(4)
        pose[2, 3] = step
        path = np.vstack([path, pose[:3, 3]])
        page.show_camera(pose, image, path)
        page.show_map(a_page().scene_map, 0.05)
    page.show_map(a_page().scene_map, 0.0)  # before the first voxel has a size
    with urllib.request.urlopen(page.url, timeout=20) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read().lower()


def test_the_page_is_for_this_machine_alone_and_gone_once_closed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts: list[str] = []
    server = viser.ViserServer

    def note(host: str, **settings: Any) -> Any:
        hosts.append(host)
        return server(host=host, **settings)

    monkeypatch.setattr(viser, "ViserServer", note)
    live = LiveView(Camera.from_fov(WIDTH, HEIGHT, 70))
    port = int(live.url.rpartition(":")[2])
    assert [ipaddress.ip_address(host).is_loopback for host in hosts] == [True]
    live.close()
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    assert capsys.readouterr().out == ""


def test_without_viser_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(MissingExtraError, match=r"litescene\[view\]"):
        LiveView(Camera.from_fov(WIDTH, HEIGHT, 70))


class Recorder:
    """Stands in for the page, and counts."""

    def __init__(self, camera: Camera) -> None:
        self.url, self.calls = "http://here", []
        self.paths: list[np.ndarray] = []

    def show_camera(self, pose: np.ndarray, image: np.ndarray, path: np.ndarray) -> None:
        self.calls.append("camera")
        self.paths.append(path)
        assert path.shape == (len(path), 3)
        np.testing.assert_array_equal(path[-1], pose[:3, 3])

    def show_map(self, scene_map: object, point_size: float) -> None:
        self.calls.append("map")

    def close(self) -> None:
        self.calls.append("close")


def test_a_run_shows_camera_and_map_and_leaves_the_page_open(
    drive: list[Frame], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("litescene.scene.pipeline.LiveView", Recorder)
    scene = run_job(drive, view=True)
    assert isinstance(scene.view, Recorder)
    assert scene.view.calls.count("camera") >= 2
    assert scene.view.calls.count("map") >= 2
    assert "close" not in scene.view.calls


def test_the_path_is_that_of_the_present_segment_as_it_is_by_now(
    drive: list[Frame], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("litescene.scene.pipeline.LiveView", Recorder)
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    elsewhere = frames_of(12, seed=50)
    pictures = [*(f.image for f in drive[:14]), *[black] * 12, *(f.image for f in elsewhere)]
    page = run_job([Frame(i, i / 10, p) for i, p in enumerate(pictures)], view=True).view
    assert isinstance(page, Recorder)
    lengths = [len(path) for path in page.paths]
    restart = lengths.index(2, 1)  # a segment begins with two keyframes
    assert lengths == [*range(2, 2 + restart), *range(2, 2 + len(lengths) - restart)]
    # adjustment has moved what was shown before
    assert np.abs(page.paths[restart - 1][1] - page.paths[0][1]).max() > 0


def test_a_run_that_fails_closes_the_page(
    drive: list[Frame], run_job: RunJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Recorder] = []
    monkeypatch.setattr(
        "litescene.scene.pipeline.LiveView", lambda lens: made.append(Recorder(lens)) or made[0]
    )
    (tmp_path / "out").write_text("a file")
    with pytest.raises(Exception, match="choose another name"):
        run_job(drive, view=True)
    assert made[0].calls == ["close"]


def test_the_module_loads_without_viser() -> None:
    assert "viser" not in vars(view_module)


def test_the_command_keeps_the_page_open_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Pressed(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

    page = Recorder(Camera.from_fov(WIDTH, HEIGHT, 70))
    monkeypatch.setattr(run_verb.threading, "Event", Pressed)
    run_verb._keep_open(page)  # type: ignore[arg-type]
    assert page.calls == ["close"]
    assert "http://here" in capsys.readouterr().out
