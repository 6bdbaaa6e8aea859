"""From keyframes to the labelled map: depth by the neighbours, then fusion.

A keyframe is mapped when the next one is there, so that it has neighbours on both sides. The work
runs in its own thread, in order, on poses copied at the time of its submission; corrections that
come later move the finished voxels (`SemanticVoxelMap.rebuild`).
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import Camera, Frame, Image, SceneMap, SegmentationMap, Taxonomy
from litescene.geometry import invert, rectified, transform_points
from litescene.scene.depth import DepthSource, PosedView, select_neighbours
from litescene.scene.fusion import SemanticVoxelMap
from litescene.scene.keyframes import Keyframe, SparseMap
from litescene.scene.worker import InOrder

VIEWS = 8
"""Keyframes kept as possible neighbours."""


@dataclass(frozen=True)
class _Waiting:
    """A keyframe with its undistorted picture, not yet mapped."""

    keyframe: Keyframe
    view: PosedView
    instances: NDArray[np.int32] | None


class Rectifier:
    """Removes lens distortion from pictures and labels; passes ideal cameras through."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self._maps: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        if camera.model != "none":
            self.camera, map_x, map_y = rectified(camera)
            self._maps = (map_x, map_y)

    def picture(self, image: Image) -> Image:
        """H×W×3 as the ideal camera sees it."""
        if self._maps is None:
            return image
        return np.asarray(cv2.remap(image, *self._maps, cv2.INTER_LINEAR), np.uint8)

    def labels(self, labels: SegmentationMap) -> SegmentationMap:
        """Labels as the ideal camera sees them; 255 outside the picture."""
        if self._maps is None:
            return labels
        moved = cv2.remap(
            labels.labels,
            *self._maps,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=255,
        )
        return SegmentationMap(np.asarray(moved, np.uint8), labels.taxonomy)

    def ids(self, instances: NDArray[np.int32]) -> NDArray[np.int32]:
        """Object ids as the ideal camera sees them; -1 outside the picture."""
        if self._maps is None:
            return instances
        moved = cv2.remap(
            instances.astype(np.float32),
            *self._maps,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=-1,
        )
        return np.asarray(moved).astype(np.int32)


class Mapper:
    """Builds the labelled map of one segment of the trajectory."""

    def __init__(
        self, rectifier: Rectifier, taxonomy: Taxonomy, depth: DepthSource, worker: InOrder
    ) -> None:
        self._rectifier, self._depth, self._worker = rectifier, depth, worker
        self._map = SemanticVoxelMap(taxonomy)
        self._recent: deque[_Waiting] = deque(maxlen=VIEWS)
        self._mapped: list[tuple[Keyframe, int, float]] = []
        self.milliseconds = {"depth": 0.0, "fusion": 0.0}

    def add(
        self,
        keyframe: Keyframe,
        frame: Frame,
        labels: SegmentationMap,
        instances: NDArray[np.int32] | None,
        sparse: SparseMap,
    ) -> None:
        """Take a new keyframe, and map the one before it."""
        view = PosedView(
            frame.index,
            self._rectifier.picture(frame.image),
            keyframe.pose,
            self._rectifier.camera,
            None,
            self._rectifier.labels(labels),
        )
        ids = None if instances is None else self._rectifier.ids(instances)
        self._recent.append(_Waiting(keyframe, view, ids))
        if len(self._recent) >= 2:
            self._submit(len(self._recent) - 2, sparse)

    def finish(self, sparse: SparseMap) -> None:
        """Map the last keyframe too."""
        if len(self._recent) >= 2:
            self._submit(len(self._recent) - 1, sparse)

    def _submit(self, position: int, sparse: SparseMap) -> None:
        chosen = self._recent[position]
        views = [replace(w.view, pose=w.keyframe.pose.copy()) for w in self._recent]
        marks = visible_landmarks(sparse, chosen.keyframe, self._rectifier.camera)
        reference = replace(views[position], landmarks=marks)
        others = views[:position] + views[position + 1 :]
        self._mapped.append((chosen.keyframe, reference.index, chosen.keyframe.scale))
        self._worker.submit(lambda: self._map_view(reference, others, chosen.instances))

    def _map_view(
        self, view: PosedView, others: list[PosedView], instances: NDArray[np.int32] | None
    ) -> None:
        began = time.perf_counter()
        depth = self._depth.depth(view, select_neighbours(view, others))
        middle = time.perf_counter()
        self.milliseconds["depth"] += (middle - began) * 1e3
        if depth is not None:
            self._map.integrate(view, depth, instances)
        self.milliseconds["fusion"] += (time.perf_counter() - middle) * 1e3

    def preview(self) -> tuple[SceneMap, float]:
        """The map so far and its voxel size; only from the worker's thread."""
        return self._map.snapshot(), self._map.voxel_size or 0.0

    def result(self) -> SceneMap:
        """The map, moved to the keyframes' final poses; the worker must be closed."""
        poses = {index: keyframe.pose for keyframe, index, _ in self._mapped}
        scales = {index: keyframe.scale / then for keyframe, index, then in self._mapped}
        self._map.rebuild(poses, scales)
        return self._map.snapshot()


def visible_landmarks(sparse: SparseMap, keyframe: Keyframe, camera: Camera) -> NDArray[np.float64]:
    """Landmarks that a keyframe sees: n×3 column, row (in the ideal `camera`) and z-depth."""
    known = sparse.landmarks.known[keyframe.ids]
    points = sparse.landmarks.points[keyframe.ids[known]]
    depths = transform_points(invert(keyframe.pose), points)[:, 2]
    columns = keyframe.rays[known] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    front = depths > 0
    return np.column_stack([columns, depths])[front]
