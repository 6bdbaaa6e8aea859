"""The plan of the town: four streets around a block, their pavements and crosswalks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.synth.mesh import F64, Mesh, fan, joined, quad, shape
from litescene.synth.surfaces import CROSSWALK, KERB, PAVING, ROAD, Surfaces

HALF_ROAD = 5.3
PAVEMENT = 3.0
KERB_HEIGHT = 0.12
CORNER = 4.0
LANE = 1.7
PARKED = HALF_ROAD - 1.0
REACH = 78.0
"""How far the streets go on beyond the outer crossings, metres."""
CLEAR = HALF_ROAD + 6.0
"""No markings, parked cars or furniture closer than this to the middle of a crossing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Streets lie on x = ±`half_x` and y = ±`half_y`; `hand` 1: traffic keeps right, -1: left."""

    half_x: float
    half_y: float
    hand: int

    def blocks(self) -> list[tuple[float, float, float, float]]:
        """Bounds (x0, y0, x1, y1) of the nine blocks up to the kerbs; the middle one is 4."""
        out = []
        for y0, y1 in _intervals(self.half_y):
            for x0, x1 in _intervals(self.half_x):
                out.append((x0, y0, x1, y1))
        return out


@dataclass(frozen=True, slots=True)
class Edge:
    """A stretch of kerb along a block: from `start` along `along` (unit) for `length` metres;
    `inward` (unit) points to the houses. `travel` is the direction of the nearest traffic.
    """

    start: NDArray[np.float64]
    along: NDArray[np.float64]
    inward: NDArray[np.float64]
    length: float
    travel: NDArray[np.float64]
    block: int

    def at(self, s: float, inside: float, z: float = 0.0) -> NDArray[np.float64]:
        """World point `s` metres along and `inside` metres from the kerb towards the houses."""
        p = self.start + self.along * s + self.inward * inside
        return np.array([p[0], p[1], z])


def _intervals(half: float) -> list[tuple[float, float]]:
    inner, outer = half - HALF_ROAD, half + HALF_ROAD
    return [(-outer - REACH, -outer), (-inner, inner), (outer, outer + REACH)]


def edges(plan: Plan) -> list[Edge]:
    """Every kerb line that has a street in front of it."""
    out = []
    for index, (x0, y0, x1, y1) in enumerate(plan.blocks()):
        column, row = index % 3, index // 3
        sides = [
            (row > 0, (x0, y0), (1, 0), x1 - x0),
            (column < 2, (x1, y0), (0, 1), y1 - y0),
            (row < 2, (x1, y1), (-1, 0), x1 - x0),
            (column > 0, (x0, y1), (0, -1), y1 - y0),
        ]
        for exists, start, along, length in sides:
            if exists:
                a = np.array(along, float)
                inward = np.array([-a[1], a[0]])
                travel = np.array([-inward[1], inward[0]]) * plan.hand
                out.append(Edge(np.array(start, float), a, inward, length, travel, index))
    return out


def rounded(bounds: tuple[float, float, float, float], radius: float, inset: float) -> F64:
    """Outline k×2 (anticlockwise) of a rectangle with round corners, moved inwards by `inset`."""
    x0, y0, x1, y1 = bounds
    angles = np.linspace(0, np.pi / 2, 9)
    r = radius - inset
    arcs = []
    for k, (cx, cy) in enumerate(
        [
            (x1 - radius, y1 - radius),
            (x0 + radius, y1 - radius),
            (x0 + radius, y0 + radius),
            (x1 - radius, y0 + radius),
        ]
    ):
        a = angles + k * np.pi / 2
        arcs.append(np.stack([cx + r * np.cos(a), cy + r * np.sin(a)], axis=1))
    return np.concatenate(arcs)


def _block_floor(s: Surfaces, bounds: tuple[float, float, float, float], paving: int) -> Mesh:
    stone = s.add(KERB, "pavement", (0.36, 0.35, 0.33))
    outer, inner = rounded(bounds, CORNER, 0.0), rounded(bounds, CORNER, 0.16)
    z = KERB_HEIGHT
    pieces = [shape(fan(np.column_stack([inner, np.full(len(inner), z)])), paving)]
    strip = []
    for k in range(len(outer)):
        j = (k + 1) % len(outer)
        a, b, c, d = outer[k], outer[j], inner[j], inner[k]
        strip.append(quad((*a, 0.0), (*b, 0.0), (*b, z), (*a, z)))
        strip.append(quad((*a, z), (*b, z), (*c, z), (*d, z)))
    pieces.append(shape(np.concatenate(strip), stone))
    return joined(pieces)


def floor(s: Surfaces, rng: np.random.Generator, plan: Plan) -> Mesh:
    """Road plane, pavements and kerbs."""
    tone = rng.uniform(0.06, 0.11)
    asphalt = (tone * 1.03, tone, tone * 0.97)
    road = s.add(
        ROAD, "road", asphalt, parameters=(plan.half_x, plan.half_y, HALF_ROAD, float(plan.hand))
    )
    far = 400.0
    pieces = [shape(quad((-far, -far, 0), (far, -far, 0), (far, far, 0), (-far, far, 0)), road)]
    for bounds in plan.blocks():
        gray = rng.uniform(0.20, 0.32)
        warm = rng.uniform(0.93, 1.02)
        size = float(rng.choice([0.45, 0.6, 0.9]))
        paving = s.add(
            PAVING, "pavement", (gray, gray * 0.985, gray * 0.95 * warm), parameters=(size,)
        )
        pieces.append(_block_floor(s, bounds, paving))
    return joined(pieces)


def crosswalks(s: Surfaces, rng: np.random.Generator, plan: Plan) -> list[Mesh]:
    """One zebra for each arm of each crossing, a few left out."""
    tone = 0.08
    zebra = s.add(CROSSWALK, "road", (tone * 1.03, tone, tone * 0.97))
    out = []
    for cx in (-plan.half_x, plan.half_x):
        for cy in (-plan.half_y, plan.half_y):
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                if rng.random() < 0.25:
                    continue
                near, far, w = HALF_ROAD + 1.6, HALF_ROAD + 4.4, HALF_ROAD - 0.15
                if dx:
                    x0, x1 = sorted((cx + dx * near, cx + dx * far))
                    corners = quad(
                        (x0, cy - w, 0.005),
                        (x1, cy - w, 0.005),
                        (x1, cy + w, 0.005),
                        (x0, cy + w, 0.005),
                    )
                    uv = corners[..., [1, 0]]
                else:
                    y0, y1 = sorted((cy + dy * near, cy + dy * far))
                    corners = quad(
                        (cx - w, y0, 0.005),
                        (cx + w, y0, 0.005),
                        (cx + w, y1, 0.005),
                        (cx - w, y1, 0.005),
                    )
                    uv = corners[..., [0, 1]]
                out.append(shape(corners, zebra, uv=uv))
    return out
