"""Surfaces: which material a triangle is made of, its class and its colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from litescene.core import CAMVID

PLAIN, ROAD, CROSSWALK, PAVING, FACADE, ROOF, LEAVES, BARK = range(8)
PAINT, GLASS, DECAL, LAMP, PLANKS, KERB = range(8, 14)

COLUMNS = 20
"""material, label, colour (3), second colour (3), parameters (12)."""

Color = Sequence[float]


class Surfaces:
    """The growing table of surfaces; a row is what a triangle's `surface` number means."""

    def __init__(self) -> None:
        self._rows: list[list[float]] = []
        self._known: dict[tuple[float, ...], int] = {}

    def add(
        self,
        material: int,
        label: str,
        color: Color,
        second: Color = (0.0, 0.0, 0.0),
        parameters: Sequence[float] = (),
    ) -> int:
        """Number of the surface with these properties; colours are linear RGB in 0..1."""
        row = [float(material), float(CAMVID.names.index(label)), *color, *second, *parameters]
        row += [0.0] * (COLUMNS - len(row))
        key = tuple(row)
        if key not in self._known:
            self._known[key] = len(self._rows)
            self._rows.append(row)
        return self._known[key]

    @property
    def table(self) -> NDArray[np.float32]:
        """All rows, n×20 float32."""
        return np.asarray(self._rows, np.float32)
