"""Puts the town together: what stands where, all of it drawn from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from litescene.core import STREET_OBJECTS
from litescene.synth.assets import decals, furniture, plants, vehicles
from litescene.synth.assets.buildings import building
from litescene.synth.ground import (
    CLEAR,
    HALF_ROAD,
    KERB_HEIGHT,
    PARKED,
    PAVEMENT,
    REACH,
    Edge,
    Plan,
    crosswalks,
    edges,
    floor,
)
from litescene.synth.mesh import Mesh, joined
from litescene.synth.surfaces import Surfaces

DEPTH = 10.0
WOODS = ((0.20, 0.12, 0.06), (0.11, 0.08, 0.055), (0.26, 0.20, 0.13))


class Instances:
    """Numbers for objects and their class in STREET_OBJECTS."""

    def __init__(self) -> None:
        self.classes = [-1]

    def new(self, name: str) -> int:
        """The number of a new object of class `name`."""
        self.classes.append(STREET_OBJECTS.names.index(name))
        return len(self.classes) - 1


@dataclass(frozen=True, slots=True)
class Town:
    """Everything that does not move."""

    plan: Plan
    mesh: Mesh


class Garage:
    """Random vehicles; every kind in every colour is built once."""

    def __init__(self, s: Surfaces) -> None:
        self._surfaces = s
        self._built: dict[tuple[str, int], Mesh] = {}

    def pick(self, rng: np.random.Generator) -> tuple[Mesh, str]:
        """A vehicle and its class in STREET_OBJECTS."""
        color = int(rng.choice(len(vehicles.CAR_COLORS), p=vehicles.CAR_SHARES))
        kind = str(
            rng.choice(
                ["saloon", "hatchback", "estate", "van", "truck"], p=[0.3, 0.3, 0.22, 0.11, 0.07]
            )
        )
        return self._made(kind, color), "truck_bus" if kind == "truck" else "car"

    def _made(self, kind: str, color: int) -> Mesh:
        if (kind, color) not in self._built:
            paint, s = vehicles.CAR_COLORS[color], self._surfaces
            if kind == "van":
                mesh = vehicles.van(s, paint)
            elif kind == "truck":
                mesh = vehicles.truck(s, paint)
            else:
                mesh = vehicles.car(s, paint, ("saloon", "hatchback", "estate").index(kind))
            self._built[kind, color] = mesh
        return self._built[kind, color]


class _Builder:
    def __init__(self, s: Surfaces, rng: np.random.Generator, ids: Instances, plan: Plan) -> None:
        self.s, self.rng, self.ids, self.plan = s, rng, ids, plan
        self.pieces: list[Mesh] = []
        self.garage = Garage(s)
        self.trees = [plants.leafy_tree(s, rng) for _ in range(7)]
        self.trees += [plants.bare_tree(s, rng) for _ in range(2)]
        self.lamp_color = ((0.17, 0.18, 0.18), (0.03, 0.06, 0.045), (0.3, 0.31, 0.31))[
            int(rng.integers(3))
        ]

    def put(self, mesh: Mesh, position: np.ndarray, yaw: float, scale: float = 1.0) -> None:
        self.pieces.append(mesh.placed(position, yaw, scale))

    def object(self, mesh: Mesh, name: str, position: np.ndarray, yaw: float) -> None:
        self.put(mesh.of_instance(self.ids.new(name)), position, yaw)

    def tree(self, position: np.ndarray) -> None:
        mesh = self.trees[int(self.rng.integers(len(self.trees)))]
        self.put(mesh, position, self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0.8, 1.2))

    def row(self, edge: Edge) -> None:
        """Houses, gardens and small parks along one side of a block."""
        level = edge.along[0] != 0
        margin = PAVEMENT if level else PAVEMENT + DEPTH + 0.1
        s, stop = margin, edge.length - margin
        while stop - s > 4.0:
            width = min(float(self.rng.uniform(6.0, 13.0)), stop - s)
            if stop - s - width < 5.0:
                width = stop - s
            kind = self.rng.random()
            if kind < 0.70:
                self.put(
                    building(self.s, self.rng, width, DEPTH),
                    edge.at(s, PAVEMENT, KERB_HEIGHT),
                    _yaw(edge.along),
                )
            elif kind < 0.88:
                self.garden(edge, s, width, house=True)
            else:
                self.garden(edge, s, width, house=False)
            s += width

    def garden(self, edge: Edge, s: float, width: float, house: bool) -> None:
        rng, yaw = self.rng, _yaw(edge.along)
        front = edge.at(s, PAVEMENT + 0.1, KERB_HEIGHT)
        style = rng.random()
        gate = 1.3 if house else 0.0
        wood = WOODS[int(rng.integers(len(WOODS)))]
        if style < 0.45:
            self.put(furniture.railing(self.s, width - gate), front, yaw)
        else:
            height = 1.0 if house else 1.8
            self.put(furniture.board_fence(self.s, width - gate, height, wood), front, yaw)
        if rng.random() < 0.7:
            hedge = plants.hedge(self.s, rng, width - gate, rng.uniform(0.8, 1.5))
            self.put(hedge, edge.at(s, PAVEMENT + 0.75, KERB_HEIGHT), yaw)
        if house:
            self.put(
                building(self.s, rng, width, DEPTH - 4.0),
                edge.at(s, PAVEMENT + 4.0, KERB_HEIGHT),
                yaw,
            )
            return
        for x in np.arange(2.0, width - 1.0, 3.5):
            self.tree(edge.at(s + x, PAVEMENT + rng.uniform(2.0, 7.0), KERB_HEIGHT))
        self.put(
            furniture.board_fence(self.s, width, 2.0, wood),
            edge.at(s, PAVEMENT + DEPTH, KERB_HEIGHT),
            yaw,
        )

    def kerbside(self, edge: Edge) -> None:
        """Lamps, trees, signs, bollards and railings along a kerb."""
        rng, inside = self.rng, 0.5
        treed = rng.random() < 0.55
        s = 7.5
        lamp, tree = rng.uniform(4, 12), rng.uniform(2, 6)
        toward, facing = _yaw(-edge.inward), _yaw(-edge.travel)
        while s < edge.length - 7.0:
            here = edge.at(s, inside, KERB_HEIGHT)
            if lamp <= 0:
                self.put(furniture.street_lamp(self.s, self.lamp_color), here, toward)
                lamp = 24.0
            elif treed and tree <= 0:
                self.tree(edge.at(s, 0.8, KERB_HEIGHT))
                tree = rng.uniform(7.5, 12.0)
            elif rng.random() < 0.16:
                self.sign(here, facing)
            elif rng.random() < 0.12:
                self.put(furniture.bollard(self.s), here, 0.0)
            step = rng.uniform(1.8, 3.2)
            s, lamp, tree = s + step, lamp - step, tree - step
        for start in (4.2, edge.length - 6.6):
            if rng.random() < 0.45:
                self.put(
                    furniture.railing(self.s, 2.4),
                    edge.at(start, 0.35, KERB_HEIGHT),
                    _yaw(edge.along),
                )

    def sign(self, position: np.ndarray, facing: float) -> None:
        kind = int(
            self.rng.choice(
                [
                    decals.LIMIT_30,
                    decals.LIMIT_20,
                    decals.LIMIT_50,
                    decals.PARKING,
                    decals.NO_ENTRY,
                    decals.WARNING,
                    decals.BUS_STOP,
                ],
                p=[0.2, 0.15, 0.1, 0.2, 0.1, 0.15, 0.1],
            )
        )
        post, plate = furniture.sign(self.s, kind, float(self.rng.uniform(2.2, 2.6)))
        self.put(post, position, facing)
        if kind in (decals.LIMIT_20, decals.LIMIT_30, decals.LIMIT_50):
            self.object(plate, "speed_limit", position, facing)
        else:
            self.put(plate, position, facing)

    def parking(self, edge: Edge) -> None:
        share = self.rng.uniform(0.25, 0.7)
        s = CLEAR - HALF_ROAD + 4.0
        while s < edge.length - (CLEAR - HALF_ROAD) - 4.0:
            if self.rng.random() < share:
                mesh, name = self.garage.pick(self.rng)
                turn = np.pi if self.rng.random() < 0.12 else 0.0
                place = edge.at(s, -(HALF_ROAD - PARKED) + self.rng.uniform(-0.08, 0.08))
                self.object(mesh, name, place, _yaw(edge.travel) + turn + self.rng.normal(0, 0.015))
            s += self.rng.uniform(6.0, 7.4) + (2.0 if share < 0.4 else 0.0)

    def crossing(self, cx: float, cy: float, lights: bool) -> None:
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            right = np.array([-dy, dx]) * self.plan.hand
            x, y = (
                np.array([cx, cy]) + np.array([dx, dy]) * (CLEAR - 1.0) + right * (HALF_ROAD + 0.45)
            )
            place, facing = np.array([x, y, KERB_HEIGHT]), float(np.arctan2(dy, dx))
            if lights:
                pole, head = furniture.traffic_light(self.s, int(self.rng.choice([0, 2])))
                name = "traffic_light"
            else:
                pole, head = furniture.sign(self.s, decals.STOP, 2.3, 0.75)
                name = "stop_sign"
            self.put(pole, place, facing)
            self.object(head, name, place, facing)

    def ends(self) -> None:
        """A house across the end of every street, so that no view runs into nothing."""
        for half, other, axis in (
            (self.plan.half_y, self.plan.half_x, 0),
            (self.plan.half_x, self.plan.half_y, 1),
        ):
            for side in (-1.0, 1.0):
                for street in (-half, half):
                    inward = np.array([side, 0.0]) if axis == 0 else np.array([0.0, side])
                    along = np.array([inward[1], -inward[0]])
                    middle = inward * (other + HALF_ROAD + REACH) + np.abs(along) * street
                    width = 2 * (HALF_ROAD + PAVEMENT) + 6
                    corner = middle - along * width / 2
                    house = building(self.s, self.rng, width, 9.0)
                    self.put(house, np.array([*corner, 0.0]), _yaw(along))


def _yaw(direction: np.ndarray) -> float:
    return float(np.arctan2(direction[1], direction[0]))


def town(s: Surfaces, rng: np.random.Generator, ids: Instances) -> Town:
    """A town of four streets around a block."""
    plan = Plan(float(rng.uniform(34, 42)), float(rng.uniform(27, 33)), int(rng.choice([-1, 1])))
    b = _Builder(s, rng, ids, plan)
    b.pieces.append(floor(s, rng, plan))
    b.pieces += [m.of_instance(ids.new("crosswalk")) for m in crosswalks(s, rng, plan)]
    for edge in edges(plan):
        b.row(edge)
        b.kerbside(edge)
        b.parking(edge)
    controls = rng.permutation([True, True, False, False])
    corners = [(x, y) for x in (-plan.half_x, plan.half_x) for y in (-plan.half_y, plan.half_y)]
    for (x, y), lights in zip(corners, controls, strict=True):
        b.crossing(x, y, bool(lights))
    b.ends()
    return Town(plan, joined(b.pieces))
