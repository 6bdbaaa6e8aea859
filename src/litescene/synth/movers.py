"""What moves: cars and buses on the lanes, cyclists, pedestrians on pavements and zebras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from litescene.synth.assets import people, vehicles
from litescene.synth.assets.people import body, outfit, riding, walking
from litescene.synth.drive import F64, Loop, Timing
from litescene.synth.ground import CORNER, HALF_ROAD, KERB_HEIGHT, LANE, PAVEMENT, Edge, Plan, edges
from litescene.synth.mesh import Mesh, joined
from litescene.synth.scenery import Garage, Instances
from litescene.synth.surfaces import PLAIN, Surfaces

CYCLE_LANE = HALF_ROAD - 2.12


@dataclass(frozen=True, slots=True)
class Actor:
    """A mesh of moving parts and where it is: `pose(t)` gives x, y, z and yaw, `parts(t)` the
    transforms k×4×4 of its parts within its own frame.
    """

    mesh: Mesh
    pose: Callable[[float], tuple[float, float, float, float]]
    parts: Callable[[float], F64]
    size: float = 1.0

    def transforms(self, t: float) -> F64:
        """Part transforms into the world at time t, k×4×4."""
        x, y, z, yaw = self.pose(t)
        c, s = np.cos(yaw) * self.size, np.sin(yaw) * self.size
        place = np.array([[c, -s, 0, x], [s, c, 0, y], [0, 0, self.size, z], [0, 0, 0, 1.0]])
        return np.asarray(place @ self.parts(t))


def lane(plan: Plan, offset: float, turn: int) -> Loop:
    """Closed path `offset` metres outside the middle line of the streets around the block."""
    half = (plan.half_x + offset, plan.half_y + offset)
    return Loop((0.0, 0.0), half, HALF_ROAD + CORNER + offset, turn)


def _rolling(
    radius: float, travelled: Callable[[float], float], axles: tuple[F64, F64]
) -> Callable[[float], F64]:
    """Part transforms of a vehicle whose two pairs of wheels (parts 1, 2) turn as it moves."""

    def parts(t: float) -> F64:
        angle = travelled(t) / radius
        c, s = np.cos(angle), np.sin(angle)
        out = np.tile(np.eye(4), (3, 1, 1))
        for k, hub in enumerate(axles, start=1):
            turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
            out[k, :3, :3] = turn
            out[k, :3, 3] = hub - turn @ hub
        return out

    return parts


def _axles(mesh: Mesh) -> tuple[float, tuple[F64, F64]]:
    hubs = []
    radius = 0.3
    for part in (1, 2):
        corners = mesh.corners[mesh.part == part].reshape(-1, 3)
        low, high = corners.min(axis=0), corners.max(axis=0)
        hubs.append((low + high) / 2 * [1, 0, 1])
        radius = float(high[2] - low[2]) / 2
    return radius, (hubs[0], hubs[1])


def driving(mesh: Mesh, timing: Timing, shift: float, base: float = 2.7) -> Actor:
    """A vehicle on a lane, `shift` seconds ahead of the lane's clock."""
    radius, axles = _axles(mesh)

    def travelled(t: float) -> float:
        return float(timing.along(t + shift))

    def pose(t: float) -> tuple[float, float, float, float]:
        s = travelled(t)
        return *timing.loop.point(s), 0.0, timing.loop.direction(s, base)

    return Actor(mesh, pose, _rolling(radius, travelled, axles))


def cyclist(
    s: Surfaces, rng: np.random.Generator, ids: Instances, loop: Loop, start: float
) -> Actor:
    """A rider (person) on a bicycle, at a steady 3.6 to 5 m/s."""
    color = vehicles.CAR_COLORS[int(rng.integers(len(vehicles.CAR_COLORS)))]
    bike = vehicles.bicycle(s, color).of_instance(ids.new("bicycle"))
    rider = body(outfit(s, rng, "bicyclist")).of_instance(ids.new("person"))
    mesh = joined(
        [
            bike,
            Mesh(
                rider.corners,
                rider.normals,
                rider.uv,
                rider.surface,
                rider.instance,
                rider.part + 3,
            ),
        ]
    )
    speed = float(rng.uniform(3.6, 5.0))
    radius, axles = _axles(bike)

    def travelled(t: float) -> float:
        return start + speed * t

    roll = _rolling(radius, travelled, axles)

    def parts(t: float) -> F64:
        return np.concatenate([roll(t), riding(travelled(t) / 0.75)])

    def pose(t: float) -> tuple[float, float, float, float]:
        s = travelled(t)
        return *loop.point(s), 0.0, loop.direction(s, 1.05)

    return Actor(mesh, pose, parts)


def walker(
    s: Surfaces,
    rng: np.random.Generator,
    ids: Instances,
    loop: Loop,
    height: Callable[[float, float], float],
) -> Actor:
    """A pedestrian going round `loop`; `height` gives the ground's height at a point."""
    bag = s.add(PLAIN, "pedestrian", people.CLOTHES[int(rng.integers(len(people.CLOTHES)))])
    mesh = body(
        outfit(s, rng, "pedestrian"),
        skirt=rng.random() < 0.2,
        bag=bag if rng.random() < 0.35 else None,
    ).of_instance(ids.new("person"))
    speed, size = float(rng.uniform(1.0, 1.6)), float(rng.uniform(0.9, 1.08))
    start = float(rng.uniform(0, loop.length))

    def travelled(t: float) -> float:
        return start + speed * t

    def pose(t: float) -> tuple[float, float, float, float]:
        s = travelled(t)
        x, y = loop.point(s)
        return x, y, height(x, y), loop.direction(s, 0.5)

    return Actor(mesh, pose, lambda t: walking(travelled(t) * 2 * np.pi / (1.45 * size)), size)


def _on_pavement(x: float, y: float) -> float:
    return KERB_HEIGHT


def _pavement_loop(edge: Edge, rng: np.random.Generator) -> Loop:
    """A narrow walk up and down a pavement."""
    middle = edge.at(edge.length / 2, rng.uniform(1.55, PAVEMENT - 0.75))[:2]
    long, wide = edge.length / 2 - rng.uniform(5.0, 9.0), 0.3
    half = (long, wide) if edge.along[0] != 0 else (wide, long)
    return Loop(middle, half, 0.29, int(rng.choice([-1, 1])))


def _zebra_walker(s: Surfaces, rng: np.random.Generator, ids: Instances, plan: Plan) -> Actor:
    """Somebody crossing an outer arm of a crossing, where the camera does not drive."""
    sx, sy = (int(v) for v in rng.choice([-1, 1], 2))
    out = HALF_ROAD + 3.0
    level = rng.random() < 0.5
    if level:
        center, half = (sx * (plan.half_x + out), sy * plan.half_y), (0.6, HALF_ROAD + 2.0)
    else:
        center, half = (sx * plan.half_x, sy * (plan.half_y + out)), (HALF_ROAD + 2.0, 0.6)
    loop = Loop(center, half, 0.55, int(rng.choice([-1, 1])))

    def height(x: float, y: float) -> float:
        across = abs(y - center[1]) if level else abs(x - center[0])
        return KERB_HEIGHT * min(max((across - HALF_ROAD + 0.15) / 0.3, 0.0), 1.0)

    return walker(s, rng, ids, loop, height)


def actors(
    s: Surfaces,
    rng: np.random.Generator,
    ids: Instances,
    plan: Plan,
    own: Timing,
    turn: int,
    start: float,
) -> list[Actor]:
    """All movers of the town; `own` is the camera's lane, which it enters at time `start`."""
    side, garage = plan.hand * turn, Garage(s)
    out: list[Actor] = []
    gap, behind = start, own.period
    # others on the camera's lane keep their distance in time, so nobody runs into anybody
    for _ in range(int(rng.integers(2, 5))):
        gap += rng.uniform(2.6, 6.0)
        if gap > start + behind - 4.0:
            break
        mesh, name = garage.pick(rng)
        out.append(driving(mesh.of_instance(ids.new(name)), own, gap))
    oncoming = Timing(lane(plan, -side * LANE, -turn), float(rng.uniform(7.0, 9.0)))
    shift = 0.0
    while shift < oncoming.period - 5.0:
        if rng.random() < 0.22:
            color = vehicles.BUS_COLORS[int(rng.integers(len(vehicles.BUS_COLORS)))]
            mesh = vehicles.bus(s, color, int(rng.integers(1, 3)))
            out.append(driving(mesh.of_instance(ids.new("truck_bus")), oncoming, shift, 5.5))
        else:
            mesh, name = garage.pick(rng)
            out.append(driving(mesh.of_instance(ids.new(name)), oncoming, shift))
        shift += rng.uniform(3.5, 8.0)
    here = float(own.along(start))
    with_us = lane(plan, side * CYCLE_LANE, turn)
    ahead = here / own.loop.length * with_us.length
    for k in range(int(rng.integers(2, 4))):
        place = ahead + 12.0 + 34.0 * k + rng.uniform(0, 14)
        out.append(cyclist(s, rng, ids, with_us, place))
    against = lane(plan, -side * CYCLE_LANE, -turn)
    for k in range(int(rng.integers(2, 5))):
        out.append(cyclist(s, rng, ids, against, (k + rng.uniform(0, 0.7)) * against.length / 5))
    for edge in edges(plan):
        for _ in range(int(rng.poisson(edge.length / 26.0))):
            out.append(walker(s, rng, ids, _pavement_loop(edge, rng), _on_pavement))
    out += [_zebra_walker(s, rng, ids, plan) for _ in range(5)]
    return out
