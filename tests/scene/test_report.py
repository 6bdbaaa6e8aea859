"""The page of a run: valid, escaped, self-contained."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import cv2
import numpy as np
import pytest

from litescene.core import CAMVID, SceneMap, Taxonomy, Trajectory
from litescene.scene.moments import Moments
from litescene.scene.report import ReportData, render_report
from litescene.scene.results import empty_map

EVIL = "<script>alert('x')</script>&\""
VOID = {"meta", "img", "rect", "polygon"}
OPTIONAL_END = {"html", "tr", "td"}


class Page(HTMLParser):
    """Checks nesting, and collects tags, addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.addresses += [v or "" for n, v in attrs if n in ("src", "href", "action")]
        if tag not in VOID | OPTIONAL_END:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID | OPTIONAL_END:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in OPTIONAL_END:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def a_summary() -> dict[str, Any]:
    return {
        "frames": 40,
        "frames_per_second": 21.5,
        "frames_dropped": 3,
        "scale": "arbitrary",
        "states": {"initializing": 2, "tracking": 30, "lost": 8},
        "map": {"points": 100},
        "milliseconds": {"segmentation": 10.0, "elapsed": 40.0},
        "warnings": [EVIL],
        "settings": {"source": EVIL, "camera": "fov=70"},
        "versions": {"numpy": "2.0"},
    }


def a_page(**changes: Any) -> ReportData:
    rng = np.random.default_rng(0)
    n = 100
    scene_map = SceneMap(
        rng.uniform(-5, 5, (n, 3)).astype(np.float32),
        rng.integers(0, 256, (n, 3), dtype=np.uint8),
        rng.integers(0, 3, n).astype(np.uint8),
        np.ones(n, np.float32),
        np.zeros(n, np.int32),
        np.ones(n, np.int32),
        CAMVID,
        "arbitrary",
    )
    poses = np.tile(np.eye(4), (30, 1, 1))
    poses[:, 2, 3] = np.arange(30)
    moments = Moments()
    for index in range(40):
        moments.show(index / 10, np.full((30, 40, 3), 6 * index, np.uint8))
    shares = np.zeros((8, len(CAMVID)))
    shares[:, 0], shares[:, 3] = 0.4, 0.6
    states = ["initializing"] * 2 + ["tracking"] * 30 + ["lost"] * 8
    data = ReportData(
        EVIL,
        a_summary(),
        moments.chosen(),
        Trajectory(np.arange(30.0), poses, "arbitrary"),
        scene_map,
        CAMVID,
        np.arange(8) * 0.5,
        shares,
        [(i / 10, state) for i, state in enumerate(states)],
        [
            {"id": 4, "class": EVIL, "first_time": 0.2, "last_time": 1.4, "frames": 9},
            {"id": 5, "class": "car", "first_time": 0.9, "last_time": 0.9, "frames": 1},
        ],
    )
    return replace(data, **changes)


def test_the_page_is_well_nested_and_loads_nothing_from_elsewhere() -> None:
    text = render_report(a_page())
    page = Page(text)
    assert text.startswith("<!doctype html>")
    assert "script" not in page.tags
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert not re.search(r"https?:|url\(|@import", re.sub(r"base64,[^']*", "", text))


def test_whatever_the_names_are_they_are_text() -> None:
    page = Page(render_report(a_page()))
    assert page.text.count(EVIL) >= 4  # title, heading, warning, object, setting


def test_names_of_classes_are_text_too() -> None:
    evil = Taxonomy("evil", (EVIL, *CAMVID.names[1:]), CAMVID.colors)
    page = Page(render_report(a_page(taxonomy=evil)))
    assert page.text.count(EVIL) > Page(render_report(a_page())).text.count(EVIL)


def test_the_pictures_inside_are_pictures() -> None:
    page = Page(render_report(a_page()))
    kinds = [address.partition(";")[0] for address in page.addresses]
    assert kinds == ["data:image/jpeg"] * 6 + ["data:image/png"] * 2
    shades = []
    for address in page.addresses:
        data = np.frombuffer(base64.b64decode(address.partition("base64,")[2]), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert picture is not None
        shades.append(float(picture.mean()))
    assert shades[:6] == sorted(shades[:6])
    assert shades[5] - shades[0] > 150  # from the beginning to the end of the video


def test_the_page_says_what_matters() -> None:
    text = Page(render_report(a_page())).text
    for words in ("40 frames", "21.5 frames a second", "30 tracked", "100 map points", "3 dropped"):
        assert words in text
    for words in ("segmentation", "10.00 ms", "camera", "fov=70", "2 objects"):
        assert words in text


@pytest.mark.parametrize("frames", [0, 1])
def test_a_run_that_found_nothing_has_a_page(frames: int) -> None:
    data = a_page(
        moments=[],
        trajectory=Trajectory(np.zeros(0), np.zeros((0, 4, 4)), "arbitrary"),
        scene_map=empty_map(CAMVID),
        share_times=np.zeros(frames),
        shares=np.zeros((frames, len(CAMVID))),
        states=[(0.0, "initializing")] * frames,
        objects=[],
        summary={"warnings": [], "settings": {}, "versions": {}},
    )
    assert "never seen to move" in Page(render_report(data)).text


def test_hours_of_video_do_not_make_a_larger_page() -> None:
    count = 20_000
    shares = np.zeros((count, len(CAMVID)))
    shares[:, 3] = 1
    data = a_page(
        share_times=np.arange(count) * 0.5,
        shares=shares,
        states=[(i / 10, "tracking") for i in range(5 * count)],
        objects=[
            {"id": i, "class": "car", "first_time": i, "last_time": i + 1.0, "frames": i % 70}
            for i in range(5000)
        ],
    )
    assert len(render_report(data)) < len(render_report(a_page())) + 40_000
