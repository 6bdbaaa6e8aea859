"""A drawing of lines, dots, patches and words, written as SVG or PNG with the same layout.

Coordinates are pixels of the SVG, x to the right, y down; the PNG is `scale` times as fine. Words
are laid out by the metrics of the PNG's font, and the SVG is told their width, so that a word
takes the same room in both, whatever fonts the reader has.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

import PIL.Image
import PIL.ImageDraw

from litescene.media.lettering import font_for

Color = tuple[int, int, int]
Anchor = Literal["start", "middle", "end"]
INK: Color = (30, 34, 40)
GREY: Color = (120, 126, 134)
GRID: Color = (232, 235, 239)
"""Of charts: titles, what is said beside, and lines to read values by."""

RIM = 2
_PIL_ANCHOR = {"start": "ls", "middle": "ms", "end": "rs"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points (x, y)."""

    points: Sequence[tuple[float, float]]
    color: Color
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle; `name` is what the SVG shows under the pointer."""

    x: float
    y: float
    radius: float
    color: Color
    name: str = ""


@dataclass(frozen=True, slots=True)
class Patch:
    """A filled rectangle; (x, y) is its upper left corner, `name` as of a `Dot`."""

    x: float
    y: float
    width: float
    height: float
    color: Color
    name: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text; (x, y) is the start, middle or end of its baseline.

    A thin rim parts it from the lines below, in the colour of its `ground`, by default the sheet's.
    """

    x: float
    y: float
    text: str
    size: int
    color: Color
    anchor: Anchor = "start"
    ground: Color | None = None

    @property
    def width(self) -> float:
        """Room that the text takes, in pixels."""
        return text_width(self.text, self.size)


def text_width(text: str, size: int) -> float:
    """Width of a line of text at a font size in pixels."""
    # Measured large: hinting rounds the widths of small letters.
    return float(font_for(text, size * 8).getlength(text)) / 8


Item = Line | Dot | Patch | Words


@dataclass(slots=True)
class Drawing:
    """A sheet of `width`×`height` pixels; later items lie over earlier ones."""

    width: int
    height: int
    background: Color = (255, 255, 255)
    items: list[Item] = field(default_factory=list)

    def svg(self) -> str:
        """The sheet as an SVG document."""
        size = f'width="{self.width}" height="{self.height}"'
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {self.width} '
            f'{self.height}" font-family="Helvetica, Arial, sans-serif">',
            f'<rect {size} fill="{_hex(self.background)}"/>',
            *(_svg(item, self.background) for item in self.items),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"

    def png(self, scale: int = 2) -> bytes:
        """The sheet as a PNG file, `scale` pixels for each of the SVG's."""
        finer = 2 * scale
        sheet = PIL.Image.new("RGB", (self.width * finer, self.height * finer), self.background)
        pen = PIL.ImageDraw.Draw(sheet)
        for item in self.items:
            _paint(pen, item, finer, self.background)
        small = sheet.resize((self.width * scale, self.height * scale), PIL.Image.Resampling.BOX)
        file = io.BytesIO()
        small.save(file, "png", optimize=True)
        return file.getvalue()


def _svg(item: Item, background: Color) -> str:
    if isinstance(item, Line):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in item.points)
        stroke = f'stroke="{_hex(item.color)}" stroke-width="{item.width:g}"'
        return f'<polyline points="{points}" fill="none" {stroke} stroke-linejoin="round"/>'
    if isinstance(item, (Dot, Patch)):
        name = f"<title>{escape(item.name)}</title>" if item.name else ""
        place, fill = f'x="{item.x:.1f}" y="{item.y:.1f}"', f'fill="{_hex(item.color)}"'
        if isinstance(item, Patch):
            sides = f'width="{item.width:g}" height="{item.height:g}"'
            return f"<rect {place} {sides} {fill}>{name}</rect>"
        place = f'cx="{item.x:.1f}" cy="{item.y:.1f}" r="{item.radius:g}"'
        return f"<circle {place} {fill}>{name}</circle>"
    place = f'x="{item.x:.1f}" y="{item.y:.1f}" font-size="{item.size}"'
    room = f'textLength="{item.width:.1f}" lengthAdjust="spacingAndGlyphs"'
    style = f'fill="{_hex(item.color)}" text-anchor="{item.anchor}"'
    ground = _hex(background if item.ground is None else item.ground)
    rim = f'stroke="{ground}" stroke-width="{2 * RIM}" paint-order="stroke"'
    return f"<text {place} {room} {style} {rim}>{escape(item.text)}</text>"


def _paint(pen: PIL.ImageDraw.ImageDraw, item: Item, scale: int, background: Color) -> None:
    if isinstance(item, Line):
        points = [(x * scale, y * scale) for x, y in item.points]
        pen.line(points, item.color, max(round(item.width * scale), 1), joint="curve")
    elif isinstance(item, Dot):
        pen.circle((item.x * scale, item.y * scale), item.radius * scale, item.color)
    elif isinstance(item, Patch):
        right, bottom = (item.x + item.width) * scale - 1, (item.y + item.height) * scale - 1
        pen.rectangle((item.x * scale, item.y * scale, right, bottom), item.color)
    else:
        place, font = (item.x * scale, item.y * scale), font_for(item.text, item.size * scale)
        anchor = _PIL_ANCHOR[item.anchor]
        rim = RIM * scale
        pen.text(
            place,
            item.text,
            item.color,
            font,
            anchor=anchor,
            stroke_width=rim,
            stroke_fill=background if item.ground is None else item.ground,
        )


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
