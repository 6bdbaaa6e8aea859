"""Light: sun with shadows, sky from above, mirrored sky, haze, clouds, exposure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit
from litescene.synth.materials import albedo
from litescene.synth.noise import noise
from litescene.synth.surfaces import GLASS, LAMP, LEAVES, PAINT

F32 = NDArray[np.float32]
TONES = 4096


@dataclass(frozen=True, slots=True)
class Weather:
    """Light of a day.

    `sun` unit vector towards the sun; `sun_color`, `sky_color` (zenith), `haze_color` linear RGB;
    `cover` share of clouds, `haze` distance in metres at which 63 % is haze, `exposure` gain.
    """

    sun: F32
    sun_color: F32
    sky_color: F32
    haze_color: F32
    cover: float
    haze: float
    exposure: float

    @property
    def packed(self) -> F32:
        """All values in a row of 15 float32, the kernels' form."""
        tail = [self.cover, self.haze, self.exposure]
        return np.concatenate(
            [self.sun, self.sun_color, self.sky_color, self.haze_color, tail]
        ).astype(np.float32)


def weather_of(rng: np.random.Generator) -> Weather:
    """A day between clear and hazy, the sun 22° to 55° high."""
    azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(22, 55))
    sun = [np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)]
    cover = rng.uniform(0.15, 0.85)
    strength = 4.2 * (1.0 - 0.5 * cover)
    warm = (0.95 - height) * 0.22
    gray = np.array([0.62, 0.66, 0.72])
    blue = np.array([0.20, 0.36, 0.72])
    sky = blue + (gray - blue) * cover**1.5
    return Weather(
        np.array(sun, np.float32),
        np.array([strength, strength * (0.95 - 0.4 * warm), strength * (0.88 - warm)], np.float32),
        (sky * rng.uniform(0.9, 1.15)).astype(np.float32),
        np.array([0.78, 0.82, 0.88], np.float32) * np.float32(rng.uniform(0.85, 1.05)),
        float(cover),
        float(rng.uniform(350, 1100)),
        float(rng.uniform(0.62, 0.95)),
    )


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def sky_color(
    x: float, y: float, z: float, day: F32, tiles: F32, width: float
) -> tuple[float, float, float]:
    """Radiance of the sky along a unit direction; below the horizon the haze."""
    up = max(z, 0.0)
    t = up**0.42
    r = day[9] + (day[6] - day[9]) * t
    g = day[10] + (day[7] - day[10]) * t
    b = day[11] + (day[8] - day[11]) * t
    if z > 0.0:
        k = 1.0 / (up + 0.16)
        spread = width * k * k * 0.5
        field = noise(tiles[0], x * k, y * k, 0.034, max(spread, 0.03))
        field += 0.3 * noise(tiles[0], x * k * 2.3 + 0.7, y * k * 2.3, 0.034, max(spread, 0.03))
        level = (field + 2.6 * (day[12] - 0.55)) * 0.6 + 0.25
        cloud = min(max(level, 0.0), 1.0) * min(up * 7.0, 1.0)
        light = 1.0 - 0.34 * min(max(level - 0.55, 0.0), 1.0)
        r += (0.98 * light - r) * cloud * 0.85
        g += (1.00 * light - g) * cloud * 0.85
        b += (1.04 * light - b) * cloud * 0.85
    glow = max(x * day[0] + y * day[1] + z * day[2], 0.0)
    glow = 0.35 * glow**10 + 1.2 * glow**180
    return r + glow * day[3] * 0.35, g + glow * day[4] * 0.35, b + glow * day[5] * 0.3


def tone_curve() -> F32:
    """Display values 0..255 of radiance 0..16: a filmic shoulder, then gamma; 4097 steps of its
    square root.
    """
    x = np.linspace(0.0, 4.0, TONES + 1) ** 2
    y = (x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)
    return (255.0 * np.minimum(y, 1.0) ** (1.0 / 2.2)).astype(np.float32)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _curve(x: float, tones: F32) -> float:
    at = min(np.sqrt(max(x, 0.0)) * (TONES / 4.0), TONES - 0.001)
    k = int(at)
    return tones[k] + (tones[k + 1] - tones[k]) * (at - k)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _gloss(
    nx: float,
    ny: float,
    nz: float,
    ex: float,
    ey: float,
    ez: float,
    base: float,
    lit: float,
    open_sky: float,
    day: F32,
) -> tuple[float, float, float]:
    """Light mirrored by paint or glass with reflectance `base` head-on: sky, and the sun's spot."""
    cosine = -(nx * ex + ny * ey + nz * ez)
    mx, my, mz = ex + 2 * cosine * nx, ey + 2 * cosine * ny, ez + 2 * cosine * nz
    fresnel = (base + 0.75 * (1.0 - abs(cosine)) ** 5) * open_sky
    level = 0.5 * min(max(mz * 4.0 + 0.35, 0.0), 1.0)
    spot = 0.6 * max(mx * day[0] + my * day[1] + mz * day[2], 0.0) ** 90 * lit
    return (
        fresnel * (0.07 + level * (day[6] + day[9])) + spot * day[3],
        fresnel * (0.07 + level * (day[7] + day[10])) + spot * day[4],
        fresnel * (0.07 + level * (day[8] + day[11])) + spot * day[5],
    )


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def shade(
    triangle: NDArray[np.int32],
    distance: F32,
    barycentric: F32,
    directions: F32,
    origin: F32,
    steps: F32,
    lit: F32,
    open_sky: F32,
    table: F32,
    normals: F32,
    geometry: F32,
    tiles: F32,
    atlas: NDArray[np.uint8],
    day: F32,
    tones: F32,
    out: F32,
) -> None:
    """Colour of n samples into `out` (n×3 float32, display values 0..255).

    `directions` n×3 have unit camera depth, so `distance` n is z-depth; `triangle` n (-1: sky);
    `steps` 2×3: change of direction per sample spacing to the right and down; `lit`, `open_sky` n
    in 0..1; `normals` m×9 and `geometry` m×16 per triangle (flat normal 3, first corner 3, its uv
    2, gradients of u and v 3+3, surface, class); `table` the surfaces.
    """
    for i in range(len(triangle)):
        dx, dy, dz = directions[i, 0], directions[i, 1], directions[i, 2]
        length = np.sqrt(dx * dx + dy * dy + dz * dz)
        ex, ey, ez = dx / length, dy / length, dz / length
        k = triangle[i]
        if k < 0:
            r, g, b = sky_color(ex, ey, ez, day, tiles, abs(steps[0, 0]) + abs(steps[0, 1]))
            out[i, 0], out[i, 1], out[i, 2] = (
                _curve(r * day[14], tones),
                _curve(g * day[14], tones),
                _curve(b * day[14], tones),
            )
            continue
        g9 = geometry[k]
        t = distance[i]
        px, py, pz = origin[0] + dx * t, origin[1] + dy * t, origin[2] + dz * t
        facing = g9[0] * dx + g9[1] * dy + g9[2] * dz
        if abs(facing) < 1e-5:
            facing = 1e-5
        fu, fv, fx, fy = 0.0, 0.0, 0.0, 0.0
        for s in range(2):
            qx, qy, qz = dx + steps[s, 0], dy + steps[s, 1], dz + steps[s, 2]
            across = g9[0] * qx + g9[1] * qy + g9[2] * qz
            ratio = facing / across if abs(across) > 1e-6 else 6.0
            if ratio < 0.2 or ratio > 6.0:
                ratio = 6.0
            mx, my, mz = (qx * ratio - dx) * t, (qy * ratio - dy) * t, (qz * ratio - dz) * t
            fu += abs(g9[8] * mx + g9[9] * my + g9[10] * mz)
            fv += abs(g9[11] * mx + g9[12] * my + g9[13] * mz)
            fx += abs(mx)
            fy += abs(my)
        rx, ry, rz = px - g9[3], py - g9[4], pz - g9[5]
        u = g9[6] + g9[8] * rx + g9[9] * ry + g9[10] * rz
        v = g9[7] + g9[11] * rx + g9[12] * ry + g9[13] * rz
        row = table[int(g9[14])]
        material = int(row[0])
        b1, b2 = barycentric[i, 0], barycentric[i, 1]
        b0 = 1.0 - b1 - b2
        nk = normals[k]
        nx = b0 * nk[0] + b1 * nk[3] + b2 * nk[6]
        ny = b0 * nk[1] + b1 * nk[4] + b2 * nk[7]
        nz = b0 * nk[2] + b1 * nk[5] + b2 * nk[8]
        size = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9
        if material != LEAVES and nx * dx + ny * dy + nz * dz > 0.0:
            size = -size
        nx, ny, nz = nx / size, ny / size, nz / size
        bright = 0.5 * (day[7] + day[10])
        r, g, b = albedo(row, tiles, atlas, (u, v, px, py), (fu, fv, fx, fy), bright)
        cosine = nx * day[0] + ny * day[1] + nz * day[2]
        if material == LEAVES:
            cosine = 0.25 + 0.75 * cosine if cosine > -0.33 else 0.0
        sun = max(cosine, 0.0) * lit[i] * 0.8
        above = (0.5 + 0.5 * nz) * open_sky[i] * 0.8
        below = (0.5 - 0.5 * nz) * 0.3
        near = min(max(pz, 0.0) * 0.5, 1.0) * 0.25 + 0.75
        if nz > 0.7:
            near = 1.0
        ar = sun * day[3] + (above * (day[6] + day[9]) * 0.5 + below * day[9] * 0.8) * near
        ag = sun * day[4] + (above * (day[7] + day[10]) * 0.5 + below * day[10] * 0.77) * near
        ab = sun * day[5] + (above * (day[8] + day[11]) * 0.5 + below * day[11] * 0.72) * near
        if material == LAMP:
            ar, ag, ab = row[8], row[8], row[8]
        r, g, b = r * ar, g * ag, b * ab
        if material in (PAINT, GLASS):
            base = 0.05 if material == PAINT else 0.12
            gr, gg, gb = _gloss(nx, ny, nz, ex, ey, ez, base, lit[i], open_sky[i], day)
            r, g, b = r + gr, g + gg, b + gb
        veil = 1.0 - np.exp(-t * length / day[13])
        r += (day[9] * 0.9 - r) * veil
        g += (day[10] * 0.9 - g) * veil
        b += (day[11] * 0.9 - b) * veil
        out[i, 0] = _curve(r * day[14], tones)
        out[i, 1] = _curve(g * day[14], tones)
        out[i, 2] = _curve(b * day[14], tones)
