"""What an evaluation shows besides its figures, and which of its pictures are worth seeing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from litescene.core import Image
from litescene.media.contact_sheet import spread

Tiles = list[Image]
"""What is shown of one picture, side by side."""


class EvaluationReport(Protocol):
    """Pictures of how a network did on labelled data, once it has seen them all."""

    def files(self, title: str) -> dict[str, bytes]:
        """PNG files by name."""
        ...


class Examples:
    """Chooses what is shown of an evaluation's pictures, and draws no others.

    Args:
        most: how many of a kind.
        count: pictures that may be shown, the first ones that come; without it any, but none are
            chosen evenly.

    """

    def __init__(self, most: int, count: int | None = None) -> None:
        self._most, self._count = most, count
        self._wanted = set(spread(count or 0, most))
        self._seen = 0
        self._ranked: list[tuple[float, int, Tiles]] = []
        self.evenly: list[Tiles] = []
        """Of pictures from the first to the last."""

    @property
    def worst(self) -> list[Tiles]:
        """Of the pictures that are worst, the worst first."""
        return [tiles for _, _, tiles in self._ranked]

    def add(self, badness: float, draw: Callable[[], Tiles]) -> None:
        """Take the next picture, how bad its result is, and what draws it."""
        index, self._seen = self._seen, self._seen + 1
        if self._count is not None and index >= self._count:
            return
        among_worst = len(self._ranked) < self._most or badness > -self._ranked[-1][0]
        if not among_worst and index not in self._wanted:
            return
        tiles = draw()
        if index in self._wanted:
            self.evenly.append(tiles)
        if among_worst:
            self._ranked.append((-badness, index, tiles))
            self._ranked.sort(key=lambda kept: kept[:2])
            del self._ranked[self._most :]
