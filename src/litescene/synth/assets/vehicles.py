"""Cars, vans, buses, trucks and bicycles, in their own frame: x forward, y left, z up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from litescene.synth.assets.decals import PLATE
from litescene.synth.mesh import F64, Mesh, box, fan, joined, quad, shape, tube
from litescene.synth.surfaces import DECAL, GLASS, LAMP, PAINT, PLAIN, Surfaces

CAR_COLORS = (
    (0.50, 0.51, 0.52),
    (0.20, 0.21, 0.22),
    (0.025, 0.025, 0.03),
    (0.68, 0.68, 0.66),
    (0.26, 0.015, 0.02),
    (0.015, 0.04, 0.15),
    (0.015, 0.09, 0.06),
    (0.30, 0.25, 0.15),
    (0.08, 0.15, 0.24),
    (0.42, 0.14, 0.02),
    (0.09, 0.09, 0.10),
    (0.58, 0.43, 0.04),
)
CAR_SHARES = (0.17, 0.13, 0.15, 0.13, 0.08, 0.09, 0.04, 0.04, 0.06, 0.02, 0.07, 0.02)
BUS_COLORS = ((0.48, 0.02, 0.02), (0.05, 0.22, 0.10), (0.70, 0.52, 0.04), (0.03, 0.10, 0.40))


def loft(outline: ArrayLike, half_widths: ArrayLike, surface: int, part: int = 0) -> Mesh:
    """A closed side outline (k×2: x, z) spread to ±its half width (k), smooth over small bends."""
    p, w = np.asarray(outline, float), np.asarray(half_widths, float)
    left = np.column_stack([p[:, 0], w, p[:, 1]])
    right = left * [1, -1, 1]
    k = len(p)
    nxt = (np.arange(k) + 1) % k
    faces = np.stack([left, right, right[nxt], left[nxt]], axis=1)
    band_corners = faces[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
    edge = p[nxt] - p
    normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
    if np.sum(p[:, 0] * p[nxt, 1] - p[nxt, 0] * p[:, 1]) < 0:
        normal = -normal
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    before = np.roll(normal, 1, axis=0)
    smooth = np.einsum("ij,ij->i", before, normal) > 0.6
    start = np.where(smooth[:, None], before + normal, normal)
    end = np.roll(np.where(smooth[:, None], before + normal, before), -1, axis=0)
    start, end = (
        np.insert(n / np.linalg.norm(n, axis=1, keepdims=True), 1, 0.0, axis=1)
        for n in (start, end)
    )
    square = np.stack([start, start, end, end], axis=1)
    normals = square[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
    middle = np.array([p[:, 0].mean(), 0, p[:, 1].mean()])
    caps, bulges = [], []
    for side, sign in ((left, 1.0), (right, -1.0)):
        center = np.array([middle[0], side[:, 1].mean(), middle[2]])
        cap = np.stack([np.broadcast_to(center, (k, 3)), side, side[nxt]], axis=1)
        # shaded as one gently curved panel, whatever the fan of triangles
        tilt = np.clip(0.7 * (cap[..., 2] - middle[2]), -0.5, 0.5)
        bulge = np.stack([0 * tilt, 0 * tilt + sign, tilt], axis=-1)
        caps.append(cap)
        bulges.append(bulge / np.linalg.norm(bulge, axis=2, keepdims=True))
    sides, curved = np.concatenate(caps), np.concatenate(bulges)
    return joined(
        [
            shape(band_corners, surface, normals=normals, part=part),
            shape(sides, surface, normals=curved, part=part),
        ]
    )


def wheel(center: ArrayLike, radius: float, width: float, s: Surfaces, part: int) -> Mesh:
    """Tyre with a spoked rim, turning as its own part."""
    c = np.asarray(center, float)
    tyre = s.add(PLAIN, "car", (0.018, 0.018, 0.019), parameters=(0.1,))
    rim = s.add(PAINT, "car", (0.26, 0.26, 0.27))
    half = np.array([0.0, width / 2, 0.0])
    a, b = c - half, c + half
    corners, normals = tube(a, b, radius, radius, 14)
    angles = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    ring = np.stack([np.cos(angles), np.zeros(14), np.sin(angles)], axis=1)
    pieces = [shape(corners, tyre, normals=normals, part=part)]
    for face, offset in ((a, -0.004), (b, 0.004)):
        pieces.append(shape(fan(face + radius * ring), tyre, part=part))
        for k in range(7):
            t = 2 * np.pi * k / 7
            out = np.array([np.cos(t), 0, np.sin(t)])
            along = np.array([-np.sin(t), 0, np.cos(t)]) * 0.13 * radius
            lift = face + np.array([0.0, offset, 0.0])
            spoke = quad(
                lift - along,
                lift + out * 0.62 * radius - along,
                lift + out * 0.62 * radius + along,
                lift + along,
            )
            pieces.append(shape(spoke, rim, part=part))
    return joined(pieces)


def _mirrored(corners: F64) -> F64:
    return np.concatenate([corners, corners[:, ::-1] * [1, -1, 1]])


def _lights(
    s: Surfaces, front: float, rear: float, half: float, height: float, plate: float
) -> list[Mesh]:
    head = s.add(LAMP, "car", (0.85, 0.85, 0.80), parameters=(1.1,))
    tail = s.add(LAMP, "car", (0.55, 0.02, 0.02), parameters=(1.0,))
    sign = s.add(DECAL, "car", (1, 1, 1), parameters=(PLATE,))
    unit = [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]
    pieces = []
    for x, surface in ((front + 0.012, head), (rear - 0.012, tail)):
        lamp = quad(
            (x, half - 0.34, height),
            (x, half - 0.06, height),
            (x, half - 0.06, height + 0.15),
            (x, half - 0.34, height + 0.15),
        )
        pieces.append(shape(_mirrored(lamp), surface))
        turn = -1 if x > 0 else 1
        a, b = (x, turn * 0.26, plate), (x, -turn * 0.26, plate)
        board = quad(a, b, (x, b[1], plate + 0.12), (x, a[1], plate + 0.12))
        pieces.append(shape(board, sign, uv=unit))
    return pieces


def _glass(s: Surfaces) -> int:
    return s.add(GLASS, "car", (0.025, 0.03, 0.034))


def _side_windows(
    s: Surfaces,
    spans: Sequence[tuple[float, float, float, float]],
    low: float,
    high: float,
    half: tuple[float, float],
) -> Mesh:
    """Panes on both sides: each span is (x low front, x low rear, x high front, x high rear)."""
    panes = []
    for front, rear, top_front, top_rear in spans:
        panes.append(
            quad(
                (rear, half[0] + 0.012, low),
                (front, half[0] + 0.012, low),
                (top_front, half[1] + 0.012, high),
                (top_rear, half[1] + 0.012, high),
            )
        )
    return shape(_mirrored(np.concatenate(panes)), _glass(s))


def car(s: Surfaces, color: Sequence[float], style: int = 0) -> Mesh:
    """Saloon (0), hatchback (1) or estate/SUV (2); 4.1 to 4.5 m long; wheels are part 1."""
    paint = s.add(PAINT, "car", color)
    dark = s.add(PLAIN, "car", (0.02, 0.02, 0.022), parameters=(0.06,))
    lift = 0.12 if style == 2 else 0.0
    rear = (-2.22, -1.98, -2.15)[style]
    hood, belt, roof = 0.86 + lift, 0.92 + lift, (1.42, 1.46, 1.66)[style]
    deck = (0.95 + lift, 0.98 + lift, 1.0 + lift)[style]
    outline = [
        (2.16, 0.30),
        (2.22, 0.48),
        (2.16, 0.68 + lift),
        (1.95, 0.78 + lift),
        (1.05, hood),
        (0.9, belt),
        (-1.55, belt),
        (rear + 0.12, deck),
        (rear, deck - 0.14),
        (rear - 0.03, 0.5),
        (rear + 0.06, 0.28),
    ]
    widths = [0.72, 0.78, 0.80, 0.80, 0.84, 0.86, 0.86, 0.82, 0.80, 0.80, 0.76]
    back_top, back_low = ((-1.05, -1.72), (-1.45, -1.90), (-1.75, -2.05))[style]
    cabin = [
        (0.92, belt - 0.02),
        (0.28, roof - 0.06),
        (0.0, roof),
        (back_top + 0.2, roof),
        (back_top, roof - 0.05),
        (back_low, belt - 0.02),
    ]
    half_low, half_top = 0.80, 0.62
    pieces = [
        loft(outline, widths, paint),
        loft(
            cabin, [half_low, half_top, half_top - 0.02, half_top - 0.02, half_top, half_low], paint
        ),
        shape(box((-1.9, -0.83, 0.2), (2.0, 0.83, 0.36)), dark),
    ]
    spread = half_top - half_low
    upper, lower = roof - 0.12, belt + 0.05
    share = (upper - belt) / (roof - 0.06 - belt)
    y = (half_low + spread * (lower - belt) / (roof - belt), half_low + spread * share)
    pieces.append(
        _side_windows(
            s,
            [
                (0.72, -0.12, 0.3, -0.12),
                (-0.2, -0.95, -0.2, -0.98),
                (-1.03, back_low + 0.28, -1.06, back_top + 0.05),
            ][: 3 if style else 2],
            lower,
            upper,
            y,
        )
    )
    for low_x, high_x, sign in ((0.92, 0.28, 1), (back_low, back_top, -1)):
        run, rise = high_x - low_x, roof - 0.06 - belt
        a, b = 0.1, 0.93
        e = 0.014 * sign
        pane = quad(
            (low_x + a * run + e, -half_low + 0.1, belt + a * rise + 0.014),
            (low_x + a * run + e, half_low - 0.1, belt + a * rise + 0.014),
            (low_x + b * run + e, half_top - 0.06, belt + b * rise + 0.014),
            (low_x + b * run + e, -half_top + 0.06, belt + b * rise + 0.014),
        )
        pieces.append(shape(pane, _glass(s)))
    pieces += _lights(s, 2.19, rear - 0.02, 0.76, 0.58 + lift, 0.42)
    grille = quad((2.21, -0.45, 0.52), (2.21, 0.45, 0.52), (2.18, 0.45, 0.68), (2.18, -0.45, 0.68))
    pieces.append(shape(grille, dark))
    pieces.append(shape(_mirrored(box((0.62, 0.86, 0.92 + lift), (0.78, 1.0, 1.04 + lift))), dark))
    pieces += [
        wheel((x, side * 0.76, 0.32), 0.32, 0.2, s, 1 if x > 0 else 2)
        for x in (1.36, -1.32)
        for side in (-1, 1)
    ]
    return joined(pieces)


def van(s: Surfaces, color: Sequence[float]) -> Mesh:
    """Delivery van, 5 m."""
    paint = s.add(PAINT, "car", color)
    dark = s.add(PLAIN, "car", (0.02, 0.02, 0.022), parameters=(0.06,))
    outline = [
        (2.45, 0.3),
        (2.5, 0.6),
        (2.4, 0.95),
        (1.75, 1.2),
        (1.2, 2.0),
        (0.9, 2.15),
        (-2.4, 2.15),
        (-2.5, 2.0),
        (-2.52, 0.45),
        (-2.45, 0.3),
    ]
    pieces = [
        loft(outline, [0.82, 0.9, 0.92, 0.92, 0.84, 0.8, 0.82, 0.84, 0.92, 0.9], paint),
        shape(box((-2.3, -0.9, 0.2), (2.2, 0.9, 0.36)), dark),
        _side_windows(s, [(1.6, 0.75, 1.22, 0.75)], 1.28, 1.85, (0.93, 0.88)),
        shape(
            quad((1.74, -0.82, 1.26), (1.74, 0.82, 1.26), (1.27, 0.76, 1.94), (1.27, -0.76, 1.94)),
            _glass(s),
        ),
        shape(
            _mirrored(
                quad(
                    (-2.525, 0.1, 1.3),
                    (-2.525, 0.72, 1.3),
                    (-2.515, 0.68, 1.85),
                    (-2.515, 0.1, 1.85),
                )
            ),
            _glass(s),
        ),
    ]
    pieces += _lights(s, 2.46, -2.52, 0.86, 0.68, 0.45)
    pieces += [
        wheel((x, side * 0.82, 0.35), 0.35, 0.22, s, 1 if x > 0 else 2)
        for x in (1.6, -1.6)
        for side in (-1, 1)
    ]
    return joined(pieces)


def bus(s: Surfaces, color: Sequence[float], decks: int = 1) -> Mesh:
    """City bus, 10 m, one or two decks."""
    paint = s.add(PAINT, "car", color)
    dark = s.add(PLAIN, "car", (0.02, 0.02, 0.022), parameters=(0.06,))
    top = 3.0 if decks == 1 else 4.3
    outline = [
        (5.0, 0.35),
        (5.05, 1.0),
        (4.95, top - 0.25),
        (4.7, top),
        (-4.8, top),
        (-5.0, top - 0.15),
        (-5.05, 0.5),
        (-4.9, 0.35),
    ]
    pieces = [
        loft(outline, [1.24] * 8, paint),
        shape(box((-4.7, -1.2, 0.22), (4.8, 1.2, 0.4)), dark),
    ]
    spans = [(x + 1.25, x, x + 1.25, x) for x in np.arange(-4.6, 4.2, 1.42)]
    for low in (1.35, 3.05)[:decks]:
        pieces.append(_side_windows(s, spans, low, low + 1.0, (1.24, 1.24)))
        for x, e in ((5.05, 0.02), (-5.05, -0.02)):
            w = 1.1 if x > 0 else 0.85
            pieces.append(
                shape(
                    quad(
                        (x + e, -w, low),
                        (x + e, w, low),
                        (x + e, w, low + 1.05),
                        (x + e, -w, low + 1.05),
                    ),
                    _glass(s),
                )
            )
    pieces += _lights(s, 5.05, -5.05, 1.2, 0.75, 0.5)
    pieces += [
        wheel((x, side * 1.1, 0.48), 0.48, 0.28, s, 1 if x > 0 else 2)
        for x in (3.1, -2.9)
        for side in (-1, 1)
    ]
    return joined(pieces)


def truck(s: Surfaces, color: Sequence[float]) -> Mesh:
    """Box truck, 7 m."""
    paint = s.add(PAINT, "car", color)
    white = s.add(PAINT, "car", (0.66, 0.66, 0.64))
    dark = s.add(PLAIN, "car", (0.02, 0.02, 0.022), parameters=(0.06,))
    cab = [
        (3.4, 0.45),
        (3.45, 1.1),
        (3.25, 1.5),
        (2.95, 2.35),
        (2.7, 2.5),
        (1.75, 2.5),
        (1.75, 0.45),
    ]
    pieces = [
        loft(cab, [1.0, 1.05, 1.05, 0.98, 0.95, 1.0, 1.05], paint),
        shape(box((-3.5, -1.15, 0.95), (1.65, 1.15, 3.1)), white),
        shape(box((-3.4, -0.5, 0.5), (3.0, 0.5, 0.95)), dark),
        shape(
            quad((3.26, -0.95, 1.52), (3.26, 0.95, 1.52), (2.99, 0.9, 2.3), (2.99, -0.9, 2.3)),
            _glass(s),
        ),
        _side_windows(s, [(3.1, 2.1, 2.9, 2.1)], 1.5, 2.2, (1.06, 1.0)),
        shape(box((-3.52, -1.1, 0.5), (-3.4, 1.1, 0.7)), dark),
    ]
    pieces += _lights(s, 3.42, -3.53, 1.05, 0.72, 0.55)
    pieces += [
        wheel((x, side * 0.95, 0.45), 0.45, 0.28, s, 1 if x > 0 else 2)
        for x in (2.4, -2.2)
        for side in (-1, 1)
    ]
    return joined(pieces)


def bicycle(s: Surfaces, color: Sequence[float]) -> Mesh:
    """Frame, bars, saddle and two spoked wheels (parts 1 and 2), 1.05 m between axles."""
    metal = s.add(PAINT, "bicyclist", color)
    dark = s.add(PLAIN, "bicyclist", (0.02, 0.02, 0.02))
    spoke = s.add(PLAIN, "bicyclist", (0.35, 0.35, 0.36))
    crank, seat, head = (-0.08, 0, 0.3), (-0.25, 0, 0.82), (0.38, 0, 0.86)
    rods = [
        (crank, seat),
        (crank, head),
        ((-0.22, 0, 0.74), (0.36, 0, 0.78)),
        ((-0.5, 0, 0.34), crank),
        ((-0.5, 0, 0.34), (-0.23, 0, 0.75)),
        ((0.55, 0, 0.34), head),
        (head, (0.36, 0, 1.0)),
    ]
    pieces = []
    for a, b in rods:
        corners, normals = tube(a, b, 0.022, 0.022, 5)
        pieces.append(shape(corners, metal, normals=normals))
    pieces.append(shape(box((0.31, -0.28, 0.98), (0.35, 0.28, 1.02)), dark))
    pieces.append(shape(box((-0.38, -0.07, 0.82), (-0.12, 0.07, 0.87)), dark))
    for part, x in ((1, 0.55), (2, -0.5)):
        hub = np.array([x, 0, 0.34])
        angles = np.linspace(0, 2 * np.pi, 15)
        rim = hub + 0.33 * np.stack([np.cos(angles), 0 * angles, np.sin(angles)], axis=1)
        for k in range(14):
            corners, normals = tube(rim[k], rim[k + 1], 0.022, 0.022, 4)
            pieces.append(shape(corners, dark, normals=normals, part=part))
            if k % 2 == 0:
                corners, normals = tube(hub, rim[k], 0.005, 0.005, 3)
                pieces.append(shape(corners, spoke, normals=normals, part=part))
    return joined(pieces)
