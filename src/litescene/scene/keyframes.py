"""Keyframes and the sparse map they span with the landmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from litescene.geometry import invert, transform_points
from litescene.scene.bundle_adjustment import Problem, adjust
from litescene.scene.landmarks import Landmarks
from litescene.scene.settings import OdometrySettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class Keyframe:
    """A frame that the map is built on.

    `index` among the keyframes; `frame` and `time` of its picture; `segment` of the map;
    `pose` 4×4 T_world_camera, moved by adjustment; `ids` n landmark ids with their `pixels`
    (n×2 float32) and `rays` (n×2 normalised).
    """

    index: int
    frame: int
    time: float
    segment: int
    pose: Floats
    ids: Ints
    pixels: NDArray[np.float32]
    rays: Floats
    thumbnail: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    descriptors: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((0, 32), np.uint8))
    described: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """Landmark ids of the rows of `descriptors`."""
    scale: float = 1.0
    """Change of the unit of length here, by loop closing, since the keyframe was made."""

    def drop(self, keep: NDArray[np.bool_]) -> None:
        """Keep only the observations where `keep` is True."""
        self.ids, self.pixels, self.rays = self.ids[keep], self.pixels[keep], self.rays[keep]

    def rows_of(self, ids: Ints) -> Ints:
        """Row of each of `ids` (n) among the observations, -1 where it is not seen."""
        if not len(self.ids):
            return np.full(len(ids), -1)
        order = np.argsort(self.ids)
        place = np.searchsorted(self.ids, ids, sorter=order).clip(max=len(order) - 1)
        rows = order[place]
        return np.where(self.ids[rows] == ids, rows, -1)


class SparseMap:
    """Keyframes and landmarks, and the local adjustment that keeps them consistent."""

    def __init__(self, focal: float, settings: OdometrySettings) -> None:
        self.focal = focal
        self.settings = settings
        self.keyframes: list[Keyframe] = []
        self.landmarks = Landmarks()

    def add_keyframe(self, keyframe: Keyframe) -> None:
        """Append `keyframe`; its index is its place."""
        if keyframe.index != len(self.keyframes):
            raise ValueError(f"keyframe {keyframe.index} cannot follow {len(self.keyframes) - 1}")
        self.keyframes.append(keyframe)

    def triangulate(self, keyframe: Keyframe) -> Ints:
        """Place the landmarks that `keyframe` sees from far enough; returns those that disagree."""
        marks = self.landmarks
        rows = np.flatnonzero(
            ~marks.known[keyframe.ids] & (marks.origin[keyframe.ids] != keyframe.index)
        )
        ids = keyframe.ids[rows]
        if not len(ids):
            return ids
        origins, place = np.unique(marks.origin[ids], return_inverse=True)
        poses = np.stack([self.keyframes[k].pose for k in origins])
        points, angles, errors, front = two_ray_points(
            poses[place], keyframe.pose, marks.origin_rays[ids], keyframe.rays[rows]
        )
        wide = angles > np.radians(self.settings.triangulation_degrees)
        agree = front & (errors * self.focal < self.settings.inlier)
        marks.place(ids[wide & agree], points[wide & agree])
        return np.asarray(ids[wide & ~agree])

    def adjust_window(self, segment: int) -> None:
        """Bundle-adjust the last keyframes of `segment` and what they see; drop what disagrees.

        The keyframes outside the window that first saw most of its landmarks hold it in place.
        The one that leaves the window is settled: see `settle`.
        """
        own = [k.index for k in self.keyframes if k.segment == segment]
        window = own[-self.settings.window :]
        if len(window) == len(own):
            window = own[1:]
        origins = np.concatenate([self.landmarks.origin[self.keyframes[k].ids] for k in window])
        shared = np.bincount(origins, minlength=len(self.keyframes))
        shared[window] = 0
        ranked = np.argsort(-shared, kind="stable")[: self.settings.anchors]
        anchors = sorted({int(k) for k in ranked if shared[k] > 0} | {own[-len(window) - 1]})
        self.adjust(window, anchors)
        if len(own) > self.settings.window:
            self.settle(self.keyframes[own[-self.settings.window - 1]])

    def settle(self, keyframe: Keyframe) -> None:
        """Let `keyframe` forget the corners that can become landmarks no more.

        Those are the ones without a position that the newest keyframe does not follow.
        """
        followed = self.keyframes[-1].ids
        hope = self.landmarks.known[keyframe.ids] | np.isin(keyframe.ids, followed)
        keyframe.drop(hope)
        hope = self.landmarks.known[keyframe.described] | np.isin(keyframe.described, followed)
        keyframe.described, keyframe.descriptors = (
            keyframe.described[hope], keyframe.descriptors[hope],
        )  # fmt: skip

    def depths(self, keyframe: Keyframe) -> tuple[NDArray[np.float32], Floats]:
        """Pixels (n×2) and z-depths (n) of the landmarks that `keyframe` sees."""
        known = self.landmarks.known[keyframe.ids]
        points = self.landmarks.points[keyframe.ids[known]]
        z = transform_points(invert(keyframe.pose), points)[:, 2]
        return keyframe.pixels[known][z > 0], z[z > 0]

    def merge(self, doubles: Ints, originals: Ints) -> None:
        """Make the landmarks `doubles` (n) the same as `originals` (n) in every keyframe.

        A landmark that is the original of one stays, even where it is called a double too.
        """
        real = ~np.isin(doubles, originals)
        doubles, originals = doubles[real], originals[real]
        table = np.arange(len(self.landmarks))
        table[doubles] = originals
        for keyframe in self.keyframes:
            renamed = table[keyframe.ids]
            if np.array_equal(renamed, keyframe.ids):
                continue
            _, first = np.unique(renamed, return_index=True)
            keep = np.zeros(len(renamed), bool)
            keep[first] = True
            keyframe.ids = renamed
            keyframe.drop(keep)
            keyframe.described = table[keyframe.described]
        self.landmarks.forget(doubles)

    def adjust(self, free: Sequence[int], fixed: Sequence[int], iterations: int = 5) -> None:
        """Bundle-adjust keyframes `free` while `fixed` hold still."""
        used = np.array([*fixed, *free], np.int64)
        cameras, ids, rays, rows = self._observations(used)
        if not len(free):
            return
        marks = self.landmarks
        # Tables over what these keyframes see: one over all landmarks would grow with the video.
        seen, place, counts = np.unique(ids, return_inverse=True, return_counts=True)
        moving = np.isin(seen, ids[cameras >= len(fixed)])
        chosen = marks.known[seen] & (counts >= 2) & moving
        points = seen[chosen]
        if not len(points):
            return
        keep = np.flatnonzero(chosen[place])
        order = keep[np.argsort(place[keep], kind="stable")]
        starts = np.concatenate([[0], np.cumsum(counts[chosen])]).astype(np.int64)
        poses = invert(np.stack([self.keyframes[k].pose for k in used]))[:, :3]
        problem = Problem(
            np.ascontiguousarray(poses),
            np.arange(len(used)) >= len(fixed),
            marks.points[points],
            starts,
            cameras[order],
            rays[order],
            self.focal,
        )
        solution = adjust(problem, huber=self.settings.huber, iterations=iterations)
        square = np.tile(np.eye(4), (len(used), 1, 1))
        square[:, :3] = solution.poses
        moved = invert(square)
        for slot in range(len(fixed), len(used)):
            self.keyframes[used[slot]].pose = moved[slot]
        marks.place(points, solution.points)
        self._cull(used, cameras[order], ids[order], rows[order], solution.errors)

    def _observations(self, used: Ints) -> tuple[Ints, Ints, Floats, Ints]:
        """Camera slot, landmark id, ray and row in its keyframe of all observations."""
        frames = [self.keyframes[k] for k in used]
        sizes = [len(k.ids) for k in frames]
        cameras = np.repeat(np.arange(len(frames)), sizes)
        rows = np.concatenate([np.arange(n) for n in sizes])
        return (
            cameras,
            np.concatenate([k.ids for k in frames]),
            np.concatenate([k.rays for k in frames]),
            rows,
        )

    def _cull(self, used: Ints, cameras: Ints, ids: Ints, rows: Ints, errors: Floats) -> None:
        """Drop observations that disagree, and landmarks with fewer than two left."""
        bad = ~(errors < self.settings.inlier)
        for slot in np.unique(cameras[bad]):
            keyframe = self.keyframes[used[slot]]
            keep = np.ones(len(keyframe.ids), bool)
            keep[rows[bad & (cameras == slot)]] = False
            keyframe.drop(keep)
        touched, place = np.unique(ids, return_inverse=True)
        left = np.bincount(place[~bad], minlength=len(touched))
        self.landmarks.forget(touched[left < 2])


def two_ray_points(
    poses_a: Floats, pose_b: Floats, rays_a: Floats, rays_b: Floats
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Points where pairs of rays come closest: world n×3, angle (rad), error, in front of both.

    `poses_a` n×4×4 and `pose_b` 4×4 are T_world_camera; rays n×2; the error is the larger
    distance of the projected point from its ray, in normalised coordinates.
    """
    ones = np.ones((len(rays_a), 1))
    a = np.einsum("nij,nj->ni", poses_a[:, :3, :3], np.hstack([rays_a, ones]))
    b = np.hstack([rays_b, ones]) @ pose_b[:3, :3].T
    baseline = pose_b[:3, 3] - poses_a[:, :3, 3]
    aa, bb, ab = (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)
    ca, cb = (a * baseline).sum(1), (b * baseline).sum(1)
    sine2 = np.maximum(aa * bb - ab * ab, 1e-15)
    depth_a, depth_b = (ca * bb - cb * ab) / sine2, (ca * ab - cb * aa) / sine2
    points = 0.5 * (poses_a[:, :3, 3] + depth_a[:, None] * a + pose_b[:3, 3] + depth_b[:, None] * b)
    angles = np.arctan2(np.sqrt(sine2), ab)
    in_a = np.einsum("nji,nj->ni", poses_a[:, :3, :3], points - poses_a[:, :3, 3])
    in_b = (points - pose_b[:3, 3]) @ pose_b[:3, :3]
    front = (depth_a > 0) & (depth_b > 0) & (in_a[:, 2] > 1e-9) & (in_b[:, 2] > 1e-9)
    errors = np.zeros(len(points))
    for seen, rays in ((in_a, rays_a), (in_b, rays_b)):
        depth = np.where(front, seen[:, 2], 1.0)[:, None]
        errors = np.maximum(errors, np.linalg.norm(seen[:, :2] / depth - rays, axis=1))
    return points, angles, errors, front
