"""The report of a run: one self-contained HTML page that a person can read."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import Image, SceneMap, Taxonomy, Trajectory
from litescene.media.map_picture import draw_map_at_angle, draw_map_from_above
from litescene.media.pictures import encode_png
from litescene.scene.moments import Moment

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:1080px;margin:2em auto;padding:0 1em}
h1{font-size:1.6em;margin-bottom:.1em}h2{font-size:1.15em;margin:2em 0 .5em}
.facts{color:#555}.row{display:flex;flex-wrap:wrap;gap:12px}
figure{margin:0;flex:1 1 320px}figure img{width:100%;border-radius:4px;display:block}
figcaption{color:#666;font-size:.85em}table{border-collapse:collapse}
td,th{padding:.15em .8em .15em 0;text-align:left}td.n{text-align:right}
.key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 .9em}
svg{width:100%;height:auto;background:#fafaf8;border-radius:4px}.warn{color:#a33}
"""


_MOST_STEPS = 500
"""Of a curve over time: a page of hours of video stays as small as that of a minute."""


@dataclass(frozen=True)
class ReportData:
    """Everything that the page shows.

    `shares` is n×C, the class shares at `share_times`; `states` the tracking state per frame;
    `objects` the records of `ObjectTracker.objects_over_time`, as plain dicts.
    """

    title: str
    summary: Mapping[str, Any]
    moments: Sequence[Moment]
    trajectory: Trajectory | None
    scene_map: SceneMap | None
    taxonomy: Taxonomy
    share_times: NDArray[np.float64]
    shares: NDArray[np.float64]
    states: Sequence[tuple[float, str]]
    objects: Sequence[Mapping[str, Any]]


def render_report(data: ReportData) -> str:
    """The page as HTML text; pictures are inside."""
    title = html.escape(data.title)
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>",
        f"<h1>{title}</h1>{_facts(data.summary)}",
        _moments(data.moments),
        _maps(data),
        _shares(data),
        _states(data.states),
        _objects(data.objects),
        _timing(data.summary.get("milliseconds", {})),
        _settings(data.summary),
    ]
    return "\n".join(part for part in parts if part)


def _facts(summary: Mapping[str, Any]) -> str:
    frames = summary.get("frames", 0)
    facts = [f"{frames} frames", f"{summary.get('frames_per_second', 0):.1f} frames a second"]
    if summary.get("scale"):
        facts.append(f"scale {summary['scale']}")
    tracked = summary.get("states", {}).get("tracking")
    if tracked is not None:
        facts.append(f"{tracked} tracked")
    points = summary.get("map", {}).get("points")
    if points is not None:
        facts.append(f"{points} map points")
    if summary.get("frames_dropped"):
        facts.append(f"{summary['frames_dropped']} dropped")
    text = f"<p class=facts>{html.escape(' · '.join(facts))}</p>"
    for line in summary.get("warnings", []):
        text += f"<p class=warn>{html.escape(line)}</p>"
    return text


def _figure(data: bytes, kind: str, caption: str) -> str:
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    text = html.escape(caption)
    return f"<figure><img src='{source}' alt='{text}'><figcaption>{text}</figcaption></figure>"


def _drawing(image: Image, caption: str) -> str:
    return _figure(encode_png(image), "png", caption)


def _moments(moments: Sequence[Moment]) -> str:
    if not moments:
        return ""
    figures = "".join(_figure(m.jpeg, "jpeg", f"{m.time:.2f} s") for m in moments)
    return f"<h2>What is where</h2><div class=row>{figures}</div>"


def _maps(data: ReportData) -> str:
    if data.trajectory is None or len(data.trajectory) == 0 or data.scene_map is None:
        return (
            "<h2>Trajectory and map</h2>"
            "<p>The camera was never seen to move, so there is neither.</p>"
        )
    above = draw_map_from_above(data.scene_map, data.trajectory)
    angle = draw_map_at_angle(data.scene_map, data.trajectory, paint="colors")
    legend = _legend(data.taxonomy, np.bincount(data.scene_map.labels, minlength=256))
    return (
        "<h2>Trajectory and labelled map</h2><div class=row>"
        + _drawing(above, "from above, classes; green: start, red: path")
        + _drawing(angle, "at an angle, colours")
        + f"</div><p>{legend}</p>"
    )


def _hex(color: Sequence[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _legend(taxonomy: Taxonomy, counts: NDArray[np.int64] | None = None) -> str:
    return "".join(
        f"<span class=key style='background:{_hex(color)}'></span>{html.escape(name)}"
        for i, (name, color) in enumerate(zip(taxonomy.names, taxonomy.colors, strict=True))
        if counts is None or counts[i]
    )


def _shares(data: ReportData) -> str:
    if len(data.share_times) < 2:
        return ""
    width, height = 1000.0, 160.0
    every = -(-len(data.share_times) // _MOST_STEPS)
    times, shares = data.share_times[::every], data.shares[::every]
    span = max(float(times[-1] - times[0]), 1e-9)
    x = (times - times[0]) / span * width
    top = np.zeros(len(x))
    bands = []
    for c, color in enumerate(data.taxonomy.colors):
        if not shares[:, c].any():
            continue
        lower, top = top, top + shares[:, c]
        outline = np.concatenate([np.stack([x, top], 1), np.stack([x, lower], 1)[::-1]])
        points = " ".join(f"{px:.1f},{height * (1 - py):.1f}" for px, py in outline)
        bands.append(f"<polygon points='{points}' fill='{_hex(color)}'/>")
    return (
        "<h2>Class shares over time</h2>"
        f"<svg viewBox='0 0 {width:g} {height:g}'>{''.join(bands)}</svg>"
        f"<p>{_legend(data.taxonomy, np.asarray(shares.any(0), np.int64))}</p>"
    )


_STATE_COLORS = {"tracking": "#3a9d5d", "initializing": "#d9b23c", "lost": "#cc4444"}


def _states(states: Sequence[tuple[float, str]]) -> str:
    if len(states) < 2:
        return ""
    first, last = states[0][0], states[-1][0]
    span = max(last - first, 1e-9) * len(states) / max(len(states) - 1, 1)
    bars = []
    start = 0
    for i in range(1, len(states) + 1):
        if i == len(states) or states[i][1] != states[start][1]:
            x = (states[start][0] - first) / span * 1000
            end = 1000.0 if i == len(states) else (states[i][0] - first) / span * 1000
            color = _STATE_COLORS[states[start][1]]
            bars.append(f"<rect x='{x:.1f}' width='{end - x:.1f}' height='18' fill='{color}'/>")
            start = i
    key = "".join(
        f"<span class=key style='background:{c}'></span>{s}" for s, c in _STATE_COLORS.items()
    )
    return (
        f"<h2>Tracking of the camera</h2><svg viewBox='0 0 1000 18'>{''.join(bars)}</svg>"
        f"<p>{key}</p>"
    )


def _objects(objects: Sequence[Mapping[str, Any]]) -> str:
    if not objects:
        return ""
    shown = sorted(objects, key=lambda o: -int(o["frames"]))[:40]
    shown.sort(key=lambda o: float(o["first_time"]))
    first = min(float(o["first_time"]) for o in objects)
    span = max(max(float(o["last_time"]) for o in objects) - first, 1e-9)
    rows = []
    for i, o in enumerate(shown):
        x = 150 + (float(o["first_time"]) - first) / span * 840
        width = max((float(o["last_time"]) - float(o["first_time"])) / span * 840, 2)
        y = 16 * i
        label = html.escape(f"{o['class']} {o['id']}")
        rows.append(
            f"<text x='0' y='{y + 12}' font-size='12'>{label}</text>"
            f"<rect x='{x:.1f}' y='{y + 3}' width='{width:.1f}' height='10' fill='#4a7fc1'/>"
        )
    more = f", the {len(shown)} longest shown" if len(objects) > len(shown) else ""
    return (
        f"<h2>Objects over time</h2><p>{len(objects)} objects{more}</p>"
        f"<svg viewBox='0 0 1000 {16 * len(shown)}'>{''.join(rows)}</svg>"
    )


def _timing(milliseconds: Mapping[str, float]) -> str:
    if not milliseconds:
        return ""
    most = max(max(milliseconds.values()), 1e-9)
    rows = "".join(
        f"<tr><td>{html.escape(stage)}</td><td class=n>{ms:.2f} ms</td>"
        f"<td><div style='background:#4a7fc1;height:10px;width:{300 * ms / most:.0f}px'></div></td>"
        for stage, ms in milliseconds.items()
    )
    return (
        "<h2>Where the time went</h2><p class=facts>Milliseconds a frame; stages overlap in time"
        f"</p><table>{rows}</table>"
    )


def _settings(summary: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(str(k))}</td><td>{html.escape(str(v))}</td>"
        for section in ("settings", "versions")
        for k, v in summary.get(section, {}).items()
    )
    return f"<h2>Settings</h2><table>{rows}</table>" if rows else ""
