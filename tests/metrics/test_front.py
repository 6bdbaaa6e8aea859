from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from litescene.metrics.front import pareto_front

few = st.integers(0, 6)
clouds = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.tuples(few, few), max_size=12)


def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] <= other[0] and one[1] >= other[1] and one != other


@given(clouds)
def test_the_front_holds_exactly_the_points_that_none_beats(
    points: dict[str, tuple[int, int]],
) -> None:
    front = pareto_front(points)
    unbeaten = {n for n, p in points.items() if not any(beats(q, p) for q in points.values())}
    assert set(front) == unbeaten
    assert len(front) == len(unbeaten)
    costs = [points[name][0] for name in front]
    assert costs == sorted(costs)
