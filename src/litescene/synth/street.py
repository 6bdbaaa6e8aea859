"""The built-in street: a drive through a town of code, with exact truth for every pixel."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.core import Camera, InputError, Trajectory
from litescene.synth.assets.decals import atlas
from litescene.synth.drive import Motion, Timing, Trajectory3D
from litescene.synth.ground import LANE
from litescene.synth.movers import actors, lane
from litescene.synth.noise import noise_tile
from litescene.synth.raycast import load_embree
from litescene.synth.render import Pass, Renderer
from litescene.synth.scenery import Instances, town
from litescene.synth.shading import weather_of
from litescene.synth.stage import Stage
from litescene.synth.surfaces import Surfaces
from litescene.synth.truth import Objects, flow_between, visible_objects

IMU_RATE = 200.0
FOV = 70.0
THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class StreetFrame:
    """One picture of the drive and all that is true about it.

    `image` H×W×3 uint8 RGB; `labels` H×W uint8 in CAMVID; `instances` H×W int32 (0: none);
    `objects` the boxes of visible objects in STREET_OBJECTS; `depth` H×W float32 z-depth in
    metres (0: sky); `flow` H×W×2 float32, pixels to the next frame (movers included, the sky
    turns with the camera); `flow_valid` H×W bool, the same point is visible in the next frame;
    `pose` 4×4 T_world_camera; `time` in seconds.
    """

    index: int
    time: float
    image: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    instances: NDArray[np.int32]
    objects: Objects
    depth: NDArray[np.float32]
    flow: NDArray[np.float32]
    flow_valid: NDArray[np.bool_]
    pose: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ImuSamples:
    """Inertial samples in camera axes: `times` n seconds, `gyroscope` n×3 rad/s,
    `accelerometer` n×3 m/s² (specific force: at rest it reads +9.81 against gravity); the motion
    they belong to in `motion`.
    """

    times: NDArray[np.float64]
    gyroscope: NDArray[np.float64]
    accelerometer: NDArray[np.float64]
    motion: Motion


class Street:
    """A drive of `seconds` around the block of a town drawn from `seed`.

    The camera has a horizontal field of view of 70°; frames come at `rate` per second. World axes:
    x, y on the ground, z up, metres. The same arguments give the same bytes. Raises
    `MissingExtraError` without the extra `synth`, `InputError` for sizes out of range.

        street = Street(seed=3, seconds=5.0)
        for frame in street.frames():
            print(frame.time, frame.objects.boxes)
    """

    def __init__(
        self,
        seed: int = 0,
        width: int = 480,
        height: int = 360,
        seconds: float = 20.0,
        rate: float = 20.0,
    ) -> None:
        _check(width, height, seconds, rate, seed)
        load_embree()
        self.seed = seed
        self.camera = Camera.from_fov(width, height, FOV)
        count = max(1, round(seconds * rate))
        self.times = np.arange(count) / rate
        self._step = 1.0 / rate
        layout, traffic, light = (np.random.default_rng([seed, k]) for k in range(3))
        self.weather = weather_of(light)
        surfaces, ids = Surfaces(), Instances()
        place = town(surfaces, layout, ids)
        turn = int(traffic.choice([-1, 1]))
        own = Timing(
            lane(place.plan, place.plan.hand * turn * LANE, turn), float(traffic.uniform(8.0, 9.5))
        )
        start = float(traffic.uniform(0, own.period))
        self.motion = Trajectory3D(own, start, seconds + self._step, traffic)
        self.lap_seconds = own.period
        movers = actors(surfaces, traffic, ids, place.plan, own, turn, start)
        self.stage = Stage(place.mesh, movers)
        self.classes = np.array(ids.classes, np.int32)
        self._renderer = Renderer(
            self.camera, self.stage, surfaces.table, noise_tile(seed), atlas(), self.weather
        )

    def __len__(self) -> int:
        return len(self.times)

    @property
    def poses(self) -> Trajectory:
        """T_world_camera of every frame, metric."""
        return Trajectory(self.times, self.motion.at(self.times).poses, "metric")

    def imu(self) -> ImuSamples:
        """Inertial samples at 200 Hz from the first frame's time to the last's."""
        count = int(np.floor(self.times[-1] * IMU_RATE + 1e-6)) + 1
        times = np.arange(count) / IMU_RATE
        motion = self.motion.at(times)
        return ImuSamples(times, motion.gyroscope, motion.accelerometer, motion)

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[StreetFrame]:
        """Frames from `start` up to (not including) `stop`, rendered one after another."""
        last = len(self) if stop is None else min(stop, len(self))
        if start >= last:
            return
        # the ray caster and the kernels release the interpreter's lock
        pool = ThreadPoolExecutor(THREADS)
        try:
            passes = (pool.submit(self._rendered, i, i < last) for i in range(start, last + 1))
            ahead = deque(itertools.islice(passes, THREADS + 1))
            now, image = ahead.popleft().result()
            for index in range(start, last):
                ahead.extend(itertools.islice(passes, 1))
                after, following = ahead.popleft().result()
                yield self._finished(index, image, now, after)
                now, image = after, following
        finally:
            pool.shutdown(cancel_futures=True)

    def _rendered(self, index: int, painted: bool) -> tuple[Pass, NDArray[np.uint8]]:
        """What a frame sees and its picture, which is empty where it is not wanted."""
        time = index * self._step if index >= len(self.times) else float(self.times[index])
        seen = self._renderer.look(time, self.motion.at(time).poses[0])
        return seen, self._renderer.paint(seen) if painted else np.empty((0, 0, 3), np.uint8)

    def _finished(
        self, index: int, image: NDArray[np.uint8], now: Pass, after: Pass
    ) -> StreetFrame:
        flow, valid = flow_between(now, after, self.camera)
        return StreetFrame(
            index,
            now.time,
            image,
            now.labels,
            now.instances,
            visible_objects(now, self.stage, self.classes, self.camera),
            now.depth,
            flow,
            valid,
            now.pose,
        )


def _check(width: int, height: int, seconds: float, rate: float, seed: int) -> None:
    if not (16 <= width <= 4096 and 16 <= height <= 4096):
        raise InputError(
            f"the street's pictures are 16 to 4096 pixels a side, not {width}×{height}"
        )
    if not 0 < seconds <= 3600:
        raise InputError(f"a drive lasts more than 0 and at most 3600 seconds, not {seconds:g}")
    if not 1 <= rate <= 240:
        raise InputError(f"the frame rate is 1 to 240 a second, not {rate:g}")
    if seed < 0:
        raise InputError(f"the seed of a drive is 0 or more, not {seed}")
