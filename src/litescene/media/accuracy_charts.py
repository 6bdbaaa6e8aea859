"""Charts of accuracy: precision over recall, and a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.media.drawing import (
    GREY,
    GRID,
    INK,
    Color,
    Drawing,
    Line,
    Patch,
    Words,
    text_width,
)

FULL = (24, 82, 150)
"""Ground of a cell that holds all of its row."""

SIDE, LEFT, TOP, BOTTOM = 480, 64, 72, 56
MOST_NAMES = 24
"""So many classes are named beside a chart; of more, the first ones."""
MOST_NUMBERED = 24
"""Up to so many classes the cells of a matrix have their numbers written in."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision over rising recall of one class, both n and 0 to 1, and their average."""

    name: str
    color: Color
    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    average: float | None


def draw_curves(curves: Sequence[Curve], title: str, conditions: str) -> Drawing:
    """Precision over recall of every class, and their averages beside it, best first."""
    ranked = sorted(curves, key=lambda c: (c.average is None, -(c.average or 0.0)))
    named = [
        f"{c.name} {'-' if c.average is None else f'{c.average:.3f}'}" for c in ranked[:MOST_NAMES]
    ]
    if len(ranked) > MOST_NAMES:
        named.append(f"and {len(ranked) - MOST_NAMES} more")
    beside = 40 + round(max((text_width(text, 13) for text in named), default=0))
    sheet = Drawing(LEFT + SIDE + beside + 16, TOP + SIDE + BOTTOM)
    sheet.items += _headline(title, conditions)
    for step in range(11):
        at = step / 10
        sheet.items += [
            Line([_place(at, 0.0), _place(at, 1.0)], GRID),
            Line([_place(0.0, at), _place(1.0, at)], GRID),
        ]
        if step % 2 == 0:
            x, _ = _place(at, 0.0)
            _, y = _place(0.0, at)
            sheet.items += [
                Words(x, TOP + SIDE + 18, f"{at:.1f}", 12, GREY, "middle"),
                Words(LEFT - 8, y + 4, f"{at:.1f}", 12, GREY, "end"),
            ]
    sheet.items += [
        Words(LEFT + SIDE, TOP + SIDE + 38, "recall", 13, INK, "end"),
        Words(LEFT - 48, TOP - 8, "precision", 13, INK),
    ]
    for curve in reversed(ranked):
        points = [_place(r, p) for r, p in zip(curve.recall, curve.precision, strict=True)]
        if points:
            sheet.items.append(Line(_falling(points), curve.color, 1.75))
    for row, text in enumerate(named):
        y = TOP + 12 + 19 * row
        if row < len(ranked[:MOST_NAMES]):
            color = ranked[row].color
            sheet.items.append(
                Line([(LEFT + SIDE + 14, y - 4), (LEFT + SIDE + 32, y - 4)], color, 4)
            )
        sheet.items.append(Words(LEFT + SIDE + 38, y, text, 13, INK))
    return sheet


def draw_confusion(
    counts: NDArray[np.int64],
    names: Sequence[str],
    title: str,
    conditions: str,
    *,
    percent: bool = False,
    beside: Sequence[str] = (),
) -> Drawing:
    """A matrix of true (rows) and found (columns), n×m, shaded by the share of the row.

    The first names are those of the rows, in order; columns have their numbers. Where there is a
    row or column more than names, it is called `nothing`. Cells say their count, or with `percent`
    their share of the row; `beside` are words on the right of each row.
    """
    rows, columns = counts.shape
    called = [*names, "nothing"][:rows]
    labels = [f"{name} {i + 1}" for i, name in enumerate(called)]
    cell = max(8, min(40, 720 // columns))
    left = 24 + round(max(text_width(label, 13) for label in labels))
    right = left + cell * columns
    wide = right + 24 + round(max((text_width(text, 13) for text in beside), default=0))
    headline = round(max(text_width(title, 18), text_width(conditions, 12)))
    sheet = Drawing(max(wide, headline + 48), TOP + 24 + cell * rows + 24)
    sheet.items += _headline(title, conditions, 24)
    top = TOP + 24
    for column in range(columns):
        if columns <= MOST_NUMBERED or (column + 1) % 10 == 0:
            x = left + cell * (column + 0.5)
            sheet.items.append(Words(x, top - 6, f"{column + 1}", 12, GREY, "middle"))
    for row, label in enumerate(labels):
        y = top + cell * (row + 0.5)
        if cell >= 12 or row % 2 == 0:
            size = 13 if cell >= 16 else 9
            sheet.items.append(Words(left - 8, y + 0.35 * size, label, size, INK, "end"))
            if row < len(beside):
                sheet.items.append(Words(right + 6, y + 0.35 * size, beside[row], size, INK))
        total = int(counts[row].sum())
        for column in range(columns):
            count = int(counts[row, column])
            share = count / total if total else 0.0
            x = left + cell * column
            found = [*names, "nothing"][column] if column <= len(names) else "nothing"
            said = f"{called[row]} found as {found}: {count} ({share:.1%})"
            sheet.items.append(Patch(x, top + cell * row, cell - 1, cell - 1, _shade(share), said))
            written = (f"{100 * share:.0f}" if share >= 0.005 else "") if percent else f"{count}"
            if count and written and columns <= MOST_NUMBERED:
                ink = INK if share < 0.5 else (255, 255, 255)
                size = min(12, round(cell * 0.9 / max(len(written) * 0.6, 1)))
                ground = _shade(share)
                sheet.items.append(
                    Words(x + (cell - 1) / 2, y + 0.35 * size, written, size, ink, "middle", ground)
                )
    return sheet


def _headline(title: str, conditions: str, left: int = LEFT - 48) -> list[Words]:
    return [Words(left, 28, title, 18, INK), Words(left, 48, conditions, 12, GREY)]


def _place(recall: float, precision: float) -> tuple[float, float]:
    return LEFT + recall * SIDE, TOP + (1.0 - precision) * SIDE


def _falling(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The curve from recall 0, without the steps that no pixel shows."""
    kept = [(float(LEFT), points[0][1])]
    for x, y in points:
        if abs(x - kept[-1][0]) + abs(y - kept[-1][1]) >= 0.5:
            kept.append((x, y))
    return kept


def _shade(share: float) -> Color:
    mixed = [round(255 + (full - 255) * share) for full in FULL]
    return mixed[0], mixed[1], mixed[2]
