"""Band-limited patterns: a periodic noise tile with its mip chain, filtered stripes, hashes.

Everything is a function of surface coordinates, so it sticks to the world; everything takes the
width of the pixel's footprint and integrates over it, so it does not shimmer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litescene.core.njit import njit

TILE = 512
LEVELS = 10


def noise_tile(seed: int) -> NDArray[np.float32]:
    """Two periodic noise fields with zero mean and unit deviation, and their mip chains.

    Field 0 has a 1/f spectrum (stains, clouds), field 1 a flat one up to a quarter of the
    sampling rate (grains, leaves). Returns 2×n float32: levels from 512² down to 1², in a row.
    """
    rng = np.random.default_rng(seed)
    frequency = np.fft.fftfreq(TILE) * TILE
    radius = np.hypot(*np.meshgrid(frequency, frequency))
    radius[0, 0] = 1.0
    fields = []
    for spectrum in (radius**-1.15, np.exp(-((radius / (TILE / 5)) ** 2)) * radius**-0.35):
        phase = np.fft.fft2(rng.standard_normal((TILE, TILE)))
        field = np.real(np.fft.ifft2(phase * spectrum))
        field = (field - field.mean()) / field.std()
        fields.append(_mip_chain(np.clip(field, -2.8, 2.8)))
    return np.stack(fields).astype(np.float32)


def _mip_chain(field: NDArray[np.float64]) -> NDArray[np.float64]:
    levels = [field.ravel()]
    while field.shape[0] > 1:
        half = field.shape[0] // 2
        field = field.reshape(half, 2, half, 2).mean(axis=(1, 3))
        levels.append(field.ravel())
    return np.concatenate(levels)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _bilinear(chain: NDArray[np.float32], offset: int, size: int, x: float, y: float) -> float:
    x = x - 0.5
    y = y - 0.5
    x0 = np.floor(x)
    y0 = np.floor(y)
    fx = x - x0
    fy = y - y0
    mask = size - 1
    i0 = int(x0) & mask
    i1 = (i0 + 1) & mask
    j0 = (int(y0) & mask) * size
    j1 = ((int(y0) + 1) & mask) * size
    top = chain[offset + j0 + i0] * (1.0 - fx) + chain[offset + j0 + i1] * fx
    bottom = chain[offset + j1 + i0] * (1.0 - fx) + chain[offset + j1 + i1] * fx
    return top * (1.0 - fy) + bottom * fy


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def noise(chain: NDArray[np.float32], x: float, y: float, texel: float, width: float) -> float:
    """Noise at surface point (x, y) metres for a tile with `texel` metres per sample, averaged
    over a footprint of `width` metres (trilinear mip lookup).
    """
    level = np.log2(max(width / texel, 1e-6))
    level = min(max(level, 0.0), LEVELS - 1.001)
    low = int(level)
    blend = level - low
    size = TILE >> low
    offset = (4 * (TILE * TILE - size * size)) // 3
    scale = 1.0 / (texel * (1 << low))
    value = _bilinear(chain, offset, size, x * scale, y * scale)
    if blend > 0.02:
        offset += size * size
        value += blend * (
            _bilinear(chain, offset, size >> 1, x * scale * 0.5, y * scale * 0.5) - value
        )
    return value


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _pulse_integral(x: float, period: float, width: float) -> float:
    whole = np.floor(x / period)
    return whole * width + min(x - whole * period, width)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def stripes(x: float, period: float, start: float, stop: float, footprint: float) -> float:
    """Share of the footprint around x that lies in [start, stop) modulo `period`: exact."""
    half = max(footprint, 1e-4) * 0.5
    a = x - start - half
    b = x - start + half
    width = stop - start
    return (_pulse_integral(b, period, width) - _pulse_integral(a, period, width)) / (2.0 * half)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def band(x: float, start: float, stop: float, footprint: float) -> float:
    """Share of the footprint around x that lies in [start, stop]."""
    half = max(footprint, 1e-4) * 0.5
    inside = min(stop, x + half) - max(start, x - half)
    return min(max(inside / (2.0 * half), 0.0), 1.0)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def cell_random(i: int, j: int, salt: int) -> float:
    """A number in 0..1 for an integer cell."""
    h = (i * 374761393 + j * 668265263 + salt * 2147483647 + 977) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return ((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0
