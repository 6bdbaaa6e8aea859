"""Paths and timing: closed loops, speeds along them, and the camera's smooth trajectory."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

F64 = NDArray[np.float64]
GRAVITY = np.array([0.0, 0.0, -9.81])
KNOT_SECONDS = 0.1
CAMERA_HEIGHT = 1.5
VEHICLE_FROM_CAMERA = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Rotation from camera axes (x right, y down, z forward) to vehicle axes (x forward, y left)."""


class Loop:
    """Rounded rectangle run through forever; `turn` 1 anticlockwise, -1 clockwise."""

    def __init__(self, center: ArrayLike, half: ArrayLike, radius: float, turn: int) -> None:
        (cx, cy), (hx, hy) = np.asarray(center, float), np.asarray(half, float)
        self.radius = radius
        angles = np.linspace(0, np.pi / 2, max(8, int(radius * np.pi / 2 / 0.1)))
        arcs, bends = [], []
        for k, (sx, sy) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)]):
            a = angles + k * np.pi / 2
            x = cx + sx * (hx - radius) + radius * np.cos(a)
            y = cy + sy * (hy - radius) + radius * np.sin(a)
            arcs.append(np.stack([x, y], axis=1))
            bends += [True] * (len(angles) - 1) + [False]
        points = np.concatenate([*arcs, arcs[0][:1]])
        curved = np.array(bends)
        if turn < 0:
            points, curved = points[::-1], curved[::-1]
        lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
        self._points = points
        self._at = np.concatenate([[0.0], np.cumsum(lengths)])
        self._curved = curved
        self._marks, self._corners = self._at.tolist(), points.tolist()
        self.length = float(self._at[-1])

    def position(self, s: ArrayLike) -> F64:
        """Points n×2 at arc lengths s (any real number)."""
        r = np.mod(np.asarray(s, float), self.length)
        xy = [np.interp(r, self._at, self._points[:, k]) for k in range(2)]
        return np.stack(xy, axis=-1)

    def point(self, s: float) -> tuple[float, float]:
        """The point at one arc length; the same as `position`, faster."""
        r = s % self.length
        k = min(max(bisect_right(self._marks, r) - 1, 0), len(self._marks) - 2)
        share = (r - self._marks[k]) / (self._marks[k + 1] - self._marks[k])
        (ax, ay), (bx, by) = self._corners[k], self._corners[k + 1]
        return ax + (bx - ax) * share, ay + (by - ay) * share

    def direction(self, s: float, base: float = 1.2) -> float:
        """The heading at one arc length; the same as `heading`, faster."""
        ax, ay = self.point(s - base / 2)
        bx, by = self.point(s + base / 2)
        return math.atan2(by - ay, bx - ax)

    def heading(self, s: ArrayLike, base: float = 1.2) -> F64:
        """Direction of travel in radians (not unwrapped), over a wheel base of `base` metres."""
        s = np.asarray(s, float)
        d = self.position(s + base / 2) - self.position(s - base / 2)
        return np.arctan2(d[..., 1], d[..., 0])

    def curved(self, s: ArrayLike) -> NDArray[np.bool_]:
        """Whether arc length s lies in a bend."""
        r = np.mod(np.asarray(s, float), self.length)
        k = np.clip(np.searchsorted(self._at, r, side="right") - 1, 0, len(self._curved) - 1)
        return np.asarray(self._curved[k])


class Timing:
    """Where a vehicle is on its loop at a time: it slows down for the bends."""

    def __init__(self, loop: Loop, cruise: float, lateral: float = 2.2, pull: float = 1.3) -> None:
        n = int(np.ceil(loop.length / 0.1))
        s = np.arange(n) * loop.length / n
        step = loop.length / n
        bend = min(cruise, float(np.sqrt(lateral * loop.radius)))
        speed = np.where(loop.curved(s), bend, cruise)
        for order in (1, -1):
            v = speed[::order].copy()
            for k in range(2 * n):
                v[(k + 1) % n] = min(v[(k + 1) % n], np.sqrt(v[k % n] ** 2 + 2 * pull * step))
            speed = v[::order]
        window = np.hanning(61)
        speed = np.convolve(np.tile(speed, 3), window / window.sum(), mode="same")[n : 2 * n]
        self._s = np.append(s, loop.length)
        self._t = np.concatenate([[0.0], np.cumsum(step / speed)])
        self.loop = loop
        self.period = float(self._t[-1])

    def along(self, t: ArrayLike) -> F64:
        """Arc length at time t, growing without bound."""
        t = np.asarray(t, float)
        laps = np.floor(t / self.period)
        return laps * self.loop.length + np.interp(t - laps * self.period, self._t, self._s)


@dataclass(frozen=True, slots=True)
class Motion:
    """State of the camera at n times: `poses` T_world_camera n×4×4; in camera axes the angular
    velocity `gyroscope` (rad/s) and the specific force `accelerometer` (m/s²); in world axes
    `velocity` (m/s).
    """

    poses: F64
    velocity: F64
    gyroscope: F64
    accelerometer: F64


class Trajectory3D:
    """The camera's motion: a cubic B-spline in time over position, yaw, pitch and roll.

    The spline itself is the truth, so poses, velocities, accelerations and turn rates are exact
    derivatives of one another.
    """

    def __init__(
        self, timing: Timing, start: float, seconds: float, rng: np.random.Generator
    ) -> None:
        h = KNOT_SECONDS
        t: F64 = (np.arange(int(np.ceil(seconds / h)) + 12, dtype=np.float64) - 4) * h
        s = timing.along(t + start)
        xy, yaw = timing.loop.position(s), np.unwrap(timing.loop.heading(s, 2.4))
        pull = np.gradient(np.gradient(s, h), h)
        lean = np.gradient(yaw, h) * np.gradient(s, h)
        z = CAMERA_HEIGHT + _shake(rng, t, 0.006, (0.9, 2.6))
        pitch = -0.0035 * pull + _shake(rng, t, 0.0035, (0.7, 2.2))
        roll = 0.006 * lean + _shake(rng, t, 0.004, (0.5, 1.8))
        sway = _shake(rng, t, 0.03, (0.1, 0.3))
        xy = xy + np.stack([-np.sin(yaw), np.cos(yaw)], axis=1) * sway[:, None]
        self._control = np.column_stack([xy, z, yaw, pitch, roll])

    def _channels(self, t: F64, order: int) -> F64:
        x = t / KNOT_SECONDS + 4.0
        k = np.floor(x).astype(int)
        f = x - k
        one = np.ones_like(f)
        zero = 0 * f
        weights = (
            [
                (1 - f) ** 3 / 6,
                (3 * f**3 - 6 * f**2 + 4) / 6,
                (-3 * f**3 + 3 * f**2 + 3 * f + 1) / 6,
                f**3 / 6,
            ],
            [-((1 - f) ** 2) / 2, (9 * f**2 - 12 * f) / 6, (-9 * f**2 + 6 * f + 3) / 6, f**2 / 2],
            [1 - f, 3 * f - 2 * one, one - 3 * f, f + zero],
        )[order]
        out = sum(w[:, None] * self._control[k - 1 + j] for j, w in enumerate(weights))
        return np.asarray(out) / KNOT_SECONDS**order

    def at(self, times: ArrayLike) -> Motion:
        """Poses and inertial measurements at n times in seconds."""
        t = np.atleast_1d(np.asarray(times, float))
        place, rate, second = (self._channels(t, order) for order in range(3))
        yaw, pitch, roll = place[:, 3:].T
        dyaw, dpitch, droll = rate[:, 3:].T
        turn = rotation_zyx(yaw, pitch, roll)
        omega = np.stack(
            [
                droll - dyaw * np.sin(pitch),
                dpitch * np.cos(roll) + dyaw * np.sin(roll) * np.cos(pitch),
                -dpitch * np.sin(roll) + dyaw * np.cos(roll) * np.cos(pitch),
            ],
            axis=1,
        )
        rotation = turn @ VEHICLE_FROM_CAMERA
        poses = np.tile(np.eye(4), (len(t), 1, 1))
        poses[:, :3, :3], poses[:, :3, 3] = rotation, place[:, :3]
        force = np.einsum("nji,nj->ni", rotation, second[:, :3] - GRAVITY)
        return Motion(poses, rate[:, :3], omega @ VEHICLE_FROM_CAMERA, force)


def _shake(rng: np.random.Generator, t: F64, size: float, band: tuple[float, float]) -> F64:
    out = np.zeros_like(t)
    for _ in range(4):
        frequency, phase = rng.uniform(*band), rng.uniform(0, 2 * np.pi)
        out += 0.5 * size * np.sin(2 * np.pi * frequency * t + phase)
    return out


def rotation_zyx(yaw: F64, pitch: F64, roll: F64) -> F64:
    """Rz(yaw) Ry(pitch) Rx(roll) for n angles each, n×3×3."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    rows = [
        [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
        [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
        [-sp, cp * sr, cp * cr],
    ]
    return np.stack([np.stack(r, axis=-1) for r in rows], axis=-2)
