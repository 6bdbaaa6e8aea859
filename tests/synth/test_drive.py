"""The trajectory and its inertial samples are exact derivatives of one another."""

from __future__ import annotations

import numpy as np
import pytest

from litescene.synth.drive import Loop, Timing, Trajectory3D


@pytest.fixture(scope="module")
def motion() -> Trajectory3D:
    timing = Timing(Loop((0, 0), (38, 30), 11.0, 1), 8.5)
    return Trajectory3D(timing, 3.0, 20.0, np.random.default_rng(1))


def test_velocity_is_the_derivative_of_position(motion: Trajectory3D) -> None:
    t, h = np.linspace(0.5, 19, 200), 1e-5
    numeric = (motion.at(t + h).poses[:, :3, 3] - motion.at(t - h).poses[:, :3, 3]) / (2 * h)
    assert np.abs(numeric - motion.at(t).velocity).max() < 1e-6


def test_the_gyroscope_is_the_derivative_of_rotation(motion: Trajectory3D) -> None:
    t, h = np.linspace(0.5, 19, 200), 1e-5
    after, before = motion.at(t + h).poses[:, :3, :3], motion.at(t - h).poses[:, :3, :3]
    now = motion.at(t)
    rate = np.einsum("nji,njk->nik", now.poses[:, :3, :3], (after - before) / (2 * h))
    numeric = np.stack([rate[:, 2, 1], rate[:, 0, 2], rate[:, 1, 0]], axis=1)
    assert np.abs(numeric - now.gyroscope).max() < 1e-6


def test_the_accelerometer_integrates_back_to_the_positions(motion: Trajectory3D) -> None:
    t = np.arange(0, 20.0, 1 / 200)
    truth = motion.at(t)
    middle = motion.at(t[:-1] + 1 / 400)
    rotation, position, velocity = truth.poses[0, :3, :3], truth.poses[0, :3, 3], truth.velocity[0]
    for gyro, force in zip(middle.gyroscope, middle.accelerometer, strict=True):
        half = rotation @ exp_so3(gyro / 400)
        acceleration = half @ force + [0, 0, -9.81]
        position = position + velocity / 200 + acceleration / 200**2 / 2
        velocity = velocity + acceleration / 200
        rotation = rotation @ exp_so3(gyro / 200)
    assert np.linalg.norm(position - truth.poses[-1, :3, 3]) < 0.02
    assert np.linalg.norm(velocity - truth.velocity[-1]) < 0.005
    assert np.abs(rotation - truth.poses[-1, :3, :3]).max() < 1e-4


def exp_so3(w: np.ndarray) -> np.ndarray:
    angle = np.linalg.norm(w)
    k = np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])
    if angle < 1e-12:
        return np.eye(3) + k
    k = k / angle
    return np.asarray(np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k)


def test_at_rest_on_average_the_accelerometer_reads_gravity(motion: Trajectory3D) -> None:
    mean = motion.at(np.arange(0, 20, 0.01)).accelerometer.mean(axis=0)
    assert mean[1] == pytest.approx(-9.81, abs=0.05)  # y points down, the force up


def test_the_camera_looks_where_it_drives(motion: Trajectory3D) -> None:
    state = motion.at(np.linspace(0, 20, 100))
    forward = state.poses[:, :3, 2]
    along = state.velocity / np.linalg.norm(state.velocity, axis=1, keepdims=True)
    assert np.einsum("ni,ni->n", forward, along).min() > 0.98
    assert np.all(state.poses[:, 2, 1] < -0.99)


def test_a_lap_closes_and_slows_down_for_the_bends() -> None:
    timing = Timing(Loop((0, 0), (38, 30), 11.0, -1), 8.5)
    t = np.linspace(0, timing.period, 2000)
    s = timing.along(t)
    assert timing.along(timing.period) == pytest.approx(timing.loop.length)
    start, end = timing.loop.position([0.0, timing.loop.length])
    assert np.allclose(start, end)
    speed = np.gradient(s, t)
    bends = timing.loop.curved(s)
    assert speed[bends].mean() < 6.0 < 7.0 < speed[~bends].max()
    assert speed.max() < 8.6


def test_scalar_and_vector_lookups_on_a_loop_agree() -> None:
    loop = Loop((3, -2), (20, 15), 5.0, 1)
    for s in np.random.default_rng(0).uniform(-100, 300, 50):
        assert np.allclose(loop.point(float(s)), loop.position(s), atol=1e-9)
        assert loop.direction(float(s)) == pytest.approx(float(loop.heading(s)), abs=1e-9)
