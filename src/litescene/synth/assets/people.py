"""Pedestrians and riders: bodies of parts that swing about their joints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from litescene.synth.mesh import F64, Mesh, ball, joined, shape, tube
from litescene.synth.surfaces import PLAIN, Surfaces

TRUNK, LEFT_THIGH, LEFT_SHIN, RIGHT_THIGH, RIGHT_SHIN, LEFT_ARM, RIGHT_ARM = range(7)
HIP, KNEE, SHOULDER = 0.88, 0.47, 1.40
SKIN = ((0.62, 0.42, 0.32), (0.45, 0.28, 0.19), (0.25, 0.14, 0.09), (0.68, 0.48, 0.38))
CLOTHES = (
    (0.03, 0.04, 0.08),
    (0.35, 0.04, 0.05),
    (0.06, 0.14, 0.30),
    (0.45, 0.42, 0.36),
    (0.08, 0.08, 0.08),
    (0.10, 0.22, 0.12),
    (0.55, 0.50, 0.12),
    (0.25, 0.16, 0.10),
    (0.50, 0.52, 0.55),
    (0.30, 0.10, 0.28),
    (0.60, 0.25, 0.06),
)


@dataclass(frozen=True, slots=True)
class Outfit:
    """Surfaces of skin, hair, top, trousers and shoes."""

    skin: int
    hair: int
    top: int
    trousers: int
    shoes: int


def outfit(s: Surfaces, rng: np.random.Generator, label: str) -> Outfit:
    """Random clothes for class `label` (pedestrian or bicyclist)."""

    def pick(colors: tuple[tuple[float, ...], ...]) -> int:
        return s.add(PLAIN, label, colors[int(rng.integers(len(colors)))], parameters=(0.10,))

    hair = ((0.02, 0.015, 0.01), (0.10, 0.05, 0.02), (0.30, 0.20, 0.08), (0.35, 0.34, 0.33))
    return Outfit(pick(SKIN), pick(hair), pick(CLOTHES), pick(CLOTHES), pick(((0.03,) * 3,)))


def _limb(
    a: tuple[float, ...], b: tuple[float, ...], r0: float, r1: float, surface: int, part: int
) -> Mesh:
    corners, normals = tube(a, b, r0, r1, 6)
    return shape(corners, surface, normals=normals, part=part)


def _blob(center: tuple[float, ...], radii: tuple[float, ...], surface: int, part: int) -> Mesh:
    corners, normals = ball(center, radii, 5, 7)
    return shape(corners, surface, normals=normals, part=part)


def body(o: Outfit, *, skirt: bool = False, bag: int | None = None) -> Mesh:
    """A standing person 1.75 m tall, facing +x, feet on z = 0, in its seven parts."""
    plain = _undressed(skirt, bag is not None)
    surfaces = np.array([o.skin, o.hair, o.top, o.trousers, o.shoes, bag or 0], np.int32)
    return replace(plain, surface=surfaces[plain.surface])


@cache
def _undressed(skirt: bool, bag: bool) -> Mesh:
    """The body whose surfaces are the numbers 0 to 4 of an outfit's, and 5 for the bag."""
    o = Outfit(*range(5))
    pieces = [
        _blob((0.0, 0, 1.62), (0.105, 0.085, 0.135), o.skin, TRUNK),
        _blob((-0.02, 0, 1.665), (0.112, 0.094, 0.11), o.hair, TRUNK),
        _limb((0, 0, 1.42), (0.01, 0, 1.54), 0.055, 0.05, o.skin, TRUNK),
        _blob((0, 0, 1.22), (0.135, 0.20, 0.28), o.top, TRUNK),
        _blob((0, 0, 1.37), (0.105, 0.225, 0.10), o.top, TRUNK),
        _blob((-0.005, 0, 0.95), (0.125, 0.175, 0.14), o.top if skirt else o.trousers, TRUNK),
    ]
    if skirt:
        pieces.append(_limb((0, 0, 1.0), (0, 0, 0.55), 0.17, 0.25, o.top, TRUNK))
    if bag:
        pieces.append(_blob((-0.19, 0, 1.2), (0.10, 0.16, 0.22), 5, TRUNK))
    for side, thigh, shin, arm in (
        (1, LEFT_THIGH, LEFT_SHIN, LEFT_ARM),
        (-1, RIGHT_THIGH, RIGHT_SHIN, RIGHT_ARM),
    ):
        y, shoulder = 0.09 * side, 0.235 * side
        pieces += [
            _limb((0, y, HIP + 0.04), (0, y, KNEE), 0.092, 0.062, o.trousers, thigh),
            _limb((0, y, KNEE + 0.03), (0, y, 0.08), 0.064, 0.045, o.trousers, shin),
            _blob((0.06, y, 0.045), (0.135, 0.048, 0.05), o.shoes, shin),
            _limb((0, shoulder, SHOULDER), (0.0, shoulder * 1.1, 1.12), 0.058, 0.048, o.top, arm),
            _limb(
                (0.0, shoulder * 1.1, 1.13), (0.06, shoulder * 1.1, 0.87), 0.045, 0.036, o.top, arm
            ),
            _blob((0.075, shoulder * 1.1, 0.83), (0.04, 0.03, 0.055), o.skin, arm),
        ]
    return joined(pieces)


def _swing(joint: tuple[float, float], angle: float) -> F64:
    """Turn about the y axis through (x, z); a positive angle brings the lower end forward."""
    c, s = np.cos(angle), np.sin(angle)
    x, z = joint
    m = np.eye(4)
    m[0, 0], m[0, 2], m[2, 0], m[2, 2] = c, -s, s, c
    m[0, 3] = x - c * x + s * z
    m[2, 3] = z - s * x - c * z
    return m


def walking(phase: float) -> NDArray[np.float64]:
    """Part transforms 7×4×4 at a phase of the gait (one stride is 2π)."""
    parts = np.tile(np.eye(4), (7, 1, 1))
    for thigh, shin, arm, shift in (
        (LEFT_THIGH, LEFT_SHIN, RIGHT_ARM, 0.0),
        (RIGHT_THIGH, RIGHT_SHIN, LEFT_ARM, np.pi),
    ):
        swing = np.sin(phase + shift)
        bend = 0.30 + 0.30 * np.cos(phase + shift)
        parts[thigh] = _swing((0.0, HIP), 0.46 * swing)
        parts[shin] = parts[thigh] @ _swing((0.0, KNEE), -bend)
        parts[arm] = _swing((0.0, SHOULDER), 0.42 * swing)
    parts[:, 2, 3] += 0.018 * np.cos(2 * phase)
    return parts


def riding(phase: float) -> NDArray[np.float64]:
    """Part transforms 7×4×4 of a rider on a bicycle whose pedals are at `phase`."""
    parts = np.tile(np.eye(4), (7, 1, 1))
    lean = _swing((0.0, HIP), -0.42)
    parts[TRUNK] = lean
    for arm in (LEFT_ARM, RIGHT_ARM):
        parts[arm] = lean @ _swing((0.0, SHOULDER), 1.15)
    for thigh, shin, shift in ((LEFT_THIGH, LEFT_SHIN, 0.0), (RIGHT_THIGH, RIGHT_SHIN, np.pi)):
        parts[thigh] = _swing((0.0, HIP), 0.85 + 0.38 * np.sin(phase + shift))
        parts[shin] = parts[thigh] @ _swing((0.0, KNEE), -0.95 - 0.35 * np.cos(phase + shift))
    parts[:, 0, 3] -= 0.25
    parts[:, 2, 3] += 0.06
    return parts
