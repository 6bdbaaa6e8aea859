"""The look of every material: linear albedo as a function of the place on the surface.

Kernels get surface coordinates u, v (metres), the footprint of the pixel along both (fu, fv), the
world position and the surface's row; all detail is filtered over the footprint.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit
from litescene.synth.noise import band, cell_random, noise, stripes
from litescene.synth.surfaces import (
    BARK,
    CROSSWALK,
    DECAL,
    FACADE,
    KERB,
    LEAVES,
    PAVING,
    PLANKS,
    ROAD,
    ROOF,
)

Row = NDArray[np.float32]
Color = tuple[float, float, float]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _mix(a: Color, b: Color, t: float) -> Color:
    return (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _gain(a: Color, k: float) -> Color:
    k = max(k, 0.05)
    return (a[0] * k, a[1] * k, a[2] * k)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _smeared(
    chain: Row, x: float, y: float, fx: float, fy: float, texel: float, taps: int
) -> float:
    """Noise over a footprint that is long along one axis: a few taps along it."""
    if fx >= fy:
        step = fx / taps
        width = max(step, fy)
        total = 0.0
        for k in range(taps):
            total += noise(chain, x + (k + 0.5) * step - 0.5 * fx, y, texel, width)
        return total / taps
    step = fy / taps
    width = max(step, fx)
    total = 0.0
    for k in range(taps):
        total += noise(chain, x, y + (k + 0.5) * step - 0.5 * fy, texel, width)
    return total / taps


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _asphalt(tiles: Row, x: float, y: float, fx: float, fy: float, base: Color) -> Color:
    grain = _smeared(tiles[1], x, y, fx, fy, 0.012, 2)
    stain = _smeared(tiles[0], x, y, fx, fy, 0.034, 2)
    patch = noise(tiles[0], x + 3.7, y * 0.9 + 11.0, 0.17, 0.4)
    crack = 1.0 - min(abs(noise(tiles[0], x + 5.0, y, 0.09, max(min(fx, fy), 0.03))) * 22.0, 1.0)
    fade = max(0.0, 1.0 - max(fx, fy) * 5.0)
    return _gain(base, 1.0 + 0.17 * grain + 0.05 * stain + 0.09 * patch - 0.3 * crack * fade)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _lines(across: float, along: float, fa: float, fl: float, half: float, gap: float) -> float:
    """Share of paint: dashed centre line, bay lines at the parking strip, kerb line."""
    paint = band(across, -0.06, 0.06, fa) * stripes(along, 6.0, 0.0, 3.2, fl)
    side = abs(across)
    paint += band(side, half - 2.05, half - 1.95, fa) * stripes(along, 2.0, 0.0, 1.1, fl)
    paint += band(side, half - 2.0, half, fa) * stripes(along, 6.0, 0.0, 0.09, fl)
    return min(paint, 1.0) * band(gap, 0.0, 500.0, fl)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _road(row: Row, tiles: Row, x: float, y: float, fx: float, fy: float) -> Color:
    """Road plane of the whole town; parameters: half distances of the streets, half width."""
    a, b, half = row[8], row[9], row[10]
    color = _asphalt(tiles, x, y, fx, fy, (row[2], row[3], row[4]))
    du, dv = abs(x) - a, abs(y) - b
    clear = half + 6.0
    paint = 0.0
    wheel = 0.0
    if abs(du) < half:
        paint = _lines(du, y, fx, fy, half, abs(dv) - clear)
        stop = band(abs(dv), clear - 1.2, clear - 0.8, fy) * band(abs(du), 0.1, half - 2.0, fx)
        # traffic keeps to one side: the stop line spans only the lane that arrives
        arriving = du * np.sign(x) * np.sign(dv) * np.sign(y) * row[11] < 0.0
        paint = max(paint, stop if arriving else 0.0)
        wheel = band(abs(abs(du) - 1.7), 0.55, 0.95, fx + 0.3)
    elif abs(dv) < half:
        paint = _lines(dv, x, fy, fx, half, abs(du) - clear)
        stop = band(abs(du), clear - 1.2, clear - 0.8, fx) * band(abs(dv), 0.1, half - 2.0, fy)
        arriving = dv * np.sign(y) * np.sign(du) * np.sign(x) * row[11] > 0.0
        paint = max(paint, stop if arriving else 0.0)
        wheel = band(abs(abs(dv) - 1.7), 0.55, 0.95, fy + 0.3)
    worn = 0.8 + 0.16 * noise(tiles[1], x, y, 0.03, max(fx, fy))
    color = _gain(color, 1.0 - 0.12 * wheel)
    return _mix(color, (0.62, 0.61, 0.57), paint * min(max(worn, 0.3), 1.0))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _crosswalk(
    row: Row, tiles: Row, x: float, y: float, u: float, f: tuple[float, float, float, float]
) -> Color:
    color = _asphalt(tiles, x, y, f[2], f[3], (row[2], row[3], row[4]))
    bars = stripes(u, 1.1, 0.0, 0.55, f[0])
    worn = 0.86 + 0.13 * noise(tiles[1], x, y, 0.03, max(f[2], f[3]))
    return _mix(color, (0.66, 0.65, 0.61), bars * min(max(worn, 0.4), 1.0))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _paving(row: Row, tiles: Row, x: float, y: float, fx: float, fy: float) -> Color:
    base = (row[2], row[3], row[4])
    width = max(fx, fy)
    size = row[8]
    joints = max(
        stripes(x, size, 0.0, 0.022, max(fx, 0.02)), stripes(y, size, 0.0, 0.022, max(fy, 0.02))
    )
    slab = cell_random(int(np.floor(x / size)), int(np.floor(y / size)), 5) - 0.5
    keep = max(0.0, 1.0 - width / size)
    detail = 0.09 * _smeared(tiles[1], x, y, fx, fy, 0.017, 2)
    detail += 0.10 * _smeared(tiles[0], x, y, fx, fy, 0.031, 3)
    color = _gain(base, 1.0 + detail + 0.32 * slab * keep)
    return _gain(color, 1.0 - 0.5 * joints)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _bricks(row: Row, tiles: Row, u: float, v: float, fu: float, fv: float) -> Color:
    """Wall of bricks, stone blocks or plaster; parameter 4: height of a course (0: plaster)."""
    base = (row[2], row[3], row[4])
    salt = int(row[15])
    stain = noise(tiles[0], u + 1.7 * salt, v, 0.024, max(fu, fv))
    streak = noise(tiles[0], u * 3.0 + 0.9 * salt, v * 0.35, 0.05, max(fu, fv))
    color = _gain(base, 1.0 + 0.10 * stain + 0.06 * streak)
    course = row[12]
    grain = noise(tiles[1], u, v, 0.02, max(fu, fv))
    if course <= 0.0:
        return _gain(color, 1.0 + 0.05 * grain)
    length = course * 3.0
    line = np.floor(v / course)
    shift = 0.5 * length * (line - 2.0 * np.floor(line / 2.0))
    brick = cell_random(int(np.floor((u + shift) / length)), int(line), salt) - 0.5
    keep = max(0.0, 1.0 - max(fu / length, fv / course) * 0.8)
    joints = max(
        stripes(v, course, 0.0, 0.014, fv), stripes(u + shift, length, 0.0, 0.014, fu) * keep
    )
    color = _gain(color, 1.0 + 0.55 * brick * keep + 0.08 * grain)
    return _mix(color, (0.36, 0.34, 0.31), 0.7 * joints)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _pane(row: Row, tiles: Row, u: float, v: float, fu: float, fv: float, sky: float) -> Color:
    """What shows in a window: a dark room, perhaps a curtain, and the sky mirrored in it."""
    salt = int(row[15])
    bay, floor = int(np.floor(u / row[8])), int(np.floor(v / row[9]))
    keep = max(0.0, 1.0 - 0.5 * max(fu / row[8], fv / row[9]))
    curtain = cell_random(bay, floor, salt + 3)
    room = 0.03 + 0.03 * cell_random(bay, floor, salt + 4)
    inside = (room, room * 0.95, room * 0.85)
    if curtain > 0.55:
        drop = row[9] * (0.35 + 0.5 * cell_random(bay, floor, salt + 6))
        hang = v - floor * row[9]
        folds = 0.75 + 0.25 * noise(tiles[0], u * 6.0, v * 0.3, 0.08, fu * 6.0)
        cover = band(hang, drop, row[9], fv) * 0.8
        inside = _mix(inside, (0.42 * folds, 0.4 * folds, 0.35 * folds), cover * keep)
    mirrored = 0.22 + 0.1 * noise(tiles[0], u, v * 0.6, 0.05, max(fu, fv))
    return (
        inside[0] + 0.9 * sky * mirrored * 0.8,
        inside[1] + 0.9 * sky * mirrored * 0.92,
        inside[2] + 0.9 * sky * mirrored,
    )


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _facade(row: Row, tiles: Row, u: float, v: float, fu: float, fv: float, sky: float) -> Color:
    """Wall with windows, doors or shops.

    Parameters: 0 bay width, 1 floor height, 2 window width, 3 window height, 4 course,
    5 shop (1) or dwelling (0), 6 glazing bars, 7 seed, 8-10 shop colour.
    """
    bay, story = row[8], row[9]
    color = _bricks(row, tiles, u, v, fu, fv)
    trim = (row[5], row[6], row[7])
    side, sill = 0.5 * (bay - row[10]), 0.3 * (story - row[11]) + 0.35
    ground = v < story
    color = _gain(color, 1.0 - 0.25 * band(v, -1.0, 0.35, fv))
    color = _mix(color, trim, 0.8 * band(v, story - 0.12, story + 0.02, fv))
    if ground and row[13] > 0.5:
        board = (row[16], row[17], row[18])
        glass = stripes(u, bay, 0.14, bay - 0.14, fu) * band(v, 0.55, story - 0.95, fv)
        color = _mix(color, board, band(v, 0.0, story - 0.15, fv))
        color = _mix(color, _pane(row, tiles, u, v, fu, fv, sky), glass)
        goods = 0.5 + 0.5 * noise(tiles[0], u * 2.0, v * 2.0, 0.05, max(fu, fv) * 2.0)
        low = glass * band(v, 0.55, 1.5, fv) * 0.35
        return _mix(color, (0.5 * goods, 0.36 * goods, 0.25 * goods), low)
    cell = int(np.floor(u / bay))
    if ground and cell_random(cell, 1, int(row[15])) < 0.34:
        frame = stripes(u, bay, 0.5 * bay - 0.62, 0.5 * bay + 0.62, fu) * band(v, 0.0, 2.35, fv)
        leaf = stripes(u, bay, 0.5 * bay - 0.5, 0.5 * bay + 0.5, fu) * band(v, 0.05, 2.2, fv)
        panels = stripes(u, 0.5, 0.08, 0.42, fu) * stripes(v, 1.05, 0.12, 0.95, fv)
        tint = cell_random(cell, 2, int(row[15]))
        door = (0.08 + 0.3 * (1.0 - tint) * tint, 0.06 + 0.1 * tint, 0.05 + 0.22 * tint * tint)
        color = _mix(color, trim, frame)
        return _mix(color, _gain(door, 1.0 - 0.3 * panels), leaf)
    top = sill + row[11]
    outer = stripes(u, bay, side - 0.1, bay - side + 0.1, fu) * stripes(
        v, story, sill - 0.12, top + 0.1, fv
    )
    inner = stripes(u, bay, side, bay - side, fu) * stripes(v, story, sill, top, fv)
    bars = max(
        stripes(u, bay, 0.5 * bay - 0.035, 0.5 * bay + 0.035, fu),
        stripes(v, story, sill + 0.55 * row[11], sill + 0.55 * row[11] + 0.06, fv),
    )
    shade = stripes(v, story, top - 0.22, top, fv)
    under = stripes(u, bay, side - 0.15, bay - side + 0.15, fu) * stripes(
        v, story, sill - 0.5, sill - 0.12, fv
    )
    color = _mix(_gain(color, 1.0 - 0.22 * under), trim, 0.9 * outer)
    glass = inner * (1.0 - bars * row[14])
    return _mix(color, _gain(_pane(row, tiles, u, v, fu, fv, sky), 1.0 - 0.55 * shade), glass)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _roof(row: Row, tiles: Row, u: float, v: float, fu: float, fv: float) -> Color:
    base = (row[2], row[3], row[4])
    line = np.floor(v / 0.28)
    keep = max(0.0, 1.0 - max(fu, fv) / 0.3)
    tile = cell_random(int(np.floor(u / 0.22 + 0.5 * (line % 2.0))), int(line), 9) - 0.5
    rows = stripes(v, 0.28, 0.0, 0.05, fv)
    stain = noise(tiles[0], u, v, 0.05, max(fu, fv))
    return _gain(base, (1.0 + 0.14 * stain + 0.5 * tile * keep) * (1.0 - 0.45 * rows))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _leaves(row: Row, tiles: Row, u: float, v: float, f: float) -> Color:
    texture = noise(tiles[1], u, v, 0.03, f)
    large = noise(tiles[0], u, v, 0.06, f)
    color = _mix((row[2], row[3], row[4]), (row[5], row[6], row[7]), 0.5 + 0.22 * large)
    return _gain(color, 1.0 + 0.33 * texture)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _bark(row: Row, tiles: Row, u: float, v: float, f: float) -> Color:
    ridges = noise(tiles[0], u * 4.0, v * 0.6, 0.03, f * 2.0)
    moss = noise(tiles[0], u, v, 0.05, f)
    return _gain((row[2], row[3], row[4]), 1.0 + 0.3 * ridges + 0.15 * moss)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _planks(row: Row, tiles: Row, u: float, v: float, fu: float, fv: float) -> Color:
    gap = stripes(u, 0.15, 0.0, 0.016, fu)
    keep = max(0.0, 1.0 - fu / 0.15)
    board = cell_random(int(np.floor(u / 0.15)), 0, 3) - 0.5
    fibre = noise(tiles[0], u * 5.0, v * 0.7, 0.04, max(fu, fv) * 2.0)
    color = _gain((row[2], row[3], row[4]), 1.0 + 0.14 * fibre + 0.4 * board * keep)
    return _gain(color, 1.0 - 0.75 * gap)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _decal(row: Row, atlas: NDArray[np.uint8], u: float, v: float, fu: float, fv: float) -> Color:
    """A picture of the atlas: u, v in 0..1, level by footprint."""
    count, size = atlas.shape[0], atlas.shape[2]
    index = min(max(int(row[8]), 0), count - 1)
    level = 0
    width = max(fu, fv) * size
    while width > 1.5 and size > 2:
        width *= 0.5
        size //= 2
        level += 1
    # levels lie below each other in one column of pictures
    top = 2 * (atlas.shape[2] - size) if level > 0 else 0
    x = min(max(u * size - 0.5, 0.0), size - 1.001)
    y = min(max((1.0 - v) * size - 0.5, 0.0), size - 1.001)
    i, j = int(x), int(y)
    a, b = x - i, y - j
    out = np.zeros(3)
    for c in range(3):
        p = atlas[index, top + j, i, c] * (1.0 - a) + atlas[index, top + j, i + 1, c] * a
        q = atlas[index, top + j + 1, i, c] * (1.0 - a) + atlas[index, top + j + 1, i + 1, c] * a
        out[c] = ((p * (1.0 - b) + q * b) / 255.0) ** 2.2
    return (out[0], out[1], out[2])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def albedo(
    row: Row,
    tiles: Row,
    atlas: NDArray[np.uint8],
    place: tuple[float, float, float, float],
    foot: tuple[float, float, float, float],
    sky: float,
) -> Color:
    """Linear colour of a surface.

    `place` is (u, v, world x, world y), `foot` the footprint along the same four, `row` the
    surface's row, `sky` the brightness of the sky that glass mirrors.
    """
    material = int(row[0])
    u, v, x, y = place
    fu, fv, fx, fy = foot
    if material == ROAD:
        return _road(row, tiles, x, y, fx, fy)
    if material == CROSSWALK:
        return _crosswalk(row, tiles, x, y, u, foot)
    if material == PAVING:
        return _paving(row, tiles, x, y, fx, fy)
    if material == FACADE:
        return _facade(row, tiles, u, v, fu, fv, sky)
    if material == ROOF:
        return _roof(row, tiles, u, v, fu, fv)
    if material == LEAVES:
        return _leaves(row, tiles, u, v, max(fu, fv))
    if material == BARK:
        return _bark(row, tiles, u, v, max(fu, fv))
    if material == PLANKS:
        return _planks(row, tiles, u, v, fu, fv)
    if material == DECAL:
        return _decal(row, atlas, u, v, fu, fv)
    base = (row[2], row[3], row[4])
    if material == KERB:
        joint = max(stripes(x, 0.9, 0.0, 0.02, fx), stripes(y, 0.9, 0.0, 0.02, fy))
        grain = noise(tiles[1], x + u, y + v, 0.02, max(fu, fv))
        return _gain(base, (1.0 + 0.12 * grain) * (1.0 - 0.4 * joint))
    grain = noise(tiles[0], u, v, 0.012, max(fu, fv))
    return _gain(base, 1.0 + row[8] * grain)
