"""Text files that list classes: a class a line, or the label map that CVAT exports."""

from __future__ import annotations

from dataclasses import dataclass

from litescene.core import Taxonomy, distinct_colors

Color = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ClassList:
    """Names in the order of the file, and their colours (RGB, 0 to 255), none or one for each."""

    names: tuple[str, ...]
    colors: tuple[Color, ...] = ()

    def taxonomy(self, name: str) -> Taxonomy:
        """The classes as a taxonomy called `name`, in colours of ours where the file has none.

        Raises `ValueError` where there is no class, or a name is there twice.
        """
        return Taxonomy(name, self.names, self.colors or distinct_colors(len(self.names)))


def parse_classes(text: str) -> ClassList:
    """A line is `name` or `name r g b`; either all lines have colours or none. Empty ones are none.

    Raises `ValueError` for a colour above 255, and where some lines have colours only.

    >>> parse_classes("traffic light 250 170 30").names
    ('traffic light',)
    """
    rows = [words for line in text.splitlines() if (words := line.split())]
    colored = [len(row) >= 4 and all(map(str.isdecimal, row[-3:])) for row in rows]
    if any(colored) and not all(colored):
        with_color, without = (" ".join(rows[colored.index(has)]) for has in (True, False))
        raise ValueError(f"'{with_color}' has a colour, '{without}' has none; give all or none one")
    if not any(colored):
        return ClassList(tuple(" ".join(row) for row in rows))
    return ClassList(
        tuple(" ".join(row[:-3]) for row in rows), tuple(_color(row[-3:]) for row in rows)
    )


def parse_label_map(text: str) -> ClassList:
    """A line is `name:r,g,b:parts:actions`; the last two are not read, and `#` begins a remark.

    Raises `ValueError` for a line that is not like that.

    >>> parse_label_map("# label:color_rgb:parts:actions\\nroad:128,64,128::").colors
    ((128, 64, 128),)
    """
    names, colors = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, *rest = (part.strip() for part in line.split(":"))
        parts = [part.strip() for part in rest[0].split(",")] if rest else []
        if not name or len(parts) != 3 or not all(map(str.isdecimal, parts)):
            raise ValueError(f"line {number} is '{line.strip()}'; expected name:r,g,b::")
        names.append(name)
        colors.append(_color(parts))
    return ClassList(tuple(names), tuple(colors))


def _color(parts: list[str]) -> Color:
    red, green, blue = (int(part) for part in parts)
    if max(red, green, blue) > 255:
        raise ValueError(f"the colour {red} {green} {blue}: colours go from 0 to 255")
    return red, green, blue
