"""A closed-form world for depth and fusion tests: a corridor of textured planes.

Each plane is n·X = d with a texture that is a sum of sine waves in the plane's own coordinates;
waves shorter than about two pixels fade out, so pictures are free of aliasing. Depth is exact.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from litescene.core import Camera

# normal, offset, two directions in the plane, label
PLANES = (
    ((0, 1, 0), 1.5, (1, 0, 0), (0, 0, 1), 3),  # road
    ((-1, 0, 0), 4.0, (0, 1, 0), (0, 0, 1), 1),  # building on the left
    ((1, 0, 0), 5.0, (0, 1, 0), (0, 0, 1), 7),  # fence on the right
    ((0.3, 0, 0.954), 25.0, (0.954, 0, -0.3), (0, 1, 0), 5),  # slanted wall of trees ahead
)
GROUND = (((0, 1, 0), 10.0, (1, 0, 0), (0, 0, 1), 3),)
"""Nothing but flat ground, ten metres below."""


def camera(width: int = 240, height: int = 180) -> Camera:
    return Camera.from_fov(width, height, 70.0)


def pose(
    x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0, pitch: float = 0.0
) -> np.ndarray:
    """T_world_camera; yaw in degrees about the world's y axis, pitch downwards from there."""
    c, s = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
    cp, sp = np.cos(np.radians(pitch)), np.sin(np.radians(pitch))
    T = np.eye(4)
    T[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]] @ np.array(
        [[1, 0, 0], [0, cp, sp], [0, -sp, cp]]
    )
    T[:3, 3] = x, y, z
    return T


def render(
    cam: Camera, T: np.ndarray, seed: int = 0, planes: tuple = PLANES
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture H×W×3 uint8, z-depth H×W float64 and labels H×W uint8."""
    return _render(cam, T.tobytes(), seed, planes)


@lru_cache(maxsize=64)
def _render(cam: Camera, pose_bytes: bytes, seed: int, planes: tuple) -> tuple[np.ndarray, ...]:
    T = np.frombuffer(pose_bytes).reshape(4, 4)
    v, u = np.mgrid[: cam.height, : cam.width].astype(float)
    rays = np.stack([(u - cam.cx) / cam.fx, (v - cam.cy) / cam.fy, np.ones_like(u)], -1)
    world = rays @ T[:3, :3].T
    depth, plane = np.full(u.shape, np.inf), np.full(u.shape, -1)
    for number, (normal, offset, *_) in enumerate(planes):
        with np.errstate(divide="ignore", invalid="ignore"):
            z = (offset - np.dot(normal, T[:3, 3])) / (world @ np.array(normal, float))
        nearer = (z > 0.1) & (z < depth)
        depth[nearer], plane[nearer] = z[nearer], number
    label, value = np.full(u.shape, 255, np.uint8), np.zeros((*u.shape, 3))
    for number, (_, _, e1, e2, name) in enumerate(planes):
        here = plane == number
        points = T[:3, 3] + world[here] * depth[here][:, None]
        value[here] = _texture(
            points @ np.array(e1), points @ np.array(e2), depth[here] / cam.fx, seed + number
        )
        label[here] = name
    return np.clip(value + 0.5, 0, 255).astype(np.uint8), depth, label


def _texture(a: np.ndarray, b: np.ndarray, footprint: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    value = np.zeros((*a.shape, 3))
    footprint = np.clip(footprint, 0, 1e3)
    for _ in range(16):
        wavelength = np.exp(rng.uniform(np.log(0.12), np.log(4.0)))
        direction, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi)
        wave = 2 * np.pi / wavelength
        fade = np.exp(-np.square(2.2 * footprint / wavelength))
        shade = np.sin(wave * (np.cos(direction) * a + np.sin(direction) * b) + phase) * fade
        value += shade[..., None] * rng.uniform(10, 27, 3)
    return 110 + value + 30 * rng.uniform(-1, 1, 3)
