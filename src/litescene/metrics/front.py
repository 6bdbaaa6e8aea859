"""Which of many trade-offs are worth having."""

from __future__ import annotations

from collections.abc import Mapping


def pareto_front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Names of the points (cost, gain) that no other point beats, by ascending cost.

    A point beats another that costs at least as much and gains at most as much, unless they are
    equal: equal points are all on the front, or none is.

    >>> pareto_front({"a": (10, 0.6), "b": (20, 0.7), "c": (25, 0.65), "d": (20, 0.5)})
    ['a', 'b']
    """
    ranked = sorted(points, key=lambda name: (points[name][0], -points[name][1], name))
    front: list[str] = []
    for name in ranked:
        cost, gain = points[name]
        if not front or gain > points[front[-1]][1] or points[front[-1]] == (cost, gain):
            front.append(name)
    return front
