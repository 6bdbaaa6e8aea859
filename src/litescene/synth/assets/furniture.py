"""Street furniture on its own foot: lamps, signs, traffic lights, fences, bollards."""

from __future__ import annotations

import numpy as np

from litescene.synth.assets.decals import NO_ENTRY, STOP, WARNING, YIELD
from litescene.synth.mesh import Mesh, ball, box, fan, joined, quad, shape, tube
from litescene.synth.surfaces import DECAL, LAMP, PLAIN, PLANKS, Color, Surfaces

STEEL: Color = (0.17, 0.18, 0.18)


def _steel(s: Surfaces, color: Color = STEEL) -> int:
    return s.add(PLAIN, "pole", color, parameters=(0.10,))


def _rod(a: tuple[float, ...], b: tuple[float, ...], radius: float, surface: int) -> Mesh:
    corners, normals = tube(a, b, radius, radius * 0.85, 8)
    return shape(corners, surface, normals=normals)


def street_lamp(s: Surfaces, color: Color = STEEL) -> Mesh:
    """Lamp 7 m high whose arm reaches towards +x."""
    steel = _steel(s, color)
    return joined(
        [
            _rod((0, 0, 0), (0, 0, 1.2), 0.11, steel),
            _rod((0, 0, 1.2), (0, 0, 6.8), 0.075, steel),
            _rod((0, 0, 6.75), (1.5, 0, 7.1), 0.045, steel),
            shape(box((1.1, -0.14, 7.05), (1.85, 0.14, 7.2)), steel),
        ]
    )


def bollard(s: Surfaces) -> Mesh:
    """Iron bollard, 1 m."""
    iron = _steel(s, (0.03, 0.03, 0.035))
    white = _steel(s, (0.6, 0.6, 0.58))
    head, normals = ball((0, 0, 0.98), (0.085, 0.085, 0.09), 5, 8)
    return joined(
        [
            _rod((0, 0, 0), (0, 0, 0.95), 0.08, iron),
            _rod((0, 0, 0.7), (0, 0, 0.8), 0.085, white),
            shape(head, iron, normals=normals),
        ]
    )


def sign(s: Surfaces, decal: int, height: float = 2.4, size: float = 0.62) -> tuple[Mesh, Mesh]:
    """Post, and the plate on it facing +x; the plate's outline follows its picture."""
    post = _rod((-0.03, 0, 0), (-0.03, 0, height + size * 0.4), 0.032, _steel(s, (0.3, 0.3, 0.31)))
    angles = {
        STOP: np.pi / 8 + np.arange(8) * np.pi / 4,
        YIELD: np.radians([-90.0, 30.0, 150.0]),
        WARNING: np.radians([90.0, 210.0, 330.0]),
    }.get(decal, np.linspace(0, 2 * np.pi, 16, endpoint=False))
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    if decal > NO_ENTRY and decal != WARNING:
        ring = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
    plane = 0.5 * size * ring
    full = np.column_stack([np.full(len(ring), 0.03), plane[:, 0], plane[:, 1] + height])
    uv = fan(np.column_stack([0.5 + 0.5 * ring * 0.985, np.zeros(len(ring))]))[..., :2]
    # seen from the front, the picture's right is -y of the plate's frame turned to face +x
    front = shape(fan(full), s.add(DECAL, "sign_symbol", (1, 1, 1), parameters=(decal,)), uv=uv)
    gray = s.add(PLAIN, "sign_symbol", (0.25, 0.25, 0.26), parameters=(0.06,))
    back = shape(fan(full - [0.012, 0, 0])[:, ::-1], gray)
    return post, joined([front, back])


def traffic_light(s: Surfaces, lit: int) -> tuple[Mesh, Mesh]:
    """Pole, and the signal head facing +x; `lit` 0 red, 1 amber, 2 green."""
    pole = _rod((-0.06, 0, 0), (-0.06, 0, 3.3), 0.055, _steel(s, (0.10, 0.10, 0.10)))
    black = s.add(PLAIN, "sign_symbol", (0.015, 0.015, 0.017), parameters=(0.06,))
    head = [
        shape(box((0.0, -0.16, 2.35), (0.2, 0.16, 3.3)), black),
        shape(box((-0.01, -0.24, 2.25), (0.0, 0.24, 3.4)), black),
    ]
    colors: tuple[Color, ...] = ((0.9, 0.03, 0.02), (0.9, 0.45, 0.02), (0.05, 0.8, 0.35))
    for k, color in enumerate(colors):
        z = 3.13 - 0.3 * k
        on = k == lit
        shade = [c if on else 0.10 * c for c in color]
        lens = s.add(LAMP if on else PLAIN, "sign_symbol", shade, parameters=(1.6,))
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        ring = np.column_stack(
            [np.full(12, 0.207), 0.11 * np.cos(angles), z + 0.11 * np.sin(angles)]
        )
        head.append(shape(fan(ring), lens))
        hood = quad(
            (0.2, -0.13, z + 0.13),
            (0.2, 0.13, z + 0.13),
            (0.36, 0.11, z + 0.11),
            (0.36, -0.11, z + 0.11),
        )
        head.append(shape(hood, black))
    return pole, joined(head)


def railing(s: Surfaces, length: float, color: Color = (0.05, 0.05, 0.055)) -> Mesh:
    """Iron railing along +x, 1.1 m high."""
    iron = s.add(PLAIN, "fence", color, parameters=(0.08,))
    boxes = [
        box((0, -0.02, 1.02), (length, 0.02, 1.08)),
        box((0, -0.02, 0.12), (length, 0.02, 0.17)),
    ]
    for x in np.arange(0.07, length, 0.14):
        boxes.append(
            quad(
                (x - 0.016, 0, 0.1), (x + 0.016, 0, 0.1), (x + 0.016, 0, 1.12), (x - 0.016, 0, 1.12)
            )
        )
        boxes.append(quad((x, -0.016, 0.1), (x, 0.016, 0.1), (x, 0.016, 1.12), (x, -0.016, 1.12)))
    for x in np.arange(0.0, length + 0.1, 2.0):
        boxes.append(box((x - 0.035, -0.035, 0), (x + 0.035, 0.035, 1.18)))
    return shape(np.concatenate(boxes), iron)


def board_fence(s: Surfaces, length: float, height: float, color: Color) -> Mesh:
    """Close-boarded wooden fence along +x."""
    wood = s.add(PLANKS, "fence", color)
    post = s.add(PLAIN, "fence", [0.7 * c for c in color], parameters=(0.15,))
    pieces = [shape(box((0, -0.02, 0.05), (length, 0.02, height)), wood)]
    for x in np.arange(0.0, length + 0.1, 2.4):
        pieces.append(shape(box((x - 0.06, -0.06, 0), (x + 0.06, 0.06, height + 0.08)), post))
    return joined(pieces)
