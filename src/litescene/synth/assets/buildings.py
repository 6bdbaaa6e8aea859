"""Houses in a row: terraces, shops with flats, offices; front on y = 0 facing -y, x from 0."""

from __future__ import annotations

import numpy as np

from litescene.synth.assets.decals import BOARDS, NAMES
from litescene.synth.mesh import Mesh, box, joined, quad, shape
from litescene.synth.surfaces import DECAL, FACADE, PLAIN, ROOF, Color, Surfaces

BRICKS = (
    (0.30, 0.115, 0.065),
    (0.24, 0.09, 0.06),
    (0.36, 0.22, 0.13),
    (0.42, 0.33, 0.21),
    (0.20, 0.12, 0.09),
    (0.33, 0.16, 0.10),
)
PLASTERS = (
    (0.62, 0.59, 0.52),
    (0.66, 0.55, 0.36),
    (0.52, 0.36, 0.27),
    (0.45, 0.52, 0.50),
    (0.66, 0.65, 0.61),
    (0.58, 0.54, 0.45),
    (0.55, 0.45, 0.42),
    (0.38, 0.44, 0.52),
)
STONES = ((0.42, 0.39, 0.33), (0.34, 0.33, 0.30), (0.48, 0.43, 0.34))
TILES = ((0.055, 0.06, 0.07), (0.20, 0.075, 0.045), (0.11, 0.085, 0.07))
TRIMS = ((0.66, 0.65, 0.61), (0.66, 0.65, 0.61), (0.50, 0.46, 0.37), (0.07, 0.07, 0.075))
BOARD_COLORS = (
    (0.22, 0.012, 0.018),
    (0.012, 0.05, 0.024),
    (0.012, 0.024, 0.12),
    (0.6, 0.55, 0.45),
    (0.024, 0.024, 0.028),
    (0.45, 0.2, 0.01),
    (0.01, 0.15, 0.15),
    (0.2, 0.015, 0.1),
)


def building(s: Surfaces, rng: np.random.Generator, width: float, depth: float) -> Mesh:
    """A house of random kind filling `width` metres of the street."""
    kind = str(rng.choice(["terrace", "shop", "office"], p=[0.45, 0.37, 0.18]))
    floors = int(rng.integers(2, 4)) if kind != "office" else int(rng.integers(3, 6))
    story = float(rng.uniform(2.8, 3.3) if kind == "terrace" else rng.uniform(3.2, 3.7))
    height = story * floors + (0.35 if kind != "terrace" else 0.1)
    wall, board = _wall(s, rng, kind, width, story)
    pieces = [_walls(wall, width, depth, height), *_trim(s, rng, width, height, kind)]
    if kind == "shop":
        pieces += _shop_front(s, rng, width, story, board)
    if kind == "office" or rng.random() < 0.25:
        pieces += _flat_roof(s, rng, width, depth, height)
    else:
        pieces += _pitched_roof(s, rng, width, depth, height, wall)
    if kind == "terrace" and rng.random() < 0.5:
        pieces += _bay_window(s, wall, width, story)
    return joined(pieces)


def _wall(
    s: Surfaces, rng: np.random.Generator, kind: str, width: float, story: float
) -> tuple[int, int]:
    style = str(rng.choice(["brick", "plaster", "stone"], p=[0.5, 0.33, 0.17]))
    palette = {"brick": BRICKS, "plaster": PLASTERS, "stone": STONES}[style]
    color = (
        np.array(palette[int(rng.integers(len(palette)))])
        * rng.uniform(0.8, 1.15)
        * rng.uniform(0.96, 1.04, 3)
    )
    course = {"brick": 0.085, "plaster": 0.0, "stone": 0.32}[style]
    target = rng.uniform(2.1, 3.1) if kind != "office" else rng.uniform(1.7, 2.6)
    bay = width / max(1, round(width / target))
    across = bay * (rng.uniform(0.36, 0.5) if kind != "office" else rng.uniform(0.6, 0.8))
    tall = story * (rng.uniform(0.45, 0.55) if kind != "office" else rng.uniform(0.5, 0.6))
    board = int(rng.integers(len(NAMES)))
    trim = TRIMS[int(rng.integers(len(TRIMS)))]
    shop = 1.0 if kind == "shop" else 0.0
    values = [
        bay,
        story,
        across,
        tall,
        course,
        shop,
        1.0,
        float(rng.integers(1, 4000)),
        *BOARD_COLORS[board],
    ]
    return s.add(FACADE, "building", [float(c) for c in color], trim, values), board


def _walls(wall: int, width: float, depth: float, height: float) -> Mesh:
    ring = [(0.0, 0.0), (width, 0.0), (width, depth), (0.0, depth)]
    pieces = []
    for k in range(4):
        (ax, ay), (bx, by) = ring[k], ring[(k + 1) % 4]
        length = abs(bx - ax) + abs(by - ay)
        corners = quad((ax, ay, 0), (bx, by, 0), (bx, by, height), (ax, ay, height))
        uv = quad((0, 0, 0), (length, 0, 0), (length, height, 0), (0, height, 0))[..., :2]
        pieces.append(shape(corners, wall, uv=uv))
    return joined(pieces)


def _trim(
    s: Surfaces, rng: np.random.Generator, width: float, height: float, kind: str
) -> list[Mesh]:
    stone = s.add(PLAIN, "building", (0.48, 0.45, 0.40), parameters=(0.12,))
    dark = s.add(PLAIN, "building", (0.05, 0.05, 0.055), parameters=(0.08,))
    out = 0.28 if kind == "terrace" else 0.18
    pieces = [shape(box((-0.02, -out, height - 0.26), (width + 0.02, 0.1, height)), stone)]
    pipe = 0.12 if rng.random() < 0.5 else width - 0.12
    pieces.append(shape(box((pipe - 0.05, -0.1, 0), (pipe + 0.05, 0.0, height - 0.3)), dark))
    return pieces


def _shop_front(
    s: Surfaces, rng: np.random.Generator, width: float, story: float, board: int
) -> list[Mesh]:
    paint = s.add(PLAIN, "building", BOARD_COLORS[board], parameters=(0.08,))
    sign = s.add(DECAL, "building", (1, 1, 1), parameters=(BOARDS + board,))
    low, high = story - 0.9, story - 0.15
    pieces = [shape(box((0.1, -0.22, low), (width - 0.1, 0.0, high)), paint)]
    half = min(0.38 * width, 1.9)
    a, b = width / 2 - half, width / 2 + half
    y = -0.226
    face = quad((a, y, low + 0.08), (b, y, low + 0.08), (b, y, high - 0.08), (a, y, high - 0.08))
    pieces.append(shape(face, sign, uv=[[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]))
    if rng.random() < 0.4:
        cloth: Color = BOARD_COLORS[int(rng.integers(len(BOARD_COLORS)))]
        awning = s.add(PLAIN, "building", cloth, parameters=(0.08,))
        pieces.append(
            shape(
                quad(
                    (0.3, -1.25, low - 0.55),
                    (width - 0.3, -1.25, low - 0.55),
                    (width - 0.3, -0.1, low),
                    (0.3, -0.1, low),
                ),
                awning,
            )
        )
    return pieces


def _flat_roof(
    s: Surfaces, rng: np.random.Generator, width: float, depth: float, height: float
) -> list[Mesh]:
    top = s.add(PLAIN, "building", (0.16, 0.155, 0.15), parameters=(0.15,))
    pieces = [
        shape(
            quad((0, 0, height), (width, 0, height), (width, depth, height), (0, depth, height)),
            top,
        )
    ]
    if rng.random() < 0.6:
        x = rng.uniform(0.2, 0.6) * width
        pieces.append(shape(box((x, 2.5, height), (x + 0.25 * width, 5.0, height + 1.6)), top))
    return pieces


def _pitched_roof(
    s: Surfaces, rng: np.random.Generator, width: float, depth: float, height: float, wall: int
) -> list[Mesh]:
    tiles = s.add(ROOF, "building", TILES[int(rng.integers(len(TILES)))])
    ridge = height + rng.uniform(1.8, 3.2)
    if rng.random() < 0.3:
        # gable to the street
        x = width / 2
        front = [
            [[0, 0, height], [width, 0, height], [x, 0, ridge]],
            [[width, depth, height], [0, depth, height], [x, depth, ridge]],
        ]
        slopes = np.concatenate(
            [
                quad(
                    (-0.25, -0.3, height - 0.15),
                    (x, -0.3, ridge + 0.05),
                    (x, depth, ridge + 0.05),
                    (-0.25, depth, height - 0.15),
                ),
                quad(
                    (x, -0.3, ridge + 0.05),
                    (width + 0.25, -0.3, height - 0.15),
                    (width + 0.25, depth, height - 0.15),
                    (x, depth, ridge + 0.05),
                ),
            ]
        )
        return [shape(front, _blank_wall(s, wall)), shape(slopes, tiles)]
    y = depth / 2
    slopes = np.concatenate(
        [
            quad(
                (0, -0.35, height - 0.1),
                (width, -0.35, height - 0.1),
                (width, y, ridge),
                (0, y, ridge),
            ),
            quad((0, y, ridge), (width, y, ridge), (width, depth, height), (0, depth, height)),
        ]
    )
    ends = [
        [[0, 0, height], [0, y, ridge], [0, depth, height]],
        [[width, 0, height], [width, depth, height], [width, y, ridge]],
    ]
    pieces = [
        shape(slopes, tiles),
        shape(ends, _blank_wall(s, wall)),
    ]
    if rng.random() < 0.8:
        x = rng.uniform(0.3, width - 1.2)
        brick = s.add(PLAIN, "building", (0.24, 0.11, 0.075), parameters=(0.2,))
        pieces.append(shape(box((x, y - 0.4, height), (x + 0.8, y + 0.4, ridge + 1.0)), brick))
        pot = s.add(PLAIN, "building", (0.35, 0.15, 0.08), parameters=(0.1,))
        for k in range(2):
            pieces.append(
                shape(
                    box(
                        (x + 0.12 + 0.35 * k, y - 0.1, ridge + 1.0),
                        (x + 0.32 + 0.35 * k, y + 0.1, ridge + 1.35),
                    ),
                    pot,
                )
            )
    return pieces


def _blank_wall(s: Surfaces, wall: int) -> int:
    """The same wall without windows: its pattern is so wide that none is reached."""
    row = s.table[wall].tolist()
    row[13] = 0.0
    return s.add(FACADE, "building", row[2:5], row[5:8], [1000.0, 1000.0, *row[10:20]])


def _bay_window(s: Surfaces, wall: int, width: float, story: float) -> list[Mesh]:
    """A box in front of the ground floor, with its own window pattern."""
    stone = s.add(PLAIN, "building", (0.48, 0.45, 0.40), parameters=(0.12,))
    row = s.table[wall]
    values = [float(v) for v in row[8:20]]
    values[0], values[2] = 1.1, 0.85
    front = s.add(
        FACADE, "building", [float(c) for c in row[2:5]], [float(c) for c in row[5:8]], values
    )
    a, b, out, top = 0.15 * width, 0.15 * width + 2.2, -0.6, story * 0.93
    pieces = []
    for p, q in (((a, out), (b, out)), ((b, out), (b, 0.0)), ((a, 0.0), (a, out))):
        length = abs(q[0] - p[0]) + abs(q[1] - p[1])
        corners = quad((*p, 0.0), (*q, 0.0), (*q, top), (*p, top))
        base = story  # the pattern of an upper floor: windows only
        uv = quad((0, base, 0), (length, base, 0), (length, base + top, 0), (0, base + top, 0))
        pieces.append(shape(corners, front, uv=uv[..., :2]))
    pieces.append(shape(box((a - 0.08, out - 0.08, top), (b + 0.08, 0, top + 0.14)), stone))
    return pieces
