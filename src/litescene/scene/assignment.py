"""Exact linear assignment: pairs rows with columns at the least total cost.

Shortest augmenting paths with potentials (Jonker and Volgenant, Computing 1987; in the row by
row form of Crouse, "On implementing 2D rectangular assignment algorithms", IEEE TAES 2016).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit


@njit(cache=True, nogil=True, error_model="numpy")
def _augment(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Column of every row; rows ≤ columns, all costs finite."""
    rows, columns = cost.shape
    u, v = np.zeros(rows), np.zeros(columns)
    column_of = np.full(rows, -1, np.int64)
    row_of = np.full(columns, -1, np.int64)
    shortest, path = np.empty(columns), np.empty(columns, np.int64)
    row_seen, column_seen = np.empty(rows, np.bool_), np.empty(columns, np.bool_)
    for start in range(rows):
        shortest[:] = np.inf
        row_seen[:] = False
        column_seen[:] = False
        row, sink, lowest = start, -1, 0.0
        while sink < 0:
            row_seen[row] = True
            best, nearest = np.inf, -1
            for c in range(columns):
                if column_seen[c]:
                    continue
                through = lowest + cost[row, c] - u[row] - v[c]
                if through < shortest[c]:
                    shortest[c], path[c] = through, row
                if shortest[c] < best or (shortest[c] == best and row_of[c] < 0):
                    best, nearest = shortest[c], c
            lowest = best
            column_seen[nearest] = True
            if row_of[nearest] < 0:
                sink = nearest
            else:
                row = row_of[nearest]
        u[start] += lowest
        for r in range(rows):
            if row_seen[r] and r != start:
                u[r] += lowest - shortest[column_of[r]]
        for c in range(columns):
            if column_seen[c]:
                v[c] -= lowest - shortest[c]
        column = sink
        while True:
            row = path[column]
            row_of[column] = row
            column, column_of[row] = column_of[row], column
            if row == start:
                break
    return column_of


def assign(cost: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the best pairs for `cost` (n×m); an infinite cost forbids a pair.

    As many pairs as the forbidden ones allow, and among those the least sum. Rows ascend.
    """
    if cost.ndim != 2:
        raise ValueError(f"costs must be a matrix, not {cost.ndim}-dimensional")
    if np.any(np.isnan(cost)) or np.any(np.isneginf(cost)):
        raise ValueError("costs must be numbers or positive infinity")
    allowed = np.isfinite(cost)
    if not allowed.any():
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # One forbidden pair must cost more than all allowed ones can save.
    finite = cost[allowed]
    penalty = (float(finite.max() - finite.min()) + 1.0) * (min(cost.shape) + 1)
    filled = np.where(allowed, cost - finite.min(), penalty).astype(np.float64)
    if cost.shape[0] <= cost.shape[1]:
        rows, columns = np.arange(cost.shape[0]), _augment(filled)
    else:
        columns, rows = np.arange(cost.shape[1]), _augment(np.ascontiguousarray(filled.T))
        order = np.argsort(rows)
        rows, columns = rows[order], columns[order]
    real = allowed[rows, columns]
    return rows[real].astype(np.int64), columns[real].astype(np.int64)
