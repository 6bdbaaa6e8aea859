"""The labelled map: depth, colours, classes and objects of keyframes fused into sparse voxels.

Classes are fused as in SemanticFusion (McCormac et al., ICRA 2017): a recursive Bayes update per
voxel, here from observed labels and a confusion model, kept as log-likelihoods with a floor
(the clamping of OctoMap, Hornung et al., Autonomous Robots 2013).

A voxel remembers the view of its most certain measurement and moves with that view's pose when
poses are corrected later (the map-centric idea of ElasticFusion and BundleFusion without keeping
any depth map): memory depends on the place's size, not on how long it is filmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from litescene.core import IGNORE, MOVERS, SKY, DepthMap, Scale, SceneMap, Taxonomy
from litescene.scene.depth import PosedView

if TYPE_CHECKING:
    from litescene.scene.fusion_kernels import Voxels

_STALE_FRAMES = 300
"""Voxels measured once, so many frames ago, are dropped when room is short: `snapshot` hides them,
and at 10 to 30 frames a second the camera has left the place 10 to 30 seconds ago."""
_LEAST_FREED = 1 / 8
"""Share of the room that dropping must leave free; else there is more made, for a while to come."""
VOXEL_SHARE = 0.015
"""Voxel size as a share of the first depth map's median depth, where no size is given."""


def confusion_model(classes: int, correct: float = 0.8) -> NDArray[np.float64]:
    """P(observed | true), classes×classes: `correct` on the diagonal, the rest spread evenly."""
    if not 1.0 / max(classes, 2) < correct < 1.0:
        raise ValueError(
            f"a label's accuracy must be better than chance and below 1, not {correct}"
        )
    model = np.full((classes, classes), (1.0 - correct) / max(classes - 1, 1))
    np.fill_diagonal(model, correct)
    return model


class SemanticVoxelMap:
    """Voxel-hashed labelled map.

    Args:
        taxonomy: the labels' classes.
        voxel_size: edge of a voxel in the poses' unit. None: 1.5 % of the median depth of the first
            depth map, which suits a scale that is arbitrary.
        scale: what the poses' unit is.
        model: P(observed | true), classes×classes, every entry above 0; `confusion_model` (80 %
            right) by default.
        skip: names of classes that are not fused; by default what moves and the sky.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        *,
        voxel_size: float | None = None,
        scale: Scale = "arbitrary",
        model: NDArray[np.float64] | None = None,
        skip: Iterable[str] = MOVERS | SKY,
    ) -> None:
        if voxel_size is not None and not voxel_size > 0:
            raise ValueError(f"a voxel's size must be positive, not {voxel_size}")
        chances = confusion_model(len(taxonomy)) if model is None else model
        if chances.shape != (len(taxonomy), len(taxonomy)) or not np.all(chances > 0):
            raise ValueError(
                f"the confusion model must be {len(taxonomy)}×{len(taxonomy)} and positive; smooth "
                "a measured one by adding a little to every entry"
            )
        self.taxonomy = taxonomy
        self.scale: Scale = scale
        self.voxel_size = voxel_size
        self._log_model = np.log(chances / chances.sum(axis=1, keepdims=True)).astype(np.float32)
        self._skipped = np.zeros(256, np.bool_)
        self._skipped[list(taxonomy.indices(skip))] = True
        self._poses: dict[int, NDArray[np.float64]] = {}
        self._voxels = _allocate(1 << 12, len(taxonomy))
        self._table = np.full(1 << 14, -1, np.int32)
        self._count = 0
        self._passing: dict[int, NDArray[np.int64]] = {}

    def __len__(self) -> int:
        """Number of occupied voxels."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Memory of the voxels and their table."""
        return int(sum(a.nbytes for a in self._voxels) + self._table.nbytes)

    def integrate(
        self, view: PosedView, depth: DepthMap, instances: NDArray[np.int32] | None = None
    ) -> int:
        """Fuses a view's known depths; returns the number of points fused.

        `instances` H×W int32 holds the tracked object of each pixel, -1 where there is none.
        Pixels of skipped classes are left out, but their objects are counted. Points are weighted
        by the inverse variance of their depth; a depth map without `sigma` counts as sure to one
        part in a thousand.
        """
        from litescene.scene.fusion_kernels import back_project, fuse

        shape = view.image.shape[:2]
        if depth.depth.shape != shape or (instances is not None and instances.shape != shape):
            raise ValueError(f"depth and instances must have the picture's size {shape}")
        if view.labels is not None and view.labels.taxonomy != self.taxonomy:
            raise ValueError(
                f"the map holds '{self.taxonomy.name}', the labels are of "
                f"'{view.labels.taxonomy.name}'"
            )
        labels = np.full(shape, IGNORE, np.uint8) if view.labels is None else view.labels.labels
        if instances is not None:
            self._count_passing(labels, instances)
        if not np.any(depth.depth):
            return 0
        if self.voxel_size is None:
            self.voxel_size = VOXEL_SHARE * float(np.median(depth.depth[depth.depth > 0]))
        sigma = depth.sigma if depth.sigma is not None else np.zeros(shape, np.float32)
        camera = view.camera
        pixels, points, weights = back_project(
            depth.depth,
            sigma,
            labels,
            self._skipped,
            np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
            np.ascontiguousarray(view.pose[:3, :3]),
            np.ascontiguousarray(view.pose[:3, 3]),
        )
        self._reserve(len(points), view.index)
        self._poses[view.index] = np.array(view.pose, np.float64)
        ids = np.full(shape, -1, np.int32) if instances is None else instances
        self._count = fuse(
            points,
            weights,
            pixels,
            view.image,
            labels,
            ids,
            self._log_model,
            view.index,
            self.voxel_size,
            self._table,
            self._count,
            self._voxels,
        )
        return len(points)

    def rebuild(
        self, poses: Mapping[int, NDArray[np.float64]], scales: Mapping[int, float] | None = None
    ) -> None:
        """Moves every voxel with the corrected pose of its view, and joins those that meet.

        `poses` holds T_world_camera for every integrated view; `scales` (1 where absent) the
        factor of a view's depths, as a Sim(3) correction gives it.
        """
        from litescene.scene.fusion_kernels import merge

        missing = sorted(set(self._poses) - set(poses))
        if missing:
            raise ValueError(f"no corrected pose for {len(missing)} views, first {missing[0]}")
        if self.voxel_size is None:
            return
        views = sorted(self._poses)
        corrections = np.empty((len(views), 4, 4))
        for n, index in enumerate(views):
            factor = 1.0 if scales is None else scales.get(index, 1.0)
            scaling = np.diag([factor, factor, factor, 1.0])
            corrections[n] = poses[index] @ scaling @ np.linalg.inv(self._poses[index])
            self._poses[index] = np.array(poses[index], np.float64)
        number = np.searchsorted(views, self._voxels.anchor[: self._count])
        moved = np.einsum(
            "nij,nj->ni", corrections[number, :3, :3], self._voxels.position[: self._count]
        )
        moved += corrections[number, :3, 3]
        target = _allocate(len(self._voxels.weight), len(self.taxonomy))
        self._table.fill(-1)
        self._count = merge(self._voxels, moved, self.voxel_size, self._table, target)
        self._voxels = target

    def snapshot(
        self, *, min_observations: int = 2, min_views: int = 1, min_neighbours: int = 1
    ) -> SceneMap:
        """The map as points, without outliers.

        Leaves out voxels with fewer measurements, from fewer views, or with fewer occupied
        voxels among the 26 around them than asked for.
        """
        from litescene.scene.fusion_kernels import count_occupied

        voxels, n = self._voxels, self._count
        keep = (voxels.observations[:n] >= min_observations) & (voxels.views[:n] >= min_views)
        keep &= count_occupied(voxels.key, n, self._table) >= min_neighbours
        labels, confidence = self._posterior(np.flatnonzero(keep))
        return SceneMap(
            points=voxels.position[:n][keep].astype(np.float32),
            colors=np.round(voxels.color[:n][keep]).astype(np.uint8),
            labels=labels,
            confidence=confidence,
            instances=(voxels.instances[:n][keep] >= 0).sum(axis=1).astype(np.int32),
            observations=voxels.observations[:n][keep].copy(),
            taxonomy=self.taxonomy,
            scale=self.scale,
            objects_per_class=self.objects_per_class(),
        )

    def objects_per_class(self) -> dict[str, int]:
        """Number of distinct tracked objects per class of the voxels they were seen in.

        Objects of skipped classes, which have no voxels, count for the class that most of their
        pixels had.
        """
        rows = np.flatnonzero((self._voxels.instances[: self._count] >= 0).any(axis=1))
        labels, _ = self._posterior(rows)
        ids = self._voxels.instances[rows]
        passing = [int(pixels.argmax()) for pixels in self._passing.values()]
        return {
            name: len(np.unique(ids[labels == c][ids[labels == c] >= 0])) + passing.count(c)
            for c, name in enumerate(self.taxonomy.names)
        }

    def _count_passing(self, labels: NDArray[np.uint8], instances: NDArray[np.int32]) -> None:
        """Counts the pixels of skipped classes by object and class."""
        chosen = self._skipped[labels] & (instances >= 0)
        codes = instances[chosen].astype(np.int64) * 256 + labels[chosen]
        for code, pixels in zip(*np.unique(codes, return_counts=True), strict=True):
            identity, label = divmod(int(code), 256)
            if identity not in self._passing:
                self._passing[identity] = np.zeros(len(self.taxonomy), np.int64)
            self._passing[identity][label] += pixels

    def _posterior(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Most likely class and its probability; 255 and 0 where no label was ever observed."""
        logs = self._voxels.log_likelihood[rows]
        chances = np.exp(logs)
        confidence = chances.max(axis=1) / chances.sum(axis=1)
        labels = logs.argmax(axis=1).astype(np.uint8)
        unknown = ~self._voxels.labelled[rows]
        labels[unknown] = IGNORE
        return labels, np.where(unknown, 0.0, confidence).astype(np.float32)

    def _reserve(self, new: int, view: int) -> None:
        """Makes room for `new` more voxels and keeps the table at most half full."""
        from litescene.scene.fusion_kernels import rebuild_table

        have = len(self._voxels.weight)
        if self._count + new > have:
            self._drop_stale(view)
            if self._count + new > (1 - _LEAST_FREED) * have:
                larger = max(self._count + new, have + have // 2)
                self._move(np.arange(self._count), _allocate(larger, len(self.taxonomy)))
        need = self._count + new
        if 2 * need > len(self._table):
            self._table = np.full(1 << (2 * need - 1).bit_length(), -1, np.int32)
            rebuild_table(self._voxels.key, self._count, self._table)

    def _drop_stale(self, view: int) -> None:
        """Drops what was measured once, long before `view`."""
        from litescene.scene.fusion_kernels import rebuild_table

        again = self._voxels.observations[: self._count] > 1
        fresh = self._voxels.last_view[: self._count] >= view - _STALE_FRAMES
        rows = np.flatnonzero(again | fresh)
        if len(rows) == self._count:
            return
        self._move(rows, self._voxels)
        self._count = len(rows)
        self._table.fill(-1)
        rebuild_table(self._voxels.key, self._count, self._table)

    def _move(self, rows: NDArray[np.int64], target: Voxels) -> None:
        """Puts the voxels `rows` at the start of `target`, which may be the present one."""
        for name in self._voxels._fields:
            getattr(target, name)[: len(rows)] = getattr(self._voxels, name)[rows]
        self._voxels = target


def _allocate(rows: int, classes: int) -> Voxels:
    from litescene.scene.fusion_kernels import INSTANCE_SLOTS, Voxels

    return Voxels(
        key=np.zeros((rows, 3), np.int32),
        weight=np.zeros(rows, np.float32),
        position=np.zeros((rows, 3), np.float64),
        color=np.zeros((rows, 3), np.float32),
        log_likelihood=np.zeros((rows, classes), np.float32),
        labelled=np.zeros(rows, np.bool_),
        instances=np.full((rows, INSTANCE_SLOTS), -1, np.int32),
        observations=np.zeros(rows, np.int32),
        views=np.zeros(rows, np.int32),
        last_view=np.full(rows, -1, np.int32),
        anchor=np.full(rows, -1, np.int32),
        anchor_weight=np.zeros(rows, np.float32),
    )
