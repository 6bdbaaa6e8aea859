import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from litescene.scene.assignment import assign


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 7), (9, 4), (40, 40), (25, 60)])
def test_total_cost_equals_scipys(shape):
    rng = np.random.default_rng(shape[0] * 100 + shape[1])
    for _ in range(30):
        cost = rng.normal(size=shape) * rng.choice([1e-3, 1.0, 1e4])
        rows, columns = assign(cost)
        theirs = linear_sum_assignment(cost)
        assert len(rows) == min(shape) == len(set(columns.tolist()))
        np.testing.assert_allclose(cost[rows, columns].sum(), cost[theirs].sum(), rtol=1e-12)


def test_ties_are_resolved_to_the_least_total():
    rng = np.random.default_rng(0)
    for _ in range(100):
        cost = rng.integers(0, 3, (8, 11)).astype(float)
        assert cost[assign(cost)].sum() == cost[linear_sum_assignment(cost)].sum()


def test_forbidden_pairs_are_never_made_and_as_many_others_as_possible_are():
    rng = np.random.default_rng(1)
    for _ in range(100):
        cost = rng.random((7, 9))
        cost[rng.random(cost.shape) < 0.7] = np.inf
        rows, columns = assign(cost)
        assert np.isfinite(cost[rows, columns]).all()
        best = np.where(np.isfinite(cost), cost, 1e3)
        theirs = linear_sum_assignment(best)
        assert len(rows) == np.isfinite(cost[theirs]).sum()
        np.testing.assert_allclose(
            cost[rows, columns].sum(), cost[theirs][np.isfinite(cost[theirs])].sum()
        )
        assert np.all(np.diff(rows) > 0)


def test_nothing_to_pair_gives_no_pairs():
    for cost in (np.zeros((0, 3)), np.zeros((3, 0)), np.full((2, 2), np.inf)):
        rows, columns = assign(cost)
        assert len(rows) == len(columns) == 0


def test_costs_that_are_not_numbers_are_refused():
    with pytest.raises(ValueError, match="numbers or positive infinity"):
        assign(np.array([[np.nan, 1.0]]))
    with pytest.raises(ValueError, match="matrix"):
        assign(np.zeros(3))
