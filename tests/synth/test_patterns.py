"""Patterns are filtered over the footprint; rays and meshes agree with closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from litescene.synth.mesh import ball, box, flat_normals, planar_uv, prism, tube
from litescene.synth.noise import LEVELS, TILE, band, noise, noise_tile, stripes
from litescene.synth.raycast import Caster
from litescene.synth.stage import surface_frames


def test_stripes_are_the_average_of_a_pulse_over_the_footprint() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, period, width = rng.uniform(-5, 5), rng.uniform(0.2, 2), rng.uniform(0.001, 3)
        start = rng.uniform(0, 0.5) * period
        stop = start + rng.uniform(0.05, 0.45) * period
        points = x + width * (np.arange(20000) + 0.5) / 20000 - width / 2
        inside = np.mod(points - start, period) < stop - start
        assert stripes(x, period, start, stop, width) == pytest.approx(inside.mean(), abs=2e-3)


def test_a_band_is_covered_by_the_share_of_the_footprint_inside() -> None:
    assert band(0.5, 0.0, 1.0, 0.2) == pytest.approx(1.0)
    assert band(0.0, 0.0, 1.0, 0.2) == pytest.approx(0.5)
    assert band(2.0, 0.0, 1.0, 0.2) == 0.0
    assert band(0.5, 0.0, 1.0, 4.0) == pytest.approx(0.25)


def test_noise_has_zero_mean_and_unit_deviation_and_fades_with_the_footprint() -> None:
    tiles = noise_tile(3)
    assert tiles.shape == (2, sum((TILE >> k) ** 2 for k in range(LEVELS)))
    assert np.array_equal(tiles, noise_tile(3))
    for chain in tiles:
        full = chain[: TILE * TILE]
        assert abs(full.mean()) < 0.02
        assert full.std() == pytest.approx(1.0, abs=0.05)
        places = np.random.default_rng(1).uniform(-20, 20, (400, 2))
        spread = [
            np.std([noise(chain, x, y, 0.02, w) for x, y in places])
            for w in (0.01, 0.08, 0.64, 20.0)
        ]
        assert spread[0] > spread[1] > spread[2] > spread[3]
        assert spread[3] < 0.05


def test_noise_repeats_with_its_tile() -> None:
    chain = noise_tile(0)[0]
    period = TILE * 0.02
    assert noise(chain, 0.37, 1.2, 0.02, 0.05) == pytest.approx(
        noise(chain, 0.37 - 2 * period, 1.2 + period, 0.02, 0.05), abs=1e-4
    )


def test_rays_hit_a_ball_where_the_closed_form_says() -> None:
    corners, _ = ball((0, 0, 5), 2.0, 80, 160)
    caster = Caster(corners.astype(np.float32))
    rng = np.random.default_rng(2)
    directions = np.column_stack([rng.uniform(-0.5, 0.5, (500, 2)), np.ones(500)])
    hits = caster.nearest(np.zeros((500, 3), np.float32), directions.astype(np.float32))
    a = (directions**2).sum(axis=1)
    half = -5.0 * directions[:, 2]
    root = half**2 - a * 21.0
    exact = np.where(root > 0, (-half - np.sqrt(np.maximum(root, 0))) / a, 0.0)
    clear = np.abs(root) > 1.0
    assert np.array_equal(hits.triangle[clear] >= 0, root[clear] > 0)
    assert np.abs(hits.distance - exact)[clear].max() < 0.02


def test_shadow_rays_see_only_what_is_within_reach() -> None:
    caster = Caster(box((-1, -1, 4), (1, 1, 5)).astype(np.float32))
    origin, up = np.zeros((2, 3), np.float32), np.array([[0, 0, 1], [0, 0, -1]], np.float32)
    assert caster.blocked(origin, up, 10.0).tolist() == [True, False]
    assert caster.blocked(origin, up, 3.0).tolist() == [False, False]


@pytest.mark.parametrize("solid", ["box", "prism", "ball", "tube"])
def test_solids_face_outwards(solid: str) -> None:
    if solid == "box":
        corners = box((-1, -2, -3), (1, 2, 3))
    elif solid == "prism":
        corners = prism([(2, 0), (0, 2), (-2, 0), (0, -2)], -1, 1)
    elif solid == "ball":
        corners = ball((0, 0, 0), (1, 2, 3))[0]
    else:
        corners = tube((0, 0, -1), (0, 0, 1), 0.5, 0.4)[0]
    outward = np.einsum("ni,ni->n", flat_normals(corners), corners.mean(axis=1))
    assert np.all(outward > 0) or np.all(outward < 0)


def test_volume_of_a_box_is_the_sum_of_its_signed_tetrahedra() -> None:
    corners = box((0, 0, 0), (2, 3, 4))
    volume = np.einsum("ni,ni->n", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(24.0)


def test_surface_frames_reproduce_uv_anywhere_on_the_triangle() -> None:
    rng = np.random.default_rng(5)
    corners = rng.normal(0, 2, (40, 3, 3))
    uv = planar_uv(corners, flat_normals(corners)) * 1.7 + 0.3
    frames = surface_frames(corners, uv).astype(float)
    weights = rng.dirichlet([1, 1, 1], 40)
    point = np.einsum("nk,nki->ni", weights, corners)
    expected = np.einsum("nk,nki->ni", weights, uv)
    step = point - frames[:, 3:6]
    for axis, group in ((0, slice(8, 11)), (1, slice(11, 14))):
        value = frames[:, 6 + axis] + np.einsum("ni,ni->n", frames[:, group], step)
        assert np.abs(value - expected[:, axis]).max() < 1e-4
