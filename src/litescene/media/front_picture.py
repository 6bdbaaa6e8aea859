"""Accuracy against latency as a picture, with the networks that no other one beats."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from litescene.media.drawing import GREY, GRID, INK, Anchor, Dot, Drawing, Line, Words

WIDTH, HEIGHT = 1080, 720
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 84, 56

OTHERS = (160, 170, 182)
FRONT = (200, 60, 40)
VIDEO = (150, 195, 160)
"""Colour of the lines at the frame rates of videos."""

RATES = (60, 30, 15)
_DISTANCES = (9, 18, 30, 44, 60)
_DIRECTIONS = 16
_LEADER = 14
"""Labels further from their dot than this are tied to it by a line."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ChartPoint:
    """A network: milliseconds a frame and accuracy (0 to 1)."""

    name: str
    milliseconds: float
    accuracy: float


def draw_front(
    points: Sequence[ChartPoint], front: Collection[str], title: str, conditions: str
) -> Drawing:
    """A chart of at least one point; those named by `front` are joined, large and labelled first.

    Latency runs on a logarithmic axis. Labels never lie on each other, a dot or the front; one that
    finds no room within `_DISTANCES` is left to the SVG's pointer.
    """
    axes = Axes.around(points)
    sheet = Drawing(WIDTH, HEIGHT)
    sheet.items += [
        Words(LEFT, 30, title, 20, INK),
        Words(LEFT, 50, conditions, 13, GREY),
        *_grid(axes),
    ]
    best = sorted((p for p in points if p.name in front), key=lambda p: p.milliseconds)
    stairs = _stairs([axes.place(p) for p in best])
    sheet.items.append(Line(stairs, FRONT, 2))
    ranked = best + sorted((p for p in points if p.name not in front), key=lambda p: -p.accuracy)
    dots = [_dot(p, axes, p.name in front) for p in ranked]
    sheet.items += reversed(dots)
    sheet.items += _labels(dots, len(best), stairs)
    return sheet


@dataclass(frozen=True, slots=True)
class Axes:
    """Range of the chart: milliseconds (logarithmic) and accuracy (linear)."""

    fastest: float
    slowest: float
    lowest: float
    highest: float

    @classmethod
    def around(cls, points: Sequence[ChartPoint]) -> Axes:
        """Room for all points and their labels."""
        times, gains = [p.milliseconds for p in points], [p.accuracy for p in points]
        spare = max(0.06 * (max(gains) - min(gains)), 0.01)
        return cls(min(times) / 1.6, max(times) * 1.5, min(gains) - spare, max(gains) + spare)

    def x(self, milliseconds: float) -> float:
        """Pixel column of a latency."""
        share = math.log(milliseconds / self.fastest) / math.log(self.slowest / self.fastest)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, accuracy: float) -> float:
        """Pixel row of an accuracy."""
        share = (accuracy - self.lowest) / (self.highest - self.lowest)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def place(self, point: ChartPoint) -> tuple[float, float]:
        """Pixel of a network."""
        return self.x(point.milliseconds), self.y(point.accuracy)


def _grid(axes: Axes) -> Iterator[Line | Words]:
    floor, ceiling = HEIGHT - BOTTOM, TOP
    for milliseconds in _steps_of_time(axes.fastest, axes.slowest):
        x = axes.x(milliseconds)
        yield Line([(x, ceiling), (x, floor)], GRID)
        yield Words(x, floor + 18, f"{milliseconds:g}", 12, GREY, "middle")
    for accuracy in _steps(axes.lowest, axes.highest):
        y = axes.y(accuracy)
        yield Line([(LEFT, y), (WIDTH - RIGHT, y)], GRID)
        yield Words(LEFT - 8, y + 4, f"{accuracy:.2f}", 12, GREY, "end")
    for rate in RATES:
        if axes.fastest < 1000 / rate < axes.slowest:
            x = axes.x(1000 / rate)
            yield Line([(x, ceiling), (x, floor)], VIDEO, 1.5)
            yield Words(x, ceiling - 6, f"{rate} fps", 11, GREY, "middle")
    yield Words(WIDTH - RIGHT, HEIGHT - 12, "milliseconds a frame (median)", 13, INK, "end")
    yield Words(LEFT - 48, ceiling - 6, "mean IoU", 13, INK)


def _steps_of_time(low: float, high: float) -> Iterator[float]:
    """1, 2 and 5 times the powers of ten between two times."""
    for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        yield from (s for s in (10.0**power, 2 * 10.0**power, 5 * 10.0**power) if low < s < high)


def _steps(low: float, high: float) -> list[float]:
    """Round accuracies between two, at most about ten."""
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if (high - low) / s <= 10 or s == 0.2)
    return [i * step for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _stairs(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The front: the best accuracy within each latency, to the chart's right edge."""
    corners = [places[0]]
    for x, y in places[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return [*corners, (WIDTH - RIGHT, corners[-1][1])]


def _dot(point: ChartPoint, axes: Axes, on_front: bool) -> Dot:
    said = f"{point.name}: {point.milliseconds:.1f} ms, mean IoU {point.accuracy:.3f}"
    return Dot(*axes.place(point), 6 if on_front else 4, FRONT if on_front else OTHERS, said)


def _labels(
    dots: Sequence[Dot], first: int, stairs: Sequence[tuple[float, float]]
) -> Iterator[Line | Words]:
    """A label for each dot that has room for one; the `first` dots are those of the front."""
    taken = [_around(dot) for dot in dots]
    taken += [_box_of(*ends) for ends in pairwise(stairs)]
    for index, dot in enumerate(dots):
        name = dot.name.partition(":")[0]
        size, color = (14, INK) if index < first else (11, GREY)
        for words, box in _candidates(dot, name, size, color):
            if _inside(box) and not any(_meet(box, other) for other in taken):
                taken.append(box)
                x, y = _nearest(box, dot)
                if math.hypot(x - dot.x, y - dot.y) > _LEADER:
                    yield Line([(dot.x, dot.y), (x, y)], OTHERS, 0.75)
                yield words
                break


def _candidates(
    dot: Dot, name: str, size: int, color: tuple[int, int, int]
) -> Iterator[tuple[Words, Box]]:
    """Places for a label, near ones first, above and to the left before all others."""
    for distance in _DISTANCES:
        for turn in range(_DIRECTIONS):
            angle = math.pi * (0.75 - 2 * turn / _DIRECTIONS)
            x = dot.x + distance * math.cos(angle)
            y = dot.y - distance * math.sin(angle) + 0.35 * size
            across = math.cos(angle)
            anchor: Anchor = "middle"
            if abs(across) > 0.3:
                anchor = "start" if across > 0 else "end"
            words = Words(x, y, name, size, color, anchor)
            left = x - words.width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
            yield words, (left - 2, y - 0.8 * size, left + words.width + 2, y + 0.3 * size)


def _around(dot: Dot) -> Box:
    reach = dot.radius + 1
    return dot.x - reach, dot.y - reach, dot.x + reach, dot.y + reach


def _box_of(one: tuple[float, float], other: tuple[float, float]) -> Box:
    """The box around an upright or level line."""
    (left, right), (top, bottom) = (sorted(axis) for axis in zip(one, other, strict=True))
    return left - 1, top - 1, right + 1, bottom + 1


def _inside(box: Box) -> bool:
    left, top, right, bottom = box
    return left > LEFT and right < WIDTH - RIGHT and top > TOP and bottom < HEIGHT - BOTTOM


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _nearest(box: Box, dot: Dot) -> tuple[float, float]:
    """The point of a box that is nearest to a dot."""
    return min(max(dot.x, box[0]), box[2]), min(max(dot.y, box[1]), box[3])
