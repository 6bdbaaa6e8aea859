"""Trees in leaf, bare trees and hedges."""

from __future__ import annotations

import numpy as np

from litescene.synth.mesh import F64, Mesh, ball, box, joined, shape, tube
from litescene.synth.surfaces import BARK, LEAVES, Surfaces

GREENS = (
    ((0.035, 0.075, 0.018), (0.10, 0.16, 0.035)),
    ((0.03, 0.06, 0.02), (0.07, 0.12, 0.04)),
    ((0.06, 0.085, 0.02), (0.17, 0.19, 0.05)),
    ((0.09, 0.07, 0.015), (0.26, 0.16, 0.03)),
)


def _leaf_cloud(
    rng: np.random.Generator, center: F64, radii: F64, count: int, size: float, surface: int
) -> Mesh:
    """Small leaves (one triangle each) over an ellipsoid, shaded as if it were round."""
    out = rng.standard_normal((count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    middle = center + out * radii * rng.uniform(0.78, 1.12, (count, 1))
    corners = middle[:, None] + rng.normal(0, 1, (count, 3, 3)) * size
    normals = np.repeat((out / radii)[:, None], 3, axis=1)
    normals = normals / np.linalg.norm(normals, axis=2, keepdims=True)
    normals = normals + rng.normal(0, 0.35, (count, 1, 3))
    normals /= np.linalg.norm(normals, axis=2, keepdims=True)
    return shape(corners, surface, normals=normals)


def _trunk(s: Surfaces, height: float, radius: float) -> tuple[int, Mesh]:
    bark = s.add(BARK, "tree", (0.085, 0.065, 0.05))
    low, n_low = tube((0, 0, -0.1), (0, 0, 0.35), radius * 1.5, radius * 1.05, 8)
    high, n_high = tube((0, 0, 0.35), (0, 0, height), radius * 1.05, radius * 0.7, 8)
    corners = np.concatenate([low, high])
    return bark, shape(corners, bark, normals=np.concatenate([n_low, n_high]))


def leafy_tree(s: Surfaces, rng: np.random.Generator, detail: float = 1.0) -> Mesh:
    """A street tree 6 to 9 m tall on its own foot at the origin."""
    dark, light = GREENS[int(rng.choice(4, p=[0.4, 0.3, 0.2, 0.1]))]
    leaves = s.add(LEAVES, "tree", dark, light)
    fork = rng.uniform(2.2, 3.0)
    bark, trunk = _trunk(s, fork + 1.0, rng.uniform(0.11, 0.19))
    pieces = [trunk]
    spread, rise = rng.uniform(1.3, 1.9), rng.uniform(1.4, 2.3)
    for k in range(int(rng.integers(5, 8))):
        angle = rng.uniform(0, 2 * np.pi)
        out = spread * (0.0 if k == 0 else rng.uniform(0.45, 0.85))
        middle = np.array(
            [out * np.cos(angle), out * np.sin(angle), fork + rise * rng.uniform(0.75, 1.6)]
        )
        radii = np.array([1.0, 1.0, 0.85]) * spread * rng.uniform(0.55, 0.8)
        corners, normals = tube((0, 0, fork), middle, 0.07, 0.03, 5)
        pieces.append(shape(corners, bark, normals=normals))
        core, n_core = ball(middle, radii * 0.84, 5, 8)
        bumps = 1.0 + 0.16 * np.sin(core * 5.3 + k).sum(axis=2, keepdims=True) / 1.7
        pieces.append(shape(middle + (core - middle) * bumps, leaves, normals=n_core))
        count = int(190 * detail)
        pieces.append(_leaf_cloud(rng, middle, radii, count, 0.15 / detail**0.4, leaves))
    return joined(pieces)


def bare_tree(s: Surfaces, rng: np.random.Generator) -> Mesh:
    """A winter tree: branches and twigs only."""
    bark, trunk = _trunk(s, 2.6, rng.uniform(0.11, 0.17))
    pieces = [trunk]

    def grow(start: F64, direction: F64, length: float, radius: float, depth: int) -> None:
        end = start + direction * length
        corners, normals = tube(start, end, radius, radius * 0.6, 5 if depth < 2 else 3)
        pieces.append(shape(corners, bark, normals=normals))
        if depth == 4:
            return
        for _ in range(3 if depth < 3 else 2):
            turn = direction + rng.normal(0, 0.45, 3) + [0, 0, 0.12]
            along = start + direction * length * rng.uniform(0.7, 1.0)
            grow(
                along,
                turn / np.linalg.norm(turn),
                length * rng.uniform(0.6, 0.8),
                radius * 0.55,
                depth + 1,
            )

    grow(np.array([0, 0, 2.4]), np.array([0.0, 0, 1.0]), 1.7, 0.1, 0)
    return joined(pieces)


def hedge(s: Surfaces, rng: np.random.Generator, length: float, height: float) -> Mesh:
    """A clipped hedge along x from 0 to `length`, centred on y = 0."""
    dark, light = GREENS[int(rng.integers(3))]
    leaves = s.add(LEAVES, "tree", dark, light)
    pieces = [shape(box((0, -0.32, 0), (length, 0.32, height)), leaves)]
    count = int(length * 55)
    x, z = rng.uniform(0, length, count), rng.uniform(0.05, height, count)
    side = rng.choice([-1.0, 1.0], count)
    top = rng.random(count) < 0.3
    middle = np.stack(
        [
            x,
            np.where(top, rng.uniform(-0.32, 0.32, count), 0.34 * side),
            np.where(top, height + 0.02, z),
        ],
        axis=1,
    )
    corners = middle[:, None] + rng.normal(0, 0.08, (count, 3, 3))
    normal = np.stack([0 * x, np.where(top, 0, side), np.where(top, 1.0, 0.2)], axis=1)
    normal = normal + rng.normal(0, 0.3, (count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    pieces.append(shape(corners, leaves, normals=np.repeat(normal[:, None], 3, axis=1)))
    return joined(pieces)
