"""The picture of accuracy against latency: every network is where it belongs, and readable."""

from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ET
from itertools import combinations

import numpy as np
import PIL.Image
import pytest

from litescene.media.drawing import Drawing, Words, text_width
from litescene.media.front_picture import FRONT, OTHERS, ChartPoint, draw_front
from litescene.metrics.front import pareto_front

SVG = "{http://www.w3.org/2000/svg}"


def cloud(count: int, seed: int = 0) -> list[ChartPoint]:
    rng = np.random.default_rng(seed)
    times = np.exp(rng.uniform(math.log(5), math.log(500), count))
    gains = np.clip(0.5 + 0.05 * np.log(times) + rng.normal(0, 0.05, count), 0.2, 0.9)
    return [ChartPoint(f"net_{i}", float(times[i]), float(gains[i])) for i in range(count)]


def front_of(points: list[ChartPoint]) -> list[str]:
    return pareto_front({p.name: (p.milliseconds, p.accuracy) for p in points})


def circles(sheet: Drawing) -> dict[str, tuple[float, float, str]]:
    found = {}
    for circle in ET.fromstring(sheet.svg()).iter(f"{SVG}circle"):
        said = circle.findtext(f"{SVG}title") or ""
        place = float(circle.attrib["cx"]), float(circle.attrib["cy"])
        found[said.partition(":")[0]] = (*place, circle.attrib["fill"])
    return found


def test_every_network_is_a_dot_on_a_logarithmic_and_a_linear_axis() -> None:
    points = cloud(30)
    front = front_of(points)
    dots = circles(draw_front(points, front, "title", "conditions"))
    assert set(dots) == {p.name for p in points}
    logs = np.log([p.milliseconds for p in points])
    gains = np.array([p.accuracy for p in points])
    columns, rows = (np.array([dots[p.name][axis] for p in points]) for axis in (0, 1))
    for pixels, values, rising in ((columns, logs, True), (rows, gains, False)):
        slope, offset = np.polyfit(values, pixels, 1)
        assert (slope > 0) == rising
        assert np.abs(slope * values + offset - pixels).max() < 0.2
    assert len({dots[name][2] for name in front}) == 1
    assert {dots[p.name][2] for p in points if p.name not in front}.isdisjoint(
        {dots[name][2] for name in front}
    )


def test_the_png_shows_the_dots_where_the_svg_has_them() -> None:
    points = cloud(12, seed=3)
    front = front_of(points)
    sheet = draw_front(points, front, "title", "conditions")
    image = np.array(PIL.Image.open(io.BytesIO(sheet.png(scale=2))))
    assert image.shape == (2 * sheet.height, 2 * sheet.width, 3)
    dots = circles(sheet)
    for name in front:
        x, y, _ = dots[name]
        assert np.abs(image[round(2 * y), round(2 * x)].astype(int) - FRONT).max() < 30
    assert (np.abs(image.astype(int) - OTHERS).max(2) == 0).any() == (len(front) < len(points))


@pytest.mark.parametrize("count", [1, 2, 65])
def test_labels_do_not_lie_on_each_other(count: int) -> None:
    points = cloud(count, seed=count)
    front = front_of(points)
    sheet = draw_front(points, front, "title", "conditions")
    labels = [i for i in sheet.items if isinstance(i, Words) and i.text.startswith("net_")]
    assert {*front} <= {label.text for label in labels}
    assert len(labels) > 0.9 * count
    for one, other in combinations(map(box, labels), 2):
        apart = one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
        assert apart


def box(words: Words) -> tuple[float, float, float, float]:
    width = text_width(words.text, words.size)
    left = words.x - {"start": 0.0, "middle": width / 2, "end": width}[words.anchor]
    return left, words.y - 0.75 * words.size, left + width, words.y + 0.2 * words.size


def test_words_are_escaped() -> None:
    sheet = Drawing(100, 50, items=[Words(5, 20, "a < b & c", 12, (0, 0, 0))])
    (text,) = ET.fromstring(sheet.svg()).iter(f"{SVG}text")
    assert text.text == "a < b & c"
